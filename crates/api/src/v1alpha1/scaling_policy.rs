//! `ScalingPolicy`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{digest, quantity, reference::TargetRef, schema};

/// Keeps one target ahead of its load: what is measured, who decides, what may be done about it.
///
/// A new policy only watches: the default mode of its action is `Observe`.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "ScalingPolicy",
    plural = "scalingpolicies",
    singular = "scalingpolicy",
    shortname = "fsp",
    category = "foreshard",
    namespaced,
    status = "ScalingPolicyStatus",
    derive = "PartialEq",
    doc = "Keeps one target ahead of its load: what is measured, who decides, what may be done about it. A new policy only watches: the default mode of its action is Observe.",
    selectable = ".spec.targetRef.kind",
    selectable = ".spec.targetRef.name",
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".status.mode"),
    printcolumn(name = "Current", type_ = "integer", json_path = ".status.currentReplicas"),
    printcolumn(name = "Recommended", type_ = "integer", json_path = ".status.recommendedReplicas"),
    printcolumn(name = "Peak", type_ = "string", json_path = ".status.forecastPeak"),
    printcolumn(name = "Peak-At", type_ = "string", json_path = ".status.forecastPeakTime"),
    printcolumn(name = "Skill", type_ = "string", json_path = ".status.forecastSkill"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1),
    printcolumn(name = "Shadow", type_ = "string", json_path = ".status.shadowScore.summary", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name is at most 63 characters long").reason(Reason::FieldValueInvalid)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.signals.all(s, s.maxUtilization == self.signals[0].maxUtilization)").message("all signals have the same maxUtilization: it is one limit for the target").reason(Reason::FieldValueInvalid)
)]
pub struct ScalingPolicySpec {
    /// What is scaled, in the same namespace. Cannot be changed; make another policy instead.
    #[x_kube(validation = Rule::new("self == oldSelf").message("targetRef cannot be changed: make another ScalingPolicy").reason(Reason::FieldValueForbidden))]
    pub target_ref: TargetRef,
    /// What is measured, each by a PromQL expression. At least one.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub signals: Vec<Signal>,
    /// Who decides. Without any, the built-in `forecast-headroom` on all signals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<PolicyBinding>,
    /// How several policies' answers become one.
    #[serde(default)]
    pub combine: Combine,
    /// What may be done, at most once per type.
    #[schemars(length(min = 1, max = 5), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[x_kube(validation = Rule::new("self.all(a, a.type == 'Replicas')").message("a target with /scale has one type of action: Replicas").reason(Reason::FieldValueInvalid))]
    pub actions: Vec<Action>,
    /// How much of the time load may exceed capacity.
    #[serde(default)]
    pub budget: Budget,
    /// Recurring floors, such as "at least 10 on weekdays from 8 to 18".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub schedules: Vec<Schedule>,
    /// Time zone by which days and hours of the load repeat, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64), pattern("^[A-Za-z][A-Za-z0-9_+/-]*$"))]
    pub time_zone: String,
    /// Seconds between two evaluations. A sample that asks for more replicas is acted on at once.
    #[serde(default = "evaluation_interval_seconds")]
    #[schemars(range(min = 15, max = 600))]
    pub evaluation_interval_seconds: i32,
}

impl ScalingPolicySpec {
    /// The defaults for everything else.
    #[must_use]
    pub fn new(target_ref: TargetRef, signals: Vec<Signal>, action: Action) -> Self {
        Self {
            target_ref,
            signals,
            policies: Vec::new(),
            combine: Combine::default(),
            actions: vec![action],
            budget: Budget::default(),
            schedules: Vec::new(),
            time_zone: utc(),
            evaluation_interval_seconds: evaluation_interval_seconds(),
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn evaluation_interval_seconds() -> i32 {
    60
}

/// One measurement of the target's load.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// Its name, by which policies ask for it.
    #[schemars(length(min = 1, max = 63), pattern("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// A PromQL expression that gives one series: the load of the whole target, such as
    /// `sum(rate(http_requests_total{app="web"}[1m]))`. Load, not utilization: our own actions must not move it.
    #[schemars(length(min = 1, max = 4096))]
    pub query: String,
    /// A PromQL expression for the share of what `query` adds up that is scraped, 0 to 1, such as `avg(up{app="web"})`:
    /// pods that are not scraped are no load that went. Below 0.9 within the last five minutes, or unknown, nothing is taken
    /// away [default: not asked].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub up_query: Option<String>,
    /// Where to ask.
    pub source_ref: SourceRef,
    /// Load per replica that is steered to when no forecast helps, as in a HorizontalPodAutoscaler: a positive quantity
    /// such as `"70"` or `"1.5"`. A replica is taken to be at 70 % of its capacity then.
    #[schemars(length(min = 1, max = 24), pattern(quantity::PATTERN))]
    pub target_average_value: String,
    /// Percent of a replica's capacity that no plan goes above: the floor below which nothing goes.
    #[serde(default = "max_utilization")]
    #[schemars(range(min = 71, max = 100))]
    pub max_utilization: i32,
    /// Unit of the load for people, such as `requests/s`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub unit: String,
}

impl Signal {
    /// The defaults for everything else.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        query: impl Into<String>,
        source_ref: SourceRef,
        target_average_value: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            query: query.into(),
            up_query: None,
            source_ref,
            target_average_value: target_average_value.into(),
            max_utilization: max_utilization(),
            unit: String::new(),
        }
    }
}

fn max_utilization() -> i32 {
    90
}

/// Where a signal is asked for.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct SourceRef {
    /// `PrometheusSource`: an object of the same namespace. `OperatorSource`: one that the administrator named in the
    /// operator's configuration.
    #[serde(default)]
    pub kind: SourceKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Kinds of sources.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum SourceKind {
    /// An object of the same namespace.
    #[default]
    PrometheusSource,
    /// One that the administrator named in the operator's configuration.
    OperatorSource,
}

/// A policy that has a say.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBinding {
    /// Name of this binding, unique in the policy.
    #[schemars(length(min = 1, max = 63), pattern("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// The module.
    pub module_ref: ModuleRef,
    /// The module's own configuration; checked by the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub config: Option<serde_json::Value>,
}

/// A `PolicyModule` of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModuleRef {
    /// Its name. `builtin-forecast-headroom`, `builtin-target-tracking` and `builtin-schedule` are always there.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Only this digest will do; without it, whatever the module holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), pattern(digest::DIGEST_PATTERN))]
    pub digest: Option<String>,
}

/// How several policies' answers become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Combine {
    /// The highest count.
    #[default]
    Max,
}

/// Something that may be done.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.min <= self.max").message("min is at most max").reason(Reason::FieldValueInvalid))]
pub struct Action {
    /// What it changes.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// Whether it is only recommended, waits for an approval, or is carried out.
    #[serde(default)]
    pub mode: Mode,
    /// Fewest replicas.
    #[schemars(range(min = 1, max = 10_000))]
    pub min: i32,
    /// Most replicas that are asked for. What is above it already is taken away like anything else: in its time, in steps,
    /// and not while data is bad.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: i32,
    /// Seconds from an order to its effect, assumed until enough were observed.
    #[serde(default = "lead_time_seconds")]
    #[schemars(range(min = 1, max = 82_800))]
    pub lead_time_seconds: i32,
    /// How fast it may go, per direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// When something may be taken away; without any, always. Increases are made at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub windows: Vec<Window>,
}

impl Action {
    /// A count between two bounds that is only recommended; the defaults for everything else.
    #[must_use]
    pub fn replicas(min: i32, max: i32) -> Self {
        Self {
            kind: ActionType::Replicas,
            mode: Mode::Observe,
            min,
            max,
            lead_time_seconds: lead_time_seconds(),
            behavior: None,
            windows: Vec::new(),
        }
    }
}

fn lead_time_seconds() -> i32 {
    60
}

/// What an action changes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ActionType {
    /// The number of replicas, through `/scale`.
    Replicas,
    /// Requests and limits of containers.
    Resources,
    /// Size of volumes.
    Storage,
    /// Splitting a shard.
    Split,
    /// Merging shards.
    Merge,
}

/// What becomes of a plan.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Mode {
    /// It is recommended and scored; nothing is done.
    #[default]
    Observe,
    /// It is carried out once somebody has approved it.
    Approve,
    /// It is carried out.
    Auto,
}

impl Mode {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "Observe",
            Self::Approve => "Approve",
            Self::Auto => "Auto",
        }
    }
}

/// How fast an action may go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Behavior {
    /// For increases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<Direction>,
    /// For decreases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<Direction>,
}

/// How fast it may go in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Direction {
    /// Seconds that a decrease waits until nothing in them asked for more [default for decreases: 300]. While a forecast
    /// decides it waits at least 600, or a quarter of the delay from an order to its effect where that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub stabilization_window_seconds: Option<i32>,
    /// Seconds after a change in which there is no other in this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_seconds: Option<i32>,
    /// Most that changes within a period; without it, as much as is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<StepLimit>,
}

/// The most that changes within a period: the larger of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepLimit {
    /// Replicas.
    #[schemars(range(min = 1, max = 10_000))]
    pub replicas: i32,
    /// Percent of the replicas at the beginning of the period.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000))]
    pub percent: i32,
    /// Seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub period_seconds: i32,
}

/// A recurring span of local time; over midnight where `end` is not after `start`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Days on which it begins; without any, every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,
    /// Local time at which it begins, `HH:MM`.
    #[schemars(length(max = 5), pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    /// Local time at which it ends, exclusive, `HH:MM`.
    #[schemars(length(max = 5), pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub end: String,
    /// Time zone [default: the policy's].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), pattern("^[A-Za-z][A-Za-z0-9_+/-]*$"))]
    pub time_zone: Option<String>,
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A recurring floor.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Its name, for explanations.
    #[schemars(length(min = 1, max = 63), pattern("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// When it holds.
    pub window: Window,
    /// Fewest replicas while it holds; never above the action's `max`.
    #[schemars(range(min = 1, max = 10_000))]
    pub min_replicas: i32,
}

/// How much of the time load may exceed capacity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Seconds a day, over the last seven days. Fewer cost more replicas.
    #[serde(default = "under_capacity_seconds_per_day")]
    #[schemars(range(min = 1, max = 43_200))]
    pub under_capacity_seconds_per_day: i32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            under_capacity_seconds_per_day: under_capacity_seconds_per_day(),
        }
    }
}

/// One percent of a day.
fn under_capacity_seconds_per_day() -> i32 {
    864
}

/// What is known of a policy. Numbers that drift are written at most every five minutes; the API has them at each tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicyStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Kind/name` of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 400))]
    pub target: Option<String>,
    /// The mode in force: the action's, or why it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub mode: Option<String>,
    /// Replicas that the target asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_replicas: Option<i32>,
    /// Replicas that we would ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_replicas: Option<i32>,
    /// The highest load expected within a day, rounded, of the signal that needs most replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub forecast_peak: Option<String>,
    /// When it is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast_peak_time: Option<Time>,
    /// Share by which the forecast's error is below that of "as a week ago", in percent; `demoted` when it may not act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub forecast_skill: Option<String>,
    /// Seconds from an order to its effect, as observed: nine of ten took no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_lead_time_seconds: Option<i32>,
    /// What following us would have done beside what was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_score: Option<ShadowScore>,
    /// When we last changed the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale_time: Option<Time>,
    /// The newest recommendation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub last_recommendation: Option<String>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Harm and cost over the last seven days: of following us, and of what the live rule did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowScore {
    /// Hours that are scored, at most 168.
    pub hours: i32,
    /// Seconds a day that load exceeded capacity, had we been followed.
    pub harm_seconds_per_day: i32,
    /// The same with what the target really had.
    pub live_harm_seconds_per_day: i32,
    /// Cost of following us in percent of what the target really cost.
    pub cost_percent: i32,
    /// All of it in one line.
    #[schemars(length(max = 200))]
    pub summary: String,
}
