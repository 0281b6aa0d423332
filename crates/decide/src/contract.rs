//! What a policy is told and what it answers: the types of `wit/policy/policy.wit` as plain values.
//!
//! Field for field the WIT package `foreshard:policy@0.1.0`; the comments there are the reference. Their JSON form
//! (fixtures, recorded decisions) is the field's name in kebab-case, NaN as null, bytes as base64, a variant as
//! `{"case": value}`.

pub(crate) mod json;

use serde::{Deserialize, Serialize};

/// Unix time in seconds, UTC.
pub type Timestamp = f64;
/// A span in seconds.
pub type Seconds = f64;

macro_rules! records {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name { $(
            #[doc = concat!("`", stringify!($field), "` of the WIT record.")]
            $(#[$field_meta])* pub $field: $ty
        ),* }
    )*};
}

records! {
    /// A name and its value.
    Label { name: String, value: String }
    /// A regular series: `values[i]` is the mean over `[start + i * step, start + (i + 1) * step)`; a gap is NaN.
    Series { start: Timestamp, step: Seconds, #[serde(with = "json::floats")] values: Vec<f64> }
    /// One live measurement.
    Sample { at: Timestamp, value: f64 }
    /// One declared signal for one part.
    Signal {
        name: String,
        part: String,
        unit: String,
        quality: Quality,
        #[serde(with = "json::float")] age: Seconds,
        coverage: f64,
        history: Series,
        latest: Option<Sample>,
        censored: bool,
    }
    /// The calibrated maximum over `[now + lead, now + lead + window]` at each of the forecast's levels.
    Peak { action: String, lead: Seconds, window: Seconds, #[serde(with = "json::floats")] values: Vec<f64> }
    /// What the load of one signal and part will be.
    Forecast {
        signal: String,
        part: String,
        model: String,
        issued_at: Timestamp,
        reliable: bool,
        reasons: Vec<String>,
        #[serde(with = "json::float")] skill: f64,
        levels: Vec<f64>,
        calibrated_to: f64,
        start: Timestamp,
        step: Seconds,
        #[serde(with = "json::float_rows")] paths: Vec<Vec<f64>>,
        peaks: Vec<Peak>,
    }
    /// Delay from the order to the effect.
    LeadTime { p50: Seconds, p90: Seconds, p99: Seconds, observations: u32 }
    /// What the host would carry out on a part now.
    Offer {
        action: String,
        lead: LeadTime,
        cost_per_change: f64,
        reversible: bool,
        blocked_until: Option<Timestamp>,
        blocked_by: String,
    }
    /// What one ready replica serves of a signal.
    Capacity { signal: String, per_replica: f64, uncertainty: f64, source: String }
    /// Ordered and not ready yet.
    Pending { replicas: u32, expected_at: Timestamp }
    /// The count of a part and its limits.
    ReplicaState {
        wanted: u32,
        ready: u32,
        pending: Vec<Pending>,
        min: u32,
        max: u32,
        floor: u32,
        capacities: Vec<Capacity>,
        cost_per_hour: f64,
    }
    /// An amount of a Kubernetes resource.
    Amount { resource: String, value: f64 }
    /// A container's resources and their bounds.
    ContainerState { name: String, requests: Vec<Amount>, limits: Vec<Amount>, min: Vec<Amount>, max: Vec<Amount> }
    /// A container's wanted resources.
    ContainerSize { name: String, requests: Vec<Amount>, limits: Vec<Amount> }
    /// A volume as it is.
    VolumeState { name: String, capacity_bytes: f64, used_bytes: f64, max_bytes: f64 }
    /// A volume as it is wanted.
    VolumeSize { name: String, bytes: f64 }
    /// `[start, end)` of keyspace ids; empty means unbounded.
    KeyRange { #[serde(with = "json::bytes")] start: Vec<u8>, #[serde(with = "json::bytes")] end: Vec<u8> }
    /// A shard as it is.
    ShardState { key_range: KeyRange, serving: bool, data_bytes: f64, load_by_slice: Vec<f64>, workflow: String }
    /// Anything in the target that can be changed by itself.
    Part {
        id: String,
        parent: String,
        kind: String,
        labels: Vec<Label>,
        busy: bool,
        last_change: Option<Timestamp>,
        offers: Vec<Offer>,
        replicas: Option<ReplicaState>,
        containers: Vec<ContainerState>,
        volumes: Vec<VolumeState>,
        shard: Option<ShardState>,
    }
    /// What the user asked for.
    Objective {
        violation_budget: f64,
        budget_window: Seconds,
        budget_spent: f64,
        target_utilization: f64,
        max_utilization: f64,
        level: f64,
        currency: String,
        cost_per_violation_minute: f64,
    }
    /// A known future: demand is expected to be `factor` times the forecast.
    LoadEvent { name: String, start: Timestamp, end: Timestamp, factor: f64, parts: Vec<String> }
    /// `local = UTC + seconds`, from `since` on.
    UtcOffset { since: Timestamp, seconds: i32 }
    /// Local time, holidays and known events over history and horizon.
    Calendar { zone: String, offsets: Vec<UtcOffset>, holidays: Vec<Timestamp>, events: Vec<LoadEvent> }
    /// An action that this version does not know; the body is JSON.
    CustomAction { kind: String, body: String }
    /// One change that a policy asks for.
    Proposal { part: String, action: Action, not_before: Option<Timestamp>, reason: String }
    /// A change that was really carried out.
    PastChange { at: Timestamp, part: String, action: Action, outcome: String }
    /// A number to chart beside the decision.
    Measure { name: String, value: f64 }
    /// What a policy wants.
    Decide {
        proposals: Vec<Proposal>,
        reason: String,
        measures: Vec<Measure>,
        #[serde(with = "json::optional_bytes")] memory: Option<Vec<u8>>,
    }
    /// Room for additions within 0.1.
    Extra { key: String, json: String }
    /// All that a policy is told for one evaluation.
    Context {
        now: Timestamp,
        next: Timestamp,
        config: String,
        kind: String,
        namespace: String,
        name: String,
        labels: Vec<Label>,
        objective: Objective,
        parts: Vec<Part>,
        signals: Vec<Signal>,
        forecasts: Vec<Forecast>,
        calendar: Calendar,
        recent: Vec<PastChange>,
        #[serde(with = "json::bytes")] memory: Vec<u8>,
        extras: Vec<Extra>,
    }
    /// What is wrong with a config, and where.
    ConfigIssue { path: String, message: String }
    /// A signal that a policy needs.
    SignalNeed {
        name: String,
        unit: String,
        summary: String,
        step: Seconds,
        lookback: Seconds,
        per_part: bool,
        required: bool,
        example_promql: String,
    }
    /// A window maximum that a policy needs; without a lead, the action's own.
    PeakNeed { action: String, lead: Option<Seconds>, window: Seconds }
    /// A forecast that a policy needs.
    ForecastNeed { signal: String, horizon: Seconds, levels: Vec<f64>, peaks: Vec<PeakNeed> }
    /// What data a configured policy needs.
    Needs { signals: Vec<SignalNeed>, forecasts: Vec<ForecastNeed>, part_kinds: Vec<String>, recent_changes: u32 }
    /// What a policy says of itself.
    Descriptor {
        name: String,
        version: String,
        summary: String,
        target_kinds: Vec<String>,
        actions: Vec<String>,
        config_schema: String,
        memory_version: u32,
    }
}

/// How far a signal can be trusted; only `Ok` may shrink anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Fresh and plausible.
    Ok,
    /// There are no samples.
    Missing,
    /// The newest sample is too old.
    Stale,
    /// The value has not moved for too long.
    Frozen,
    /// The value cannot be true.
    Implausible,
}

/// A change to one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The wanted count.
    Replicas(u32),
    /// The wanted container sizes.
    Resources(Vec<ContainerSize>),
    /// The wanted volume size.
    Storage(VolumeSize),
    /// Of a keyspace; the host chooses the points.
    ShardCount(u32),
    /// Of a shard, at these keyspace ids.
    Split(#[serde(with = "json::byte_rows")] Vec<Vec<u8>>),
    /// Of this shard with its neighbours: their part ids.
    Merge(Vec<String>),
    /// Anything else.
    Custom(CustomAction),
}

impl Action {
    /// The case's name as WIT has it; the kind for a custom one.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Replicas(_) => "replicas",
            Self::Resources(_) => "resources",
            Self::Storage(_) => "storage",
            Self::ShardCount(_) => "shard-count",
            Self::Split(_) => "split",
            Self::Merge(_) => "merge",
            Self::Custom(custom) => &custom.kind,
        }
    }
}

/// A policy's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No opinion, and why.
    Abstain(String),
    /// An opinion.
    Decide(Decide),
}
