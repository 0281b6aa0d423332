//! What the API says of a target. All times are Unix seconds, UTC.

use std::sync::Arc;

use foreshard_decide::{DecisionRecord, Explanation};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that is scaled, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Target {
    /// DNS label, unique in the namespace.
    pub name: String,
    /// What it is: `scale`, `vitess`.
    pub kind: String,
    /// The moment that the rest is true for.
    pub at: f64,
    /// What the user asked for.
    pub objective: Objective,
    /// All that can be changed by itself.
    pub parts: Vec<Part>,
    /// In one line: what it is doing and under which load.
    pub summary: String,
    /// What was observed of acting on it; left out where nothing is acted on, as in the demo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// What was observed of acting on a target, and of its forecast.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Observed {
    /// Of each action.
    pub delays: Vec<Delay>,
    /// Following the recommendations against what was done; null: nothing was scored yet.
    pub shadow: Option<Shadow>,
    /// 1 - loss / loss of the seasonal-naive forecast, of the forecast that is decided by; null: unknown.
    pub skill: Option<f64>,
    /// The forecast may not act.
    pub demoted: bool,
}

/// Seconds from an order to its effect: what was learned from those that were fulfilled, or the configured ones until
/// there are three.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Delay {
    /// The action, such as `replicas`.
    pub action: String,
    /// Half of them took no longer.
    pub p50_seconds: f64,
    /// Nine of ten took no longer.
    pub p90_seconds: f64,
    /// 99 of 100 took no longer.
    pub p99_seconds: f64,
    /// Orders that were fulfilled, of the newest 64.
    pub observations: u32,
}

/// What following the recommendations would have been like, over the last seven days.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Shadow {
    /// Hours that were scored.
    pub scored_hours: f64,
    /// Seconds a day over capacity, had they been followed.
    pub harm_seconds_per_day: f64,
    /// Seconds a day over capacity, as it was.
    pub live_harm_seconds_per_day: f64,
    /// Replica-hours of following them over those that there were; null: unknown.
    pub cost_ratio: Option<f64>,
}

/// What the user asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Objective {
    /// Share of time that load may exceed capacity, 0..1.
    pub violation_budget: f64,
    /// Share of that budget that is gone over its window; above 1: overspent.
    pub budget_spent: f64,
    /// The usual utilisation, 0..1.
    pub target_utilization: f64,
    /// Never planned above this utilisation, 0..1.
    pub max_utilization: f64,
}

/// One part of a target.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Part {
    /// Unique in the target.
    pub id: String,
    /// The part above; empty at the root.
    pub parent: String,
    /// `vtgate-pool`, `shard`, `tablet-pool`, `scale`.
    pub kind: String,
    /// The newest measured load; null while it is missing.
    pub demand: Option<f64>,
    /// Of the load, e.g. `queries/s`.
    pub unit: String,
    /// What the host thinks of the data: `ok`, `missing`, `stale`, `frozen`, `implausible`.
    pub quality: String,
    /// Load that one ready replica serves.
    pub capacity_per_replica: f64,
    /// Replicas that are ready.
    pub ready: u32,
    /// Replicas that are asked for.
    pub wanted: u32,
    /// Bounds of the count.
    pub min: u32,
    /// Bounds of the count.
    pub max: u32,
    /// Seconds from an order to a ready replica.
    pub lead_seconds: f64,
}

/// One moment of one part, for the charts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Unix seconds.
    pub at: f64,
    /// Load; NaN where it is unknown.
    pub demand: f64,
    /// Load that the ready replicas serve.
    pub capacity: f64,
    /// Replicas asked for.
    pub wanted: u32,
    /// Replicas ready.
    pub ready: u32,
    /// What had been forecast for this moment one lead time earlier; NaN: nothing had.
    pub expected: Band,
}

/// A forecast of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// The median.
    pub middle: f64,
    /// The upper quantile.
    pub high: f64,
}

impl Band {
    /// No forecast.
    pub const NONE: Self = Self {
        middle: f64::NAN,
        high: f64::NAN,
    };
}

/// Points of one part as columns; null where a value is unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Columns {
    /// The part.
    pub part: String,
    /// Seconds that one row stands for; 0: rows are single moments.
    pub step_seconds: f64,
    /// Start of each row.
    pub at: Vec<f64>,
    /// The highest load in it.
    pub demand: Vec<Option<f64>>,
    /// The lowest capacity in it.
    pub capacity: Vec<Option<f64>>,
    /// The last count asked for in it; null before this server watched.
    pub wanted: Vec<Option<u32>>,
    /// The lowest count ready in it; null before this server watched.
    pub ready: Vec<Option<u32>>,
    /// The highest median that had been forecast for it one lead time earlier.
    pub expected_middle: Vec<Option<f64>>,
    /// The highest upper quantile that had been forecast for it one lead time earlier.
    pub expected_high: Vec<Option<f64>>,
}

/// What the load of one signal and part will be.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Forecast {
    /// The signal.
    pub signal: String,
    /// The part; empty: the whole target.
    pub part: String,
    /// When it was made.
    pub issued_at: f64,
    /// The model and what it put its weight on.
    pub model: String,
    /// False: demoted by the skill gate, so it is shown and does not act.
    pub reliable: bool,
    /// Why it is demoted or degraded.
    pub reasons: Vec<String>,
    /// 1 - loss / loss of the seasonal-naive forecast; null: unknown.
    pub skill: Option<f64>,
    /// Above this level, peaks come from an exponential tail and not from past windows.
    pub calibrated_to: f64,
    /// When the first value of the paths begins.
    pub start: f64,
    /// Seconds that one value stands for.
    pub step_seconds: f64,
    /// A path for each level that is drawn; in a cluster those of the band, 0.5 and 0.9.
    pub quantiles: Vec<Quantile>,
    /// The calibrated maxima over the windows that actions need.
    pub peaks: Vec<Peak>,
}

/// One path of a forecast.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Quantile {
    /// The level, in (0, 1).
    pub q: f64,
    /// The load at each step; null: unknown.
    pub values: Vec<Option<f64>>,
}

/// The maximum over `[issued_at + lead, issued_at + lead + window]`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Peak {
    /// The action whose lead time this is for; empty: a policy gave the lead.
    pub action: String,
    /// Seconds.
    pub lead_seconds: f64,
    /// Seconds.
    pub window_seconds: f64,
    /// The maximum at each level.
    pub quantiles: Vec<Level>,
}

/// One quantile of one value.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Level {
    /// The level, in (0, 1).
    pub q: f64,
    /// The load; null: unknown.
    pub value: Option<f64>,
}

/// A policy module that is stored under a name.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PolicyModule {
    /// Under which it is activated; a DNS label.
    pub name: String,
    /// `sha256:` and 64 hexadecimal digits of the component's bytes; the entity tag of this resource.
    pub digest: String,
    /// Of the component.
    pub bytes: usize,
    /// Comes with Foreshard: can't be replaced or deleted.
    pub builtin: bool,
    /// What it says of itself. In a cluster, a module that was stored before shows less of it.
    pub descriptor: Descriptor,
    /// In a cluster: whether the operator runs it; absent: not looked at yet, or not in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
}

/// Whether a module is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Acceptance {
    /// Null: not known.
    pub accepted: Option<bool>,
    /// Why, CamelCase.
    pub reason: String,
    /// Why and what to do.
    pub message: String,
}

/// What a policy says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Descriptor {
    /// Its own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// In one sentence.
    pub summary: String,
    /// Kinds of targets that it knows; empty: any.
    pub target_kinds: Vec<String>,
    /// Actions that it may propose.
    pub actions: Vec<String>,
    /// JSON schema of its config.
    pub config_schema: String,
}

/// A policy of a target.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ActivePolicy {
    /// The stored module's name at the time of its activation.
    pub module: String,
    /// Of the component that runs; a later upload under the same name does not change it.
    pub digest: String,
    /// Its config.
    #[schema(value_type = Object)]
    pub config: serde_json::Value,
    /// When its first evaluation was; null before that.
    pub since: Option<f64>,
}

/// The policies of a target.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PolicyState {
    /// It acts.
    pub in_force: Option<ActivePolicy>,
    /// It acts from the target's next evaluation on.
    pub asked: Option<ActivePolicy>,
}

/// What is decided about one part.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Step {
    /// The part.
    pub part: String,
    /// The count before.
    pub from: u32,
    /// The count asked for.
    pub to: u32,
    /// Why, in one sentence.
    pub reason: String,
}

/// A decision in short.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Recommendation {
    /// Of this replica, and only until it is restarted: another one has taken decisions of its own.
    pub id: String,
    /// The target.
    pub target: String,
    /// When it was taken.
    pub at: f64,
    /// It changes at least one part.
    pub changed: bool,
    /// Name of the policy's module.
    pub policy: String,
    /// In one sentence.
    pub reason: String,
    /// What it says of each part.
    pub parts: Vec<Step>,
    /// The object that stands for it in the cluster, by which it is approved; absent: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<RecommendationObject>,
}

/// A ScalingRecommendation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecommendationObject {
    /// Its name.
    pub name: String,
    /// Digest of its plan, which an approval repeats.
    pub digest: String,
}

impl Recommendation {
    /// A decision in short; it has no id yet.
    pub(crate) fn of(target: &str, policy: String, record: &DecisionRecord) -> Self {
        let steps = record.explanation.parts.iter().map(|it| Step {
            part: it.part.clone(),
            from: it.before,
            to: it.wanted,
            reason: it.summary.clone(),
        });
        Self {
            id: String::new(),
            target: target.to_owned(),
            at: record.context.now,
            changed: !record.plan.is_empty(),
            policy,
            reason: record.explanation.summary.clone(),
            parts: steps.collect(),
            object: None,
        }
    }
}

/// A decision with all that led to it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecommendationDetail {
    /// In short.
    #[serde(flatten)]
    #[schema(inline)]
    pub summary: Arc<Recommendation>,
    /// Inputs and their age, the forecast used, each verdict, each clamp, the counterfactual without forecast.
    #[schema(value_type = Object)]
    pub explanation: Arc<Explanation>,
    /// Context, rules, state, answers and plan: the same binary decides the same from it, byte for byte. Null: not
    /// asked for, or no longer kept.
    #[schema(value_type = Option<Object>)]
    pub record: Option<Arc<DecisionRecord>>,
}

/// A number or null: JSON has no NaN.
pub(crate) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
