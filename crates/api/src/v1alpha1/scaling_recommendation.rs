//! `ScalingRecommendation`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ActionType, Mode};
use crate::{digest, reference::TargetRef, schema};

/// One decision worth recording.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "ScalingRecommendation",
    plural = "scalingrecommendations",
    singular = "scalingrecommendation",
    shortname = "fsr",
    category = "foreshard",
    namespaced,
    status = "ScalingRecommendationStatus",
    derive = "PartialEq",
    doc = "One decision worth recording: a plan that changed, was clamped for a new reason, or waits for approval. Made by the operator; people approve it in spec.approval.",
    printcolumn(name = "Policy", type_ = "string", json_path = ".spec.policyName"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "From", type_ = "integer", json_path = ".spec.plan[0].from"),
    printcolumn(name = "To", type_ = "integer", json_path = ".spec.plan[0].to"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Approved-By", type_ = "string", json_path = ".spec.approval.user"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Why", type_ = "string", json_path = ".spec.explanation.summary", priority = 1),
    selectable = ".spec.policyName",
    validation = Rule::new("!has(self.spec.approval) || self.spec.approval.digest == self.spec.digest").message("the approval names another plan: read the recommendation again").reason(Reason::FieldValueInvalid)
)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRecommendationSpec {
    /// Name of the ScalingPolicy.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a recommendation is not changed, only approved").reason(Reason::FieldValueForbidden))]
    pub policy_name: String,
    /// What is to be scaled.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a recommendation is not changed, only approved").reason(Reason::FieldValueForbidden))]
    pub target_ref: TargetRef,
    /// Mode of the policy's action then.
    pub mode: Mode,
    /// When it was decided.
    pub issued_time: Time,
    /// After this it is no longer carried out.
    pub expiry_time: Time,
    /// What is to be done, in order.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a recommendation is not changed, only approved").reason(Reason::FieldValueForbidden))]
    pub plan: Vec<PlanStep>,
    /// Digest of target and plan; an approval names it.
    #[schemars(length(max = 71), pattern(digest::DIGEST_PATTERN))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a recommendation is not changed, only approved").reason(Reason::FieldValueForbidden))]
    pub digest: String,
    /// Why.
    pub explanation: Explanation,
    /// What would have been asked for without the forecast.
    pub counterfactual: Counterfactual,
    /// Somebody's approval; guardrails run again before anything is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStep {
    /// What it changes.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// The count before.
    pub from: i32,
    /// The count asked for.
    pub to: i32,
    /// Why, in one sentence.
    #[schemars(length(max = 1024))]
    pub reason: String,
}

/// Why a plan is what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// In one sentence.
    #[schemars(length(max = 1024))]
    pub summary: String,
    /// Each signal: value, age, quality.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub inputs: Vec<String>,
    /// Each forecast: peaks, quantile, skill, and whether it acted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub forecasts: Vec<String>,
    /// What each policy asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub verdicts: Vec<String>,
    /// Every guardrail that changed the count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub clamps: Vec<String>,
    /// Events, schedules and overrides that had a part in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 512)))]
    pub known_future: Vec<String>,
}

/// What would have been asked for without the forecast.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counterfactual {
    /// The reactive rule's count.
    pub replicas: i32,
    /// In one sentence.
    #[schemars(length(max = 1024))]
    pub summary: String,
}

/// Somebody's approval of exactly this plan. A ValidatingAdmissionPolicy checks that `user` is who writes it, and that
/// they may `approve` scalingrecommendations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The plan's digest, as it was read.
    #[schemars(length(max = 71), pattern(digest::DIGEST_PATTERN))]
    pub digest: String,
    /// Who approves.
    #[schemars(length(min = 1, max = 256))]
    pub user: String,
    /// After this the approval is void.
    pub expiry_time: Time,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRecommendationStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// In one word: the reason of the condition `Actuated`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub state: Option<String>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
