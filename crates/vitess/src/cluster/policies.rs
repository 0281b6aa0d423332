//! Who may reach whom: programs that can destroy data are reached by those that have to.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::names::{
    GRPC_PORT, Labels, MYSQL_PORT, PROMETHEUS, VITESS, VTADMIN, VTBACKUP, VTCTLD, VTGATE, VTORC,
    VTTABLET, WEB_PORT,
};
use crate::cluster::wanted::Wanted;
use crate::monitoring;
use crate::names::{CLIENT_PORT, METRICS_PORT, Names, PEER_PORT};
use crate::vtadmin;
use crate::workload;

/// Label that Kubernetes itself puts on namespaces.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

/// Policies of every program; `operator` is the operator's own namespace. Probes come from the node, which policies do
/// not concern.
#[must_use]
pub fn policies(wanted: &Wanted, owner: &OwnerReference, operator: &str) -> Vec<NetworkPolicy> {
    let names = &wanted.names;
    let own = || vec![pods([(VITESS, &*names.name)])];
    let operator = || NetworkPolicyPeer {
        namespace_selector: Some(workload::selects(&labels([(NAMESPACE, operator)]))),
        ..NetworkPolicyPeer::default()
    };
    // Metrics are for whoever is in the namespace.
    let metrics = |port| rule(vec![pods([])], &[port]);
    let managed = || [own(), vec![operator()]].concat();
    let mut all = vec![
        (
            names.vtctld(),
            names.selector(VTCTLD),
            vec![rule(managed(), &[GRPC_PORT]), metrics(WEB_PORT)],
        ),
        (
            names.tablets(),
            names.selector(VTTABLET),
            vec![rule(own(), &[GRPC_PORT, MYSQL_PORT]), metrics(WEB_PORT)],
        ),
        (
            names.prometheus(),
            names.selector(PROMETHEUS),
            vec![rule(vec![pods([]), operator()], &[monitoring::PORT])],
        ),
        (
            names.vtadmin(),
            names.selector(VTADMIN),
            // Nobody who comes is known.
            vec![rule(vec![pods([])], &[vtadmin::PAGE_PORT])],
        ),
        (
            format!("{}-vtbackup", names.name),
            names.selector(VTBACKUP),
            vec![metrics(WEB_PORT)],
        ),
        (
            format!("{}-vtorc", names.name),
            names.selector(VTORC),
            vec![metrics(WEB_PORT)],
        ),
        (
            names.gateway(),
            names.selector(VTGATE),
            vec![
                // Clients are anywhere; each port knows them by password or certificate.
                rule(Vec::new(), &[MYSQL_PORT, GRPC_PORT]),
                metrics(WEB_PORT),
            ],
        ),
    ];
    if wanted.topology.is_own {
        let etcd = Names::new(&names.namespace, &names.name);
        let members = vec![NetworkPolicyPeer {
            pod_selector: Some(workload::selects(&etcd.member_selector())),
            ..NetworkPolicyPeer::default()
        }];
        let clients = [managed(), members.clone()].concat();
        let rules = vec![
            rule(clients, &[CLIENT_PORT]),
            rule(members, &[PEER_PORT]),
            metrics(METRICS_PORT),
        ];
        all.push((etcd.service(), etcd.member_selector(), rules));
    }
    let policy = |(name, selector, rules): (String, Labels, Vec<NetworkPolicyIngressRule>)| {
        let labels = names.labels();
        NetworkPolicy {
            metadata: workload::meta(owner, &names.namespace, name, labels),
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(workload::selects(&selector)),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(rules),
                egress: None,
            }),
        }
    };
    all.into_iter().map(policy).collect()
}

/// Without anyone named: everyone.
fn rule(from: Vec<NetworkPolicyPeer>, ports: &[i32]) -> NetworkPolicyIngressRule {
    let ports = ports.iter().map(|port| NetworkPolicyPort {
        port: Some(IntOrString::Int(*port)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    });
    NetworkPolicyIngressRule {
        from: (!from.is_empty()).then_some(from),
        ports: Some(ports.collect()),
    }
}

/// Pods of the same namespace with these labels; without any, all of them.
fn pods<const N: usize>(with: [(&str, &str); N]) -> NetworkPolicyPeer {
    let with = labels(with);
    NetworkPolicyPeer {
        pod_selector: Some(workload::selects(&with)),
        ..NetworkPolicyPeer::default()
    }
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}
