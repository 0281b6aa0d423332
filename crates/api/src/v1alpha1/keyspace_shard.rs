//! `KeyspaceShard`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::v1alpha1::key_range::KeyRange;
use crate::v1alpha1::vitess::keyspace::{
    Durability, RestoreFrom, TabletPoolTemplate, TurndownPolicy,
};

/// One shard that exists.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "KeyspaceShard",
    plural = "keyspaceshards",
    singular = "keyspaceshard",
    shortname = "fks",
    category = "foreshard",
    namespaced,
    status = "KeyspaceShardStatus",
    derive = "PartialEq",
    doc = "One shard that exists: its key range, its durability, its pools of tablets. Made by the controllers of clusters and of Reshards; whether it serves is for Vitess to say.",
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.vitessName"),
    printcolumn(name = "Keyspace", type_ = "string", json_path = ".spec.keyspace"),
    printcolumn(name = "Shard", type_ = "string", json_path = ".status.shard"),
    printcolumn(name = "Primary", type_ = "string", json_path = ".status.primary"),
    printcolumn(
        name = "Serving",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Serving')].status"
    ),
    printcolumn(name = "Tablets", type_ = "string", json_path = ".status.tabletsReady"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Last Backup",
        type_ = "date",
        json_path = ".status.lastBackupTime"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    selectable = ".spec.vitessName",
    selectable = ".spec.keyspace"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.durability == 'None' || self.tabletPools.filter(p, p.type == 'Replica').map(p, has(p.replicas) ? p.replicas : p.initialReplicas).sum() >= 3").message("a shard has at least 3 tablets of type Replica, over all pools, unless durability is None").reason(Reason::FieldValueInvalid),
    validation = Rule::new("has(self.restoreFrom) == has(oldSelf.restoreFrom) && (!has(self.restoreFrom) || self.restoreFrom == oldSelf.restoreFrom)").message("restoreFrom says with what the shard began and cannot be changed").reason(Reason::FieldValueForbidden)
)]
pub struct KeyspaceShardSpec {
    /// The cluster, by the name of its Vitess. Cannot be changed.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("vitessName cannot be changed").reason(Reason::FieldValueForbidden))]
    pub vitess_name: String,
    /// The keyspace. Cannot be changed.
    #[schemars(length(min = 1, max = 32), pattern("^[a-z]([a-z0-9_-]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("keyspace cannot be changed").reason(Reason::FieldValueForbidden))]
    pub keyspace: String,
    /// The range of keyspace identifiers that it holds; without bounds: all. Cannot be changed.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("keyRange cannot be changed: a Reshard makes other shards").reason(Reason::FieldValueForbidden))]
    pub key_range: KeyRange,
    /// Who must have a write before it is acknowledged.
    #[serde(default)]
    pub durability: Durability,
    /// Its pools of tablets.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["cell", "type", "name"]))]
    pub tablet_pools: Vec<TabletPoolTemplate>,
    /// When it may be taken away.
    #[serde(default)]
    pub turndown_policy: TurndownPolicy,
    /// Name of the database in MySQL. Cannot be changed.
    #[schemars(length(min = 1, max = 64), pattern("^[A-Za-z0-9_]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("databaseName cannot be changed: the data would stay behind").reason(Reason::FieldValueForbidden))]
    pub database_name: String,
    /// A backup of another cluster that it begins with. Read before its first tablet is made, and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,
}

/// What is known of a shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyspaceShardStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its name in Vitess, such as `-80`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 33))]
    pub shard: Option<String>,
    /// Pod of the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub primary: Option<String>,
    /// Ready tablets and wanted ones, such as `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub tablets_ready: Option<String>,
    /// Whether it had a primary once: from then on it is not initialized again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialized: Option<bool>,
    /// When the last backup was finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_time: Option<Time>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
