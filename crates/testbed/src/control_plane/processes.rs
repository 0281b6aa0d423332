//! The command lines of a control plane. Everything listens on 127.0.0.1 only.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::pki::{self, Authority, Subject};
use super::{Cluster, Programs, kubeconfig};
use crate::api::{Api, Client};
use crate::bed::{Bed, PartSpec};
use crate::error::Error;

/// Names of the API server, beside its addresses.
const API_NAMES: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];
const HERE: &[&str] = &["localhost", "127.0.0.1"];
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Data that nobody wants to keep need not be written out in peace.
const AT_ONCE: Duration = Duration::ZERO;

/// Where things of one control plane are.
pub(super) struct Layout {
    pub(super) pki: PathBuf,
    pub(super) server: String,
    pub(super) cluster: Cluster,
    pub(super) authority: Authority,
    pub(super) admin: Client,
}

impl Layout {
    /// Chooses ports and makes keys and kubeconfigs.
    pub(super) fn create(bed: &mut Bed, cluster: Cluster) -> Result<Self, Error> {
        let pki = bed.subfolder("pki", None)?;
        let server = format!("https://{}:{}", cluster.host, bed.port("kube-apiserver")?);
        let authority = Authority::create(&pki, "ca")?;
        let front_proxy = Authority::create(&pki, "front-proxy-ca")?;
        pki::create_token_keys(&pki)?;
        let host = cluster.host.to_string();
        let mut api_names = API_NAMES.to_vec();
        api_names.extend([host.as_str(), &cluster.first_service]);
        authority.sign(&Subject {
            file: "kube-apiserver",
            common_name: "kube-apiserver",
            organization: None,
            serves: &api_names,
        })?;
        front_proxy.sign(&Subject {
            file: "front-proxy-client",
            common_name: "front-proxy-client",
            organization: None,
            serves: &[],
        })?;
        let layout = Self {
            admin: authority.sign(&Subject {
                file: "admin",
                common_name: "admin",
                organization: Some("system:masters"),
                serves: &[],
            })?,
            pki,
            server,
            cluster,
            authority,
        };
        layout.write_kubeconfig("admin", &layout.admin)?;
        layout.component(
            "kube-controller-manager",
            "system:kube-controller-manager",
            None,
        )?;
        layout.component("kube-scheduler", "system:kube-scheduler", None)?;
        Ok(layout)
    }

    /// A client of the API server that serves something itself: certificate and kubeconfig.
    pub(super) fn component(
        &self,
        name: &str,
        user: &str,
        group: Option<&str>,
    ) -> Result<(), Error> {
        let client = self.authority.sign(&Subject {
            file: name,
            common_name: user,
            organization: group,
            serves: HERE,
        })?;
        self.write_kubeconfig(name, &client)
    }

    /// What a node of this name and address is known by, to the API server and from it.
    pub(super) fn node(&self, name: &str, address: Ipv4Addr) -> Result<(), Error> {
        let kubelet = self.authority.sign(&Subject {
            file: "kubelet",
            common_name: &format!("system:node:{name}"),
            organization: Some("system:nodes"),
            serves: &[name, &address.to_string(), "127.0.0.1"],
        })?;
        self.write_kubeconfig("kubelet", &kubelet)?;
        self.component("kube-proxy", "system:kube-proxy", None)
    }

    /// A client for the tests, with every right.
    pub(super) fn api(&self) -> Result<Api, Error> {
        Api::tls(
            &self.server,
            self.authority.certificate(),
            Some(&self.admin),
            None,
        )
        .map_err(|error| Error::Elsewhere(error.to_string()))
    }

    /// For what only listens and whose answers to strangers are enough.
    pub(super) fn stranger(&self, port: u16) -> Result<Api, Error> {
        let server = format!("https://127.0.0.1:{port}");
        Api::tls(server, self.authority.certificate(), None, None)
            .map_err(|error| Error::Elsewhere(error.to_string()))
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.pki.join(name).display().to_string()
    }

    pub(super) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.pki.join(format!("{name}.kubeconfig"))
    }

    fn write_kubeconfig(&self, name: &str, client: &Client) -> Result<(), Error> {
        let text = kubeconfig::text(&self.server, self.authority.certificate(), client);
        pki::write(&self.pki, &format!("{name}.kubeconfig"), &text)
    }
}

pub(super) fn etcd(bed: &mut Bed, programs: &Programs) -> Result<PartSpec, Error> {
    let client = format!("http://127.0.0.1:{}", bed.port("etcd-client")?);
    let peer = format!("http://127.0.0.1:{}", bed.port("etcd-peer")?);
    let data = bed.folder().join("etcd");
    Ok(PartSpec::new("etcd", &programs.etcd)
        .args([
            "--name=testbed".to_owned(),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=testbed={peer}"),
            // The data does not outlive the bed, so it need not survive a power cut.
            "--unsafe-no-fsync".to_owned(),
        ])
        .grace(AT_ONCE))
}

pub(super) fn kube_apiserver(
    bed: &mut Bed,
    programs: &Programs,
    layout: &Layout,
) -> Result<PartSpec, Error> {
    let etcd = bed.port("etcd-client")?;
    let port = bed.port("kube-apiserver")?;
    let reach = if layout.cluster.has_nodes {
        reach_nodes(layout)?
    } else {
        reach_nobody(bed, layout)?
    };
    let file = |name: &str| layout.file(name);
    Ok(PartSpec::new("kube-apiserver", &programs.kube_apiserver)
        .args([
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            format!("--secure-port={port}"),
            format!("--bind-address={}", layout.cluster.host),
            format!("--advertise-address={}", layout.cluster.host),
            format!("--service-cluster-ip-range={}", layout.cluster.services),
            format!("--tls-cert-file={}", file("kube-apiserver.crt")),
            format!("--tls-private-key-file={}", file("kube-apiserver.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            "--profiling=false".to_owned(),
        ])
        .args([
            format!("--service-account-issuer={ISSUER}"),
            format!(
                "--service-account-key-file={}",
                file("service-accounts.pub")
            ),
            format!(
                "--service-account-signing-key-file={}",
                file("service-accounts.key")
            ),
        ])
        .args([
            format!(
                "--requestheader-client-ca-file={}",
                file("front-proxy-ca.crt")
            ),
            "--requestheader-allowed-names=front-proxy-client".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            format!(
                "--proxy-client-cert-file={}",
                file("front-proxy-client.crt")
            ),
            format!("--proxy-client-key-file={}", file("front-proxy-client.key")),
        ])
        .args(reach)
        .grace(AT_ONCE))
}

/// See [`reach_nobody`].
pub(super) fn way_to_services(bed: &Bed) -> PathBuf {
    bed.folder().join("nowhere.sock")
}

/// Sends whatever the API server would send to pods, services and nodes to a socket that does not exist: their
/// addresses are fiction here, and a packet for them could leave the machine. A test may listen there.
fn reach_nobody(bed: &Bed, layout: &Layout) -> Result<Vec<String>, Error> {
    let nowhere = way_to_services(bed);
    let config = json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{
            "name": "cluster",
            "connection": {
                "proxyProtocol": "HTTPConnect",
                "transport": {"uds": {"udsName": nowhere}},
            },
        }],
    });
    pki::write(&layout.pki, "egress.json", &config.to_string())?;
    Ok(vec![
        format!(
            "--egress-selector-config-file={}",
            layout.file("egress.json")
        ),
        // A loopback address may be advertised only if nobody is told of it.
        "--endpoint-reconciler-type=none".to_owned(),
    ])
}

/// Logs, exec and port-forward go to the kubelet; aggregated APIs go to pods.
fn reach_nodes(layout: &Layout) -> Result<Vec<String>, Error> {
    let client = "kube-apiserver-kubelet-client";
    layout.authority.sign(&Subject {
        file: client,
        common_name: client,
        organization: Some("system:masters"),
        serves: &[],
    })?;
    Ok(vec![
        format!(
            "--kubelet-client-certificate={}",
            layout.file(&format!("{client}.crt"))
        ),
        format!(
            "--kubelet-client-key={}",
            layout.file(&format!("{client}.key"))
        ),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--enable-aggregator-routing=true".to_owned(),
        "--endpoint-reconciler-type=lease".to_owned(),
    ])
}

pub(super) fn kube_controller_manager(
    bed: &mut Bed,
    programs: &Programs,
    layout: &Layout,
) -> Result<PartSpec, Error> {
    let name = "kube-controller-manager";
    let port = bed.port(name)?;
    let file = |name: &str| layout.file(name);
    Ok(PartSpec::new(name, &programs.kube_controller_manager)
        .args(component_args(name, port, layout))
        .args([
            "--controllers=*,bootstrap-signer-controller,token-cleaner-controller".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            format!(
                "--service-account-private-key-file={}",
                file("service-accounts.key")
            ),
            format!("--root-ca-file={}", file("ca.crt")),
            format!("--cluster-signing-cert-file={}", file("ca.crt")),
            format!("--cluster-signing-key-file={}", file("ca.key")),
            "--allocate-node-cidrs=true".to_owned(),
            format!("--cluster-cidr={}", layout.cluster.pods),
            format!("--service-cluster-ip-range={}", layout.cluster.services),
            // The defaults, 20 and 30, keep tests waiting.
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
        ])
        .grace(AT_ONCE))
}

pub(super) fn kube_scheduler(
    bed: &mut Bed,
    programs: &Programs,
    layout: &Layout,
) -> Result<PartSpec, Error> {
    let name = "kube-scheduler";
    let port = bed.port(name)?;
    Ok(PartSpec::new(name, &programs.kube_scheduler)
        .args(component_args(name, port, layout))
        .grace(AT_ONCE))
}

/// What the two share.
fn component_args(name: &str, port: u16, layout: &Layout) -> Vec<String> {
    let kubeconfig = layout.kubeconfig(name).display().to_string();
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", layout.file(&format!("{name}.crt"))),
        format!(
            "--tls-private-key-file={}",
            layout.file(&format!("{name}.key"))
        ),
        format!("--client-ca-file={}", layout.authority.path().display()),
        // There is one of each, and a bed that comes up should not wait for a lease.
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

pub(super) fn kwok(
    bed: &mut Bed,
    program: &Path,
    stages: &Path,
    layout: &Layout,
) -> Result<PartSpec, Error> {
    let port = bed.port("kwok")?;
    let mut configs: Vec<String> = std::fs::read_dir(stages)
        .map_err(crate::bed::BedError::file(stages))?
        .flatten()
        .map(|entry| format!("--config={}", entry.path().display()))
        .collect();
    configs.sort();
    Ok(PartSpec::new("kwok", program)
        .args(configs)
        .args([
            format!("--kubeconfig={}", layout.kubeconfig("kwok").display()),
            "--manage-all-nodes=false".to_owned(),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
            "--cidr=10.250.0.0/16".to_owned(),
            "--node-ip=10.250.255.1".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            format!("--server-address=127.0.0.1:{port}"),
        ])
        .grace(AT_ONCE))
}
