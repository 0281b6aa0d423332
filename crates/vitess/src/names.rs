//! Names and labels of what is made of one etcd cluster. All of them follow from namespace and name of its TopoServer.

use std::collections::BTreeMap;

/// Most members that a cluster can have.
pub const MEMBERS_MAX: u32 = 5;
/// Port for clients.
pub(crate) const CLIENT_PORT: i32 = 2379;
/// Port for peers.
pub(crate) const PEER_PORT: i32 = 2380;
/// Port for probes and metrics; nothing of the data is to be had there.
pub(crate) const METRICS_PORT: i32 = 2381;

/// Who made an object.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What we write there.
pub(crate) const US: &str = "foreshard";
/// What an object is a part of.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
/// What etcd's objects have there.
pub(crate) const ETCD: &str = "etcd";
/// The TopoServer that an object belongs to.
pub(crate) const TOPO_SERVER: &str = "foreshard.dev/topo-server";
/// Number of a member.
pub(crate) const INDEX: &str = "foreshard.dev/index";

/// What all that we make is selected by.
pub(crate) fn selector() -> String {
    format!("{MANAGED_BY}={US}")
}

/// Names of one etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Namespace.
    pub namespace: String,
    /// Name of the TopoServer.
    pub name: String,
}

impl Names {
    /// Of the TopoServer `name`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Pod, volume and etcd's own name of the member `index`.
    #[must_use]
    pub fn member(&self, index: u32) -> String {
        format!("{}-etcd-{index}", self.name)
    }

    /// Which member a pod or a volume belongs to.
    #[must_use]
    pub fn index_of(&self, member: &str) -> Option<u32> {
        (0..MEMBERS_MAX).find(|index| self.member(*index) == member)
    }

    /// The service for clients.
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}-etcd", self.name)
    }

    /// The service that gives each member a name.
    #[must_use]
    pub fn peers(&self) -> String {
        format!("{}-etcd-peers", self.name)
    }

    /// DNS name of a member.
    #[must_use]
    pub fn host(&self, index: u32) -> String {
        format!(
            "{}.{}.{}.svc",
            self.member(index),
            self.peers(),
            self.namespace
        )
    }

    /// Secret with the authority's certificate and key.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}-ca", self.name)
    }

    /// Secret that members mount.
    #[must_use]
    pub fn member_certificate(&self) -> String {
        format!("{}-etcd-member", self.name)
    }

    /// Secret that clients mount.
    #[must_use]
    pub fn client_certificate(&self) -> String {
        format!("{}-etcd-client", self.name)
    }

    /// Labels of everything.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            (MANAGED_BY, US),
            (COMPONENT, ETCD),
            ("app.kubernetes.io/name", ETCD),
            ("app.kubernetes.io/instance", &self.name),
            (TOPO_SERVER, &self.name),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    /// Labels that select the members.
    #[must_use]
    pub fn member_selector(&self) -> BTreeMap<String, String> {
        [(COMPONENT, ETCD), (TOPO_SERVER, &self.name)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    /// Labels of a member's pod and volume.
    #[must_use]
    pub fn member_labels(&self, index: u32) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert(INDEX.to_owned(), index.to_string());
        labels
    }
}

/// How members are reached. In a cluster by DNS; a test's members are elsewhere.
pub trait Addresses: Send + Sync {
    /// URL by which peers reach a member.
    fn peer_url(&self, names: &Names, index: u32) -> String;
    /// URL by which clients reach it.
    fn client_url(&self, names: &Names, index: u32) -> String;
    /// `HOST:PORT` by which we reach it ourselves.
    fn dial(&self, names: &Names, index: u32) -> String {
        let url = self.client_url(names, index);
        url.trim_start_matches("https://").to_owned()
    }
}

/// By the names that the headless service gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dns;

impl Addresses for Dns {
    fn peer_url(&self, names: &Names, index: u32) -> String {
        format!("https://{}:{PEER_PORT}", names.host(index))
    }

    fn client_url(&self, names: &Names, index: u32) -> String {
        format!("https://{}:{CLIENT_PORT}", names.host(index))
    }
}
