//! `LoadEvent`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// A known future.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "LoadEvent",
    plural = "loadevents",
    singular = "loadevent",
    shortname = "fle",
    category = "foreshard",
    namespaced,
    derive = "PartialEq",
    doc = "A known future: from start to end, the load is expected to be factorPercent of what is forecast.",
    printcolumn(name = "From", type_ = "string", json_path = ".spec.startTime"),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.endTime"),
    printcolumn(name = "Percent", type_ = "integer", json_path = ".spec.factorPercent"),
    printcolumn(
        name = "Why",
        type_ = "string",
        json_path = ".spec.reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.startTime < self.endTime").message("startTime is before endTime").reason(Reason::FieldValueInvalid))]
pub struct LoadEventSpec {
    /// When it begins.
    pub start_time: Time,
    /// When it ends, exclusive.
    pub end_time: Time,
    /// Load in percent of what is forecast: 300 is three times as much. Below 100 nothing shrinks because of it.
    #[schemars(range(min = 1, max = 10_000))]
    pub factor_percent: i32,
    /// Names of ScalingPolicies in the same namespace; without any, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub policy_names: Vec<String>,
    /// Why, for explanations.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub reason: String,
}
