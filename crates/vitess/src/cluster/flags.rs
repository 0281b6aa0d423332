//! Flags that several of Vitess's programs share.

use crate::cluster::names::{GRPC_PORT, WEB_PORT};
use crate::cluster::wanted::Wanted;

/// Where a program finds its own certificate, its key, and the cluster's authority.
pub(crate) const TLS: &str = "/etc/foreshard/tls";
/// Where it finds what the topology asks for.
pub(crate) const TOPOLOGY: &str = "/etc/foreshard/topology";
/// Files of both.
const FILES: [(&str, &str); 3] = [("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key")];

/// What every program has: pages, gRPC, logs.
pub(crate) fn common() -> Vec<String> {
    vec![
        "--config-file-not-found-handling=ignore".to_owned(),
        "--log-format=json".to_owned(),
        format!("--port={WEB_PORT}"),
    ]
}

/// By which the topology is reached.
pub(crate) fn topology(wanted: &Wanted) -> Vec<String> {
    let topology = &wanted.topology;
    let mut all = vec![
        "--topo-implementation=etcd2".to_owned(),
        format!("--topo-global-server-address={}", topology.addresses),
        format!("--topo-global-root={}", topology.global_root()),
    ];
    if topology.secret_name.is_some() {
        all.extend(files("topo-etcd-tls", TOPOLOGY));
    }
    all
}

/// Whoever asks by gRPC has to show a certificate of the cluster's authority.
pub(crate) fn serves_grpc() -> Vec<String> {
    let mut all = vec![format!("--grpc-port={GRPC_PORT}")];
    all.extend(files("grpc", TLS));
    all.push("--grpc-prometheus".to_owned());
    all
}

/// By which tablets are asked for queries.
pub(crate) fn asks_tablets() -> Vec<String> {
    files("tablet-grpc", TLS)
}

/// By which tablets are managed.
pub(crate) fn manages_tablets() -> Vec<String> {
    files("tablet-manager-grpc", TLS)
}

/// By which vtctld is asked.
pub(crate) fn asks_vtctld() -> Vec<String> {
    files("vtctld-grpc", TLS)
}

fn files(prefix: &str, folder: &str) -> Vec<String> {
    FILES
        .iter()
        .map(|(flag, file)| format!("--{prefix}-{flag}={folder}/{file}"))
        .collect()
}
