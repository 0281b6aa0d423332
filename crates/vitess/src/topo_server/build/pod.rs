//! The pod of a member.

use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaimVolumeSource, Pod, PodSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::digest;
use crate::names::{Addresses, CLIENT_PORT, METRICS_PORT, PEER_PORT};
use crate::topo_server::build::{MEMBER_NAME, owned};
use crate::topo_server::observed::{GENERATION, TEMPLATE};
use crate::topo_server::plan::Start;
use crate::topo_server::validate::Validated;
use crate::workload;

/// Where the volume is.
pub const VOLUME: &str = "/var/lib/etcd";
/// Where keys and certificates are.
pub const CERTIFICATES: &str = "/etc/etcd/tls";
/// Nobody's number, as the operator's own.
const USER: i64 = 65_532;
/// Revisions that are kept: Vitess watches from the newest and reads no history.
const COMPACTION_REVISIONS: u32 = 1000;
/// One value; a VSchema of thousands of tables is a few MB.
const REQUEST_BYTES_MAX: u32 = 8 << 20;

/// The pod of the member `index`. How it starts does not belong to its template: etcd looks at that only once.
#[must_use]
pub fn pod(wanted: &Validated, index: u32, start: &Start, addresses: &dyn Addresses) -> Pod {
    let template = template(wanted, index, addresses);
    let mut spec = template.clone();
    if let Some(container) = spec.containers.first_mut()
        && let Some(args) = &mut container.args
    {
        args.extend(begin(wanted, index, start, addresses));
    }
    Pod {
        metadata: ObjectMeta {
            labels: Some(wanted.names.member_labels(index)),
            annotations: Some(
                [
                    (TEMPLATE.to_owned(), digest_of(&template)),
                    (GENERATION.to_owned(), wanted.generation.to_string()),
                ]
                .into(),
            ),
            ..owned(wanted, wanted.names.member(index))
        },
        spec: Some(spec),
        status: None,
    }
}

/// By what it is seen that a pod is no longer as it would be made now.
#[must_use]
pub fn template_digest(wanted: &Validated, index: u32, addresses: &dyn Addresses) -> String {
    digest_of(&template(wanted, index, addresses))
}

fn digest_of(template: &PodSpec) -> String {
    // A spec of plain values is always JSON.
    digest::short(&serde_json::to_string(template).unwrap_or_default())
}

fn begin(wanted: &Validated, index: u32, start: &Start, addresses: &dyn Addresses) -> Vec<String> {
    let names = &wanted.names;
    let url = |index| addresses.peer_url(names, index);
    let (state, members) = match start {
        Start::New { members } => {
            let all = (0..*members).map(|index| (names.member(index), url(index)));
            ("new", all.collect())
        }
        // Its data says who the others are.
        Start::Existing(members) if members.is_empty() => {
            ("existing", vec![(names.member(index), url(index))])
        }
        Start::Existing(members) => ("existing", members.clone()),
    };
    let members: Vec<_> = members
        .iter()
        .map(|(name, url)| format!("{name}={url}"))
        .collect();
    vec![
        format!("--initial-cluster-state={state}"),
        format!("--initial-cluster={}", members.join(",")),
    ]
}

fn template(wanted: &Validated, index: u32, addresses: &dyn Addresses) -> PodSpec {
    let (names, spec) = (&wanted.names, &wanted.spec);
    let mut pod = PodSpec {
        hostname: Some(names.member(index)),
        subdomain: Some(names.peers()),
        containers: vec![container(wanted, index, addresses)],
        restart_policy: Some("Always".to_owned()),
        // A leader hands over before it ends.
        termination_grace_period_seconds: Some(30),
        image_pull_secrets: workload::pull_secrets(&spec.image_pull_secrets),
        volumes: Some(vec![
            Volume {
                name: "data".to_owned(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: names.member(index),
                    ..PersistentVolumeClaimVolumeSource::default()
                }),
                ..Volume::default()
            },
            workload::secret("tls", &names.member_certificate()),
        ]),
        ..workload::restricted(USER)
    };
    let peers = names.member_selector();
    workload::place(&mut pod, &spec.placement, None, &peers);
    pod
}

fn container(wanted: &Validated, index: u32, addresses: &dyn Addresses) -> Container {
    let policy = wanted.spec.image_pull_policy.name();
    Container {
        command: Some(vec!["etcd".to_owned()]),
        args: Some(args(wanted, index, addresses)),
        ports: Some(vec![
            workload::port("client", CLIENT_PORT),
            workload::port("peer", PEER_PORT),
            workload::port("metrics", METRICS_PORT),
        ]),
        resources: Some(workload::requirements(&wanted.spec.resources)),
        // A member with a large log reads for minutes before it answers.
        startup_probe: Some(workload::probe("/livez", "metrics", 5, 120)),
        liveness_probe: Some(workload::probe("/livez", "metrics", 10, 6)),
        readiness_probe: Some(workload::probe("/readyz", "metrics", 5, 3)),
        volume_mounts: Some(vec![
            workload::mount("data", VOLUME),
            workload::read_only("tls", CERTIFICATES),
        ]),
        ..workload::confined("etcd", &wanted.spec.image, policy)
    }
}

fn args(wanted: &Validated, index: u32, addresses: &dyn Addresses) -> Vec<String> {
    let names = &wanted.names;
    let tls = |flag: &str, file: &str| format!("--{flag}={CERTIFICATES}/{file}");
    vec![
        format!("--name={}", names.member(index)),
        // A folder below: the volume's own may hold `lost+found`.
        format!("--data-dir={VOLUME}/data"),
        format!("--listen-client-urls=https://0.0.0.0:{CLIENT_PORT}"),
        format!(
            "--advertise-client-urls={}",
            addresses.client_url(names, index)
        ),
        format!("--listen-peer-urls=https://0.0.0.0:{PEER_PORT}"),
        format!(
            "--initial-advertise-peer-urls={}",
            addresses.peer_url(names, index)
        ),
        format!("--initial-cluster-token={}/{}", names.namespace, names.name),
        format!("--listen-metrics-urls=http://0.0.0.0:{METRICS_PORT}"),
        "--client-cert-auth=true".to_owned(),
        tls("trusted-ca-file", "ca.crt"),
        tls("cert-file", "tls.crt"),
        tls("key-file", "tls.key"),
        "--peer-client-cert-auth=true".to_owned(),
        tls("peer-trusted-ca-file", "ca.crt"),
        tls("peer-cert-file", "tls.crt"),
        tls("peer-key-file", "tls.key"),
        // A client's certificate is of the same authority and makes nobody a member.
        format!("--peer-cert-allowed-cn={MEMBER_NAME}"),
        "--auto-compaction-mode=revision".to_owned(),
        format!("--auto-compaction-retention={COMPACTION_REVISIONS}"),
        format!("--quota-backend-bytes={}", wanted.quota_bytes),
        format!("--max-request-bytes={REQUEST_BYTES_MAX}"),
        "--logger=zap".to_owned(),
        "--log-outputs=stderr".to_owned(),
    ]
}
