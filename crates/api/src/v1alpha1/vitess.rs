//! `Vitess`.

pub mod backup;
pub mod components;
pub mod keyspace;
pub mod topology;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::v1alpha1::topo_server::{ETCD_IMAGE, ImagePullPolicy};
use backup::Backups;
use components::{Access, CellGateway, Component, Monitoring, UpdateStrategy};
use keyspace::Keyspace;
use topology::Topology;

/// The version of Vitess that is used where none is named.
pub const VITESS_VERSION: &str = "24.0.0";

/// A whole Vitess cluster.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "Vitess",
    plural = "vitesses",
    singular = "vitess",
    shortname = "fvt",
    category = "foreshard",
    namespaced,
    status = "VitessStatus",
    derive = "PartialEq",
    doc = "A whole Vitess cluster: topology, cells, keyspaces with their tablets, gateways, backups. It says what is wanted and how sharding began; KeyspaceShards record which shards exist.",
    printcolumn(name = "Cells", type_ = "integer", json_path = ".status.cells"),
    printcolumn(name = "Keyspaces", type_ = "integer", json_path = ".status.keyspaces"),
    printcolumn(name = "Shards", type_ = "integer", json_path = ".status.shards"),
    printcolumn(name = "Tablets", type_ = "string", json_path = ".status.tabletsReady"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name is at most 40 letters, digits and dashes, and begins with a letter: names of services follow from it").reason(Reason::FieldValueInvalid)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.keyspaces.all(k, k.tabletPools.all(p, self.cells.exists(c, c.name == p.cell)))").message("each pool of tablets is in one of the cells that are named in cells").reason(Reason::FieldValueInvalid),
    validation = Rule::new("has(self.backups) || !self.keyspaces.exists(k, has(k.restoreFrom))").message("restoreFrom names a folder of backups.location: name backups as well").reason(Reason::FieldValueInvalid),
    validation = Rule::new("self.keyspaces.all(k, !has(k.restoreFrom) || oldSelf.keyspaces.exists(o, o.name == k.name && has(o.restoreFrom) && o.restoreFrom == k.restoreFrom))").message("restoreFrom is for a Vitess that is new, and cannot be changed: the passwords in the backup are those of its own cluster").reason(Reason::FieldValueForbidden)
)]
pub struct VitessSpec {
    /// Version of Vitess that the images hold, such as `24.0.0`: it says which flags are used. It may rise by one major
    /// version at a time and does not fall.
    #[serde(default = "version")]
    #[schemars(
        length(min = 6, max = 10),
        pattern("^(2[4-9]|[3-9][0-9])\\.[0-9]{1,2}\\.[0-9]{1,3}$")
    )]
    #[x_kube(validation = Rule::new("int(self.split('.')[0]) >= int(oldSelf.split('.')[0]) && int(self.split('.')[0]) <= int(oldSelf.split('.')[0]) + 1").message("version rises by at most one major version at a time and does not fall below the major version").reason(Reason::FieldValueForbidden))]
    pub version: String,
    /// Images.
    #[serde(default)]
    pub images: Images,
    /// Cells: places that fail apart from each other.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub cells: Vec<Cell>,
    /// Where the topology is kept.
    #[serde(default)]
    pub topology: Topology,
    /// Keyspaces.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub keyspaces: Vec<Keyspace>,
    /// vtctld, which carries out changes of the cluster.
    #[serde(default)]
    pub vtctld: Component,
    /// vtorc, which repairs shards; so many run for each keyspace.
    #[serde(default)]
    pub vtorc: Component,
    /// VTAdmin, Vitess's own web page [default: none].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vtadmin: Option<Component>,
    /// Backups [default: none, and then pools cannot grow but by cloning].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<Backups>,
    /// Where metrics go [default: nowhere].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Who may ask the gateways.
    #[serde(default)]
    pub access: Access,
    /// When a change may restart what serves.
    #[serde(default)]
    pub update_strategy: UpdateStrategy,
    /// Whether the object can be deleted once it has served.
    #[serde(default)]
    pub deletion_protection: DeletionProtection,
}

impl VitessSpec {
    /// The defaults for everything else.
    #[must_use]
    pub fn new(cells: Vec<Cell>, keyspaces: Vec<Keyspace>) -> Self {
        Self {
            version: version(),
            images: Images::default(),
            cells,
            topology: Topology::default(),
            keyspaces,
            vtctld: Component::default(),
            vtorc: Component::default(),
            vtadmin: None,
            backups: None,
            monitoring: None,
            access: Access::default(),
            update_strategy: UpdateStrategy::default(),
            deletion_protection: DeletionProtection::default(),
        }
    }
}

fn version() -> String {
    VITESS_VERSION.to_owned()
}

/// Whether a cluster can be deleted once it has served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionProtection {
    /// Deleting it is refused.
    #[default]
    Enabled,
    /// Deleting it deletes it.
    Disabled,
}

/// A place that fails apart from others.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// Its name.
    #[schemars(length(min = 1, max = 25), pattern("^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Value of the nodes' label `topology.kubernetes.io/zone` where its pods run [default: anywhere].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub zone: Option<String>,
    /// Gateways of this cell.
    #[serde(default)]
    pub vtgate: CellGateway,
}

/// Images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// Vitess, laid out as `vitess/lite` [default: `docker.io/vitess/lite` of `version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), pattern("^[^\\s]+$"))]
    pub vitess: Option<String>,
    /// MySQL.
    #[serde(default = "mysqld_image")]
    #[schemars(length(min = 1, max = 512), pattern("^[^\\s]+$"))]
    pub mysqld: String,
    /// etcd.
    #[serde(default = "etcd_image")]
    #[schemars(length(min = 1, max = 512), pattern("^[^\\s]+$"))]
    pub etcd: String,
    /// VTAdmin [default: `docker.io/vitess/vtadmin` of `version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), pattern("^[^\\s]+$"))]
    pub vtadmin: Option<String>,
    /// When images are pulled.
    #[serde(default)]
    pub pull_policy: ImagePullPolicy,
    /// Secrets of the same namespace by which images are pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub pull_secrets: Vec<String>,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            vitess: None,
            mysqld: mysqld_image(),
            etcd: etcd_image(),
            vtadmin: None,
            pull_policy: ImagePullPolicy::default(),
            pull_secrets: Vec::new(),
        }
    }
}

fn mysqld_image() -> String {
    "docker.io/library/mysql:8.4".to_owned()
}

fn etcd_image() -> String {
    ETCD_IMAGE.to_owned()
}

/// What is known of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Cells that are registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub cells: Option<i32>,
    /// Keyspaces that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub keyspaces: Option<i32>,
    /// Shards that exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub shards: Option<i32>,
    /// Ready tablets and wanted ones, such as `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tablets_ready: Option<String>,
    /// Whether the cluster served once: from then on nothing of it is initialized again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// Keyspaces whose first shards were made: from then on KeyspaceShards say which shards there are, and a topology
    /// that does not know one of these keyspaces is another one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 32)), extend("x-kubernetes-list-type" = "set"))]
    pub begun_keyspaces: Vec<String>,
    /// Keyspaces that are being forgotten: the spec no longer named them, and nothing was left of them. One that is named
    /// again begins anew once this has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 32)), extend("x-kubernetes-list-type" = "set"))]
    pub ending_keyspaces: Vec<String>,
    /// What is no longer wanted and cannot be taken away yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub orphaned: Vec<Orphan>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What is no longer wanted and cannot be taken away yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Its kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Why it stays, as one word.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// Why it stays, and what to do about it.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
}
