//! What a `ScalingPolicy` means once it is checked. Later stages never see the raw spec.
//!
//! The API server has checked the schema; this is checked here because CEL cannot: time zones, quantities, and that
//! names in a list of an old object are still unique.

mod window;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

pub use window::{LocalTime, Recurring};

use crate::quantity::Quantity;
use crate::v1alpha1::{
    Action, ActionType, Mode, PolicyBinding, ScalingPolicySpec, Schedule, Signal, SourceRef,
    StepLimit, TargetRef,
};

/// Utilization that a replica is taken to have when it carries a signal's `targetAverageValue`.
pub const TARGET_UTILIZATION: f64 = 0.7;

/// A policy that can be decided by.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedPolicy {
    /// What is scaled.
    pub target: TargetRef,
    /// What is measured; at least one.
    pub signals: Vec<ValidatedSignal>,
    /// Who decides; none: the built-in default.
    pub bindings: Vec<PolicyBinding>,
    /// The count and its limits.
    pub replicas: ReplicaRules,
    /// Share of time that load may exceed capacity.
    pub violation_budget: f64,
    /// No plan goes above this utilization, 0..1.
    pub max_utilization: f64,
    /// Recurring floors.
    pub schedules: Vec<ValidatedSchedule>,
    /// By which days and hours repeat.
    pub zone: TimeZone,
    /// Its name.
    pub zone_name: String,
    /// Seconds between two evaluations.
    pub interval_seconds: i64,
}

/// A signal whose numbers were read.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedSignal {
    /// Its name.
    pub name: String,
    /// PromQL.
    pub query: String,
    /// PromQL for how much of it is scraped.
    pub up_query: Option<String>,
    /// Where to ask.
    pub source: SourceRef,
    /// Load per replica at the target utilization.
    pub target_average_value: f64,
    /// Load per replica at full utilization.
    pub capacity: f64,
    /// For people.
    pub unit: String,
}

/// How the count may change.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaRules {
    /// What becomes of a plan.
    pub mode: Mode,
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
    /// Seconds from an order to its effect, until they were observed.
    pub lead_seconds: i64,
    /// Seconds that a decrease waits.
    pub stabilization_seconds: i64,
    /// Seconds after a change without an increase.
    pub increase_cooldown_seconds: i64,
    /// Seconds after a change without a decrease.
    pub decrease_cooldown_seconds: i64,
    /// Most that is added within a period.
    pub increase: Option<StepLimit>,
    /// Most that is taken away within a period.
    pub decrease: Option<StepLimit>,
    /// When it may change; empty: always.
    pub windows: Vec<Recurring>,
}

/// A recurring floor.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedSchedule {
    /// Its name.
    pub name: String,
    /// When it holds.
    pub window: Recurring,
    /// Fewest replicas meanwhile.
    pub min: u32,
}

/// What is wrong with a spec, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Invalid {
    /// The field, such as `spec.signals[0].targetAverageValue`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Invalid {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

/// Seconds that a decrease waits by default, as in HPA.
const STABILIZATION_SECONDS: i32 = 300;
const DAY_SECONDS: f64 = 86_400.0;

impl ValidatedPolicy {
    /// Checks a spec.
    ///
    /// # Errors
    /// The first thing that is wrong, with its field and the fix.
    pub fn parse(spec: &ScalingPolicySpec) -> Result<Self, Invalid> {
        let ScalingPolicySpec {
            target_ref,
            signals,
            policies,
            combine: _,
            actions,
            budget,
            schedules,
            time_zone,
            evaluation_interval_seconds,
        } = spec;
        let zone = zone("spec.timeZone", time_zone)?;
        unique("spec.signals", signals.iter().map(|it| it.name.as_str()))?;
        unique("spec.policies", policies.iter().map(|it| it.name.as_str()))?;
        unique(
            "spec.schedules",
            schedules.iter().map(|it| it.name.as_str()),
        )?;
        let first = signals
            .first()
            .ok_or_else(|| Invalid::new("spec.signals", "name at least one signal"))?;
        let [action] = &actions[..] else {
            return Err(Invalid::new(
                "spec.actions",
                "name one action, of type Replicas",
            ));
        };
        let budget_seconds = f64::from(budget.under_capacity_seconds_per_day);
        Ok(Self {
            target: target_ref.clone(),
            signals: each("spec.signals", signals, signal)?,
            bindings: policies.clone(),
            replicas: replicas(action, &zone)?,
            violation_budget: (budget_seconds / DAY_SECONDS).clamp(1e-5, 0.5),
            max_utilization: f64::from(first.max_utilization.clamp(71, 100)) / 100.0,
            schedules: each("spec.schedules", schedules, |path, it| {
                schedule(path, it, &zone)
            })?,
            zone,
            zone_name: time_zone.clone(),
            interval_seconds: i64::from((*evaluation_interval_seconds).clamp(15, 600)),
        })
    }
}

fn each<A, B>(
    path: &str,
    all: &[A],
    one: impl Fn(&str, &A) -> Result<B, Invalid>,
) -> Result<Vec<B>, Invalid> {
    let numbered = all.iter().enumerate();
    numbered
        .map(|(index, it)| one(&format!("{path}[{index}]"), it))
        .collect()
}

fn signal(path: &str, signal: &Signal) -> Result<ValidatedSignal, Invalid> {
    let target = Quantity::parse(&signal.target_average_value)
        .map_err(|error| Invalid::new(format!("{path}.targetAverageValue"), error.to_string()))?;
    Ok(ValidatedSignal {
        name: signal.name.clone(),
        query: signal.query.clone(),
        up_query: signal.up_query.clone(),
        source: signal.source_ref.clone(),
        target_average_value: target.get(),
        capacity: target.get() / TARGET_UTILIZATION,
        unit: signal.unit.clone(),
    })
}

fn replicas(action: &Action, zone: &TimeZone) -> Result<ReplicaRules, Invalid> {
    if action.kind != ActionType::Replicas {
        let message = "a target with /scale has one type of action: Replicas";
        return Err(Invalid::new("spec.actions[0].type", message));
    }
    let (min, max) = (count(action.min), count(action.max));
    if min > max {
        let message = format!("{min} is more than max, which is {max}");
        return Err(Invalid::new("spec.actions[0].min", message));
    }
    let behavior = action.behavior.clone().unwrap_or_default();
    let (up, down) = (
        behavior.scale_up.unwrap_or_default(),
        behavior.scale_down.unwrap_or_default(),
    );
    let seconds = |value: Option<i32>, default| i64::from(value.unwrap_or(default).max(0));
    Ok(ReplicaRules {
        mode: action.mode,
        min,
        max,
        lead_seconds: i64::from(action.lead_time_seconds.clamp(1, 82_800)),
        stabilization_seconds: seconds(down.stabilization_window_seconds, STABILIZATION_SECONDS),
        increase_cooldown_seconds: seconds(up.cooldown_seconds, 0),
        decrease_cooldown_seconds: seconds(down.cooldown_seconds, 0),
        increase: up.limit,
        decrease: down.limit,
        windows: each("spec.actions[0].windows", &action.windows, |path, it| {
            Recurring::parse(path, it, zone)
        })?,
    })
}

fn schedule(
    path: &str,
    schedule: &Schedule,
    zone: &TimeZone,
) -> Result<ValidatedSchedule, Invalid> {
    Ok(ValidatedSchedule {
        name: schedule.name.clone(),
        window: Recurring::parse(&format!("{path}.window"), &schedule.window, zone)?,
        min: count(schedule.min_replicas),
    })
}

fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0).max(1)
}

fn zone(path: &str, name: &str) -> Result<TimeZone, Invalid> {
    TimeZone::get(name).map_err(|_| {
        let message = format!(
            "{name:?} is no time zone of the IANA database, such as \"Europe/Berlin\" or \"UTC\""
        );
        Invalid::new(path, message)
    })
}

fn unique<'a>(path: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Invalid::new(path, format!("{name:?} is there twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
