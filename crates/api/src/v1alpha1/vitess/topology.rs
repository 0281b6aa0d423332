//! Where a cluster keeps its topology.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::compute::{Placement, Resources, Storage};
use crate::v1alpha1::topo_server;

/// Where the topology is kept: exactly one of these. Which of them cannot be changed.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.etcd) != has(self.external)").message("topology has exactly one of etcd and external").reason(Reason::FieldValueInvalid),
    validation = Rule::new("has(self.etcd) == has(oldSelf.etcd)").message("topology cannot be moved between etcd and external: the cluster would be lost").reason(Reason::FieldValueForbidden)
)]
pub struct Topology {
    /// In an etcd cluster that is made for it, as a TopoServer of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etcd: Option<Etcd>,
    /// In an etcd cluster that is there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalTopology>,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            etcd: Some(Etcd::default()),
            external: None,
        }
    }
}

/// An etcd cluster that is made for this topology.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    /// Members: 1, 3 or 5. It may grow and never shrinks.
    #[serde(default = "members")]
    #[schemars(extend("enum" = [1, 3, 5]))]
    #[x_kube(validation = Rule::new("self >= oldSelf").message("members cannot shrink: make a new cluster and restore into it").reason(Reason::FieldValueForbidden))]
    pub members: i32,
    /// What each member gets.
    #[serde(default = "topo_server::resources")]
    pub resources: Resources,
    /// Volume of each member.
    #[serde(default = "topo_server::storage")]
    pub storage: Storage,
    /// Size in MiB at which etcd stops taking writes.
    #[serde(default = "topo_server::quota_mebibytes")]
    #[schemars(range(min = 64, max = 8192))]
    pub quota_mebibytes: i32,
    /// Where members may run.
    #[serde(default)]
    pub placement: Placement,
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            members: members(),
            resources: topo_server::resources(),
            storage: topo_server::storage(),
            quota_mebibytes: topo_server::quota_mebibytes(),
            placement: Placement::default(),
        }
    }
}

fn members() -> i32 {
    3
}

/// An etcd cluster that is there already.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTopology {
    /// Addresses of its members, such as `https://etcd-0.example.com:2379`.
    #[schemars(length(min = 1, max = 9), inner(length(min = 1, max = 253), pattern("^https?://[^\\s/?#@]+:[0-9]{1,5}$")), extend("x-kubernetes-list-type" = "set"))]
    pub addresses: Vec<String>,
    /// Path below which everything of this cluster is; no other cluster may use it. Cannot be changed.
    #[schemars(length(min = 2, max = 128), pattern("^(/[a-z0-9][a-z0-9._-]*)+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("rootPath cannot be changed: the cluster would be lost").reason(Reason::FieldValueForbidden))]
    pub root_path: String,
    /// How members are known and we are known to them, for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ExternalTopologyTls>,
}

/// How members of an external etcd are known and we are known to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTopologyTls {
    /// Secret of the same namespace with `ca.crt`, `tls.crt` and `tls.key`, PEM.
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: String,
}
