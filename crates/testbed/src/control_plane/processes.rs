//! The command lines of a control plane. Everything listens on 127.0.0.1 only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::pki::{self, Authority, Subject};
use super::{Programs, kubeconfig};
use crate::api::{Api, Client};
use crate::bed::{Bed, PartSpec};
use crate::error::Error;

/// Names of the API server; the first of [`SERVICE_RANGE`] is what pods call it by.
const API_NAMES: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];
const HERE: &[&str] = &["localhost", "127.0.0.1"];
const SERVICE_RANGE: &str = "10.96.0.0/16";
const POD_RANGE: &str = "10.244.0.0/16";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Data that nobody wants to keep need not be written out in peace.
const AT_ONCE: Duration = Duration::ZERO;

/// Where things of one control plane are.
pub(super) struct Layout {
    pub(super) pki: PathBuf,
    pub(super) server: String,
    pub(super) authority: Authority,
    pub(super) admin: Client,
}

impl Layout {
    /// Chooses ports and makes keys and kubeconfigs.
    pub(super) fn create(bed: &mut Bed) -> Result<Self, Error> {
        let pki = bed.subfolder("pki", None)?;
        let server = format!("https://127.0.0.1:{}", bed.port("kube-apiserver")?);
        let authority = Authority::create(&pki, "ca")?;
        let front_proxy = Authority::create(&pki, "front-proxy-ca")?;
        pki::create_token_keys(&pki)?;
        authority.sign(&Subject {
            file: "kube-apiserver",
            common_name: "kube-apiserver",
            organization: None,
            serves: API_NAMES,
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
    let egress = write_egress(bed, layout)?;
    let file = |name: &str| layout.file(name);
    Ok(PartSpec::new("kube-apiserver", &programs.kube_apiserver)
        .args([
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            // A loopback address may be advertised only if nobody is told of it.
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--egress-selector-config-file={}", egress.display()),
            format!("--service-cluster-ip-range={SERVICE_RANGE}"),
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
        .grace(AT_ONCE))
}

/// Sends whatever the API server would send to pods, services and nodes to a socket that does not exist: their
/// addresses are fiction here, and a packet for them could leave the machine.
fn write_egress(bed: &Bed, layout: &Layout) -> Result<PathBuf, Error> {
    let nowhere = bed.folder().join("nowhere.sock");
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
    Ok(layout.pki.join("egress.json"))
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
            format!("--cluster-cidr={POD_RANGE}"),
            format!("--service-cluster-ip-range={SERVICE_RANGE}"),
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
