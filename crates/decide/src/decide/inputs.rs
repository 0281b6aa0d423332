//! The signals and forecasts of one part as the decision uses them.

use crate::contract::{Context, Forecast, Part, Quality, ReplicaState, Signal};
use crate::explanation::{ForecastUsed, InputUsed};
use crate::finding::{Finding, FindingCode};
use crate::reactive::{counted_action, lead_seconds, seen, signal_for};

/// Every signal that a count of the part depends on; what is wrong with one becomes a finding.
pub(super) fn used(
    context: &Context,
    part: &Part,
    replicas: &ReplicaState,
    findings: &mut Vec<Finding>,
) -> Vec<InputUsed> {
    let mut inputs = Vec::with_capacity(replicas.capacities.len());
    if replicas.capacities.is_empty() {
        let message = "no capacity per replica is known, the count is held";
        let code = FindingCode::CapacityUnknown;
        findings.push(Finding::new(code, &part.id, "", message));
    }
    for capacity in &replicas.capacities {
        if !(capacity.per_replica > 0.0 && capacity.per_replica.is_finite()) {
            let message = "the capacity per replica is not a positive number, the count is held";
            let code = FindingCode::CapacityUnknown;
            findings.push(Finding::new(code, &part.id, &capacity.signal, message));
        }
        let signal = signal_for(context, part, capacity);
        let input = InputUsed {
            signal: capacity.signal.clone(),
            quality: signal.map_or(Quality::Missing, |signal| signal.quality),
            age: signal.map_or(f64::NAN, |signal| signal.age),
            coverage: signal.map_or(0.0, |signal| signal.coverage),
            seen: signal.and_then(seen),
            per_replica: capacity.per_replica,
            censored: signal.is_some_and(|signal| signal.censored),
        };
        findings.extend(distrust(part, &input, signal));
        inputs.push(input);
    }
    inputs
}

fn distrust(part: &Part, input: &InputUsed, signal: Option<&Signal>) -> Option<Finding> {
    let age = input.age;
    let (code, message) = match input.quality {
        Quality::Ok => return None,
        Quality::Missing if signal.is_none() => {
            let message = "the signal is not bound to any data".to_owned();
            (FindingCode::DataMissing, message)
        }
        Quality::Missing => (FindingCode::DataMissing, "there is no sample".to_owned()),
        Quality::Stale => (
            FindingCode::DataStale,
            format!("the newest sample is {age:.0} s old"),
        ),
        Quality::Frozen => (
            FindingCode::DataFrozen,
            "the value has not moved for longer than ever before".to_owned(),
        ),
        Quality::Implausible => (
            FindingCode::DataImplausible,
            "the newest value cannot be true".to_owned(),
        ),
    };
    Some(Finding::new(code, &part.id, &input.signal, message))
}

/// The forecasts of the part's signals; `acted` says here whether the skill gate lets them.
pub(super) fn forecasts(
    context: &Context,
    part: &Part,
    replicas: &ReplicaState,
) -> Vec<ForecastUsed> {
    let find = |signal: &str, id: &str| {
        context
            .forecasts
            .iter()
            .find(|forecast| forecast.signal == signal && forecast.part == id)
    };
    replicas
        .capacities
        .iter()
        .filter_map(|capacity| {
            find(&capacity.signal, &part.id).or_else(|| find(&capacity.signal, ""))
        })
        .map(|forecast| used_of(context, part, forecast))
        .collect()
}

fn used_of(context: &Context, part: &Part, forecast: &Forecast) -> ForecastUsed {
    let action = counted_action(part);
    let level = context.objective.level;
    let at = nearest(&forecast.levels, level);
    let peak = forecast.peaks.iter().find(|peak| peak.action == action);
    ForecastUsed {
        signal: forecast.signal.clone(),
        model: forecast.model.clone(),
        acted: forecast.reliable,
        reasons: forecast.reasons.clone(),
        skill: forecast.skill,
        level,
        calibrated_to: forecast.calibrated_to,
        lead: peak.map_or_else(|| lead_seconds(part), |peak| peak.lead),
        window: peak.map_or(0.0, |peak| peak.window),
        peak: peak
            .zip(at)
            .and_then(|(peak, at)| peak.values.get(at).copied())
            .unwrap_or(f64::NAN),
    }
}

/// The index of the level nearest to `level`.
fn nearest(levels: &[f64], level: f64) -> Option<usize> {
    let distance = |&(_, &given): &(usize, &f64)| (given - level).abs();
    levels
        .iter()
        .enumerate()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .map(|(index, _)| index)
}
