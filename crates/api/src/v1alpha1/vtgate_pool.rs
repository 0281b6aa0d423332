//! `VTGatePool`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::v1alpha1::vitess::components::GatewayTemplate;

/// Gateways of one cell.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "VTGatePool",
    plural = "vtgatepools",
    singular = "vtgatepool",
    shortname = "fvg",
    category = "foreshard",
    namespaced,
    status = "VTGatePoolStatus",
    derive = "PartialEq",
    doc = "Gateways of one cell. Made by the cluster's controllers; anyone may scale it.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Cluster", type_ = "string", json_path = ".spec.vitessName"),
    printcolumn(name = "Cell", type_ = "string", json_path = ".spec.cell"),
    printcolumn(name = "Wanted", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Gateways", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    selectable = ".spec.vitessName"
)]
#[serde(rename_all = "camelCase")]
pub struct VTGatePoolSpec {
    /// The cluster, by the name of its Vitess. Cannot be changed.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("vitessName cannot be changed").reason(Reason::FieldValueForbidden))]
    pub vitess_name: String,
    /// The cell. Cannot be changed.
    #[schemars(length(min = 1, max = 25), pattern("^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("cell cannot be changed").reason(Reason::FieldValueForbidden))]
    pub cell: String,
    /// Gateways. Set by whoever scales the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// What each gateway is made of.
    #[serde(default)]
    pub template: GatewayTemplate,
}

/// What is known of a pool of gateways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VTGatePoolStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Gateways that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: Option<i32>,
    /// Gateways that serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub ready_replicas: Option<i32>,
    /// Labels of its pods, for `/scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub selector: Option<String>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
