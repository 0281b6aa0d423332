//! `ScalingOverride`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person's word that stands above all policies until it expires.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "ScalingOverride",
    plural = "scalingoverrides",
    singular = "scalingoverride",
    shortname = "fso",
    category = "foreshard",
    namespaced,
    derive = "PartialEq",
    doc = "A person's word that stands above all policies until it expires: a floor, a ceiling, a pause per direction.",
    selectable = ".spec.policyName",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyName"),
    printcolumn(name = "Floor", type_ = "integer", json_path = ".spec.minReplicas"),
    printcolumn(name = "Ceiling", type_ = "integer", json_path = ".spec.maxReplicas"),
    printcolumn(name = "Pause", type_ = "string", json_path = ".spec.pause"),
    printcolumn(name = "Until", type_ = "string", json_path = ".spec.expiryTime"),
    printcolumn(
        name = "Why",
        type_ = "string",
        json_path = ".spec.reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.minReplicas) || has(self.maxReplicas) || self.pause != 'None'").message("an override has a minReplicas, a maxReplicas or a pause").reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas").message("minReplicas is at most maxReplicas").reason(Reason::FieldValueInvalid)
)]
pub struct ScalingOverrideSpec {
    /// Name of the ScalingPolicy, in the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub policy_name: String,
    /// Never fewer than this; may go below the action's `min` no more than above its `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub min_replicas: Option<i32>,
    /// Never more than this is asked for, even where the floor asks for more. What is above it already is taken away like
    /// anything else: in its time, in steps, and not while data is bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_replicas: Option<i32>,
    /// Directions in which nothing is changed.
    #[serde(default)]
    pub pause: Pause,
    /// When it ends. There is no override without an end.
    pub expiry_time: Time,
    /// Why, for explanations.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub reason: String,
}

/// Directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pause {
    /// Neither.
    #[default]
    None,
    /// Increases.
    ScaleUp,
    /// Decreases.
    ScaleDown,
    /// Both.
    Both,
}
