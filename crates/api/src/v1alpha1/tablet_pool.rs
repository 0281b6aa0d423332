//! `TabletPool`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::v1alpha1::key_range::KeyRange;
use crate::v1alpha1::vitess::keyspace::{TabletTemplate, TabletType};

/// Tablets of one type of one shard in one cell.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "TabletPool",
    plural = "tabletpools",
    singular = "tabletpool",
    shortname = "ftp",
    category = "foreshard",
    namespaced,
    status = "TabletPoolStatus",
    derive = "PartialEq",
    doc = "Tablets of one type of one shard in one cell. Made by the cluster's controllers; anyone may scale it.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Keyspace", type_ = "string", json_path = ".spec.keyspace"),
    printcolumn(name = "Shard", type_ = "string", json_path = ".status.shard"),
    printcolumn(name = "Cell", type_ = "string", json_path = ".spec.cell"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Wanted", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Tablets", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.vitessName",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    selectable = ".spec.vitessName",
    selectable = ".spec.keyspace"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.replicas) || self.replicas >= self.minReplicas").message("replicas is at least minReplicas: with fewer tablets the shard would not be as durable as its keyspace says").reason(Reason::FieldValueInvalid))]
pub struct TabletPoolSpec {
    /// The cluster, by the name of its Vitess. Cannot be changed.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("vitessName cannot be changed").reason(Reason::FieldValueForbidden))]
    pub vitess_name: String,
    /// The keyspace. Cannot be changed.
    #[schemars(length(min = 1, max = 32), pattern("^[a-z]([a-z0-9_-]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("keyspace cannot be changed").reason(Reason::FieldValueForbidden))]
    pub keyspace: String,
    /// Key range of the shard. Cannot be changed.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("keyRange cannot be changed").reason(Reason::FieldValueForbidden))]
    pub key_range: KeyRange,
    /// The cell. Cannot be changed.
    #[schemars(length(min = 1, max = 25), pattern("^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cell cannot be changed").reason(Reason::FieldValueForbidden))]
    pub cell: String,
    /// Type of the tablets. Cannot be changed.
    #[serde(rename = "type")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("type cannot be changed").reason(Reason::FieldValueForbidden))]
    pub kind: TabletType,
    /// Tells pools of one cell and type apart. Cannot be changed.
    #[schemars(length(min = 1, max = 16), pattern("^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("poolName cannot be changed").reason(Reason::FieldValueForbidden))]
    pub pool_name: String,
    /// Tablets, the primary included. Set by whoever scales the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub replicas: Option<i32>,
    /// Fewest tablets that the shard's durability asks of this pool, beside the others.
    #[serde(default = "min_replicas")]
    #[schemars(range(min = 0, max = 64))]
    pub min_replicas: i32,
    /// What each tablet is made of.
    pub template: TabletTemplate,
}

fn min_replicas() -> i32 {
    1
}

/// What is known of a pool of tablets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TabletPoolStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Name of the shard in Vitess, such as `-80`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 33))]
    pub shard: Option<String>,
    /// Tablets that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Tablets that serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub ready_replicas: Option<i32>,
    /// Labels of its pods, for `/scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// Seconds from an order to a tablet that serves: expected until one was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 604_800))]
    pub lead_time_seconds: Option<i32>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
