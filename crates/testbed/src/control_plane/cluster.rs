//! The addresses of a cluster.

use std::net::Ipv4Addr;

/// Where the control plane listens, and which addresses pods and services have.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// Where the API server listens.
    pub(crate) host: Ipv4Addr,
    /// The range of pods.
    pub(crate) pods: String,
    /// The range of services.
    pub(crate) services: String,
    /// The first of it, by which pods call the API server.
    pub(crate) first_service: String,
    /// Whether there are nodes, so that these addresses lead anywhere.
    pub(crate) has_nodes: bool,
}

impl Cluster {
    /// One without nodes: whatever has an address there is fiction.
    pub(crate) fn without_nodes() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST,
            pods: "10.244.0.0/16".to_owned(),
            services: "10.96.0.0/16".to_owned(),
            first_service: "10.96.0.1".to_owned(),
            has_nodes: false,
        }
    }
}
