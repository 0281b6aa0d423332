//! The reactive floor: HPA's full rule at the target utilisation, and the live floor at the maximum utilisation.
//!
//! Source of the rule: Kubernetes, "Horizontal Pod Autoscaling", algorithm details.

use crate::contract::{Capacity, Context, Offer, Part, Quality, ReplicaState, Seconds, Signal};
use crate::count::needed;
use crate::rules::Rules;
use crate::state::PartState;

/// The action whose count a part has.
#[must_use]
pub fn counted_action(part: &Part) -> &str {
    part.offers
        .iter()
        .map(|offer| offer.action.as_str())
        .find(|action| matches!(*action, "replicas" | "shard-count"))
        .unwrap_or("replicas")
}

/// The offer of the action whose count a part has.
#[must_use]
pub fn counted_offer(part: &Part) -> Option<&Offer> {
    let action = counted_action(part);
    part.offers.iter().find(|offer| offer.action == action)
}

/// Seconds from order to effect that the rules reckon with: the 90th percentile of what was observed.
#[must_use]
pub fn lead_seconds(part: &Part) -> Seconds {
    counted_offer(part).map_or(0.0, |offer| offer.lead.p90.max(0.0))
}

/// The signal of `capacity` for `part`: its own, else that of the whole target.
pub(crate) fn signal_for<'a>(
    context: &'a Context,
    part: &Part,
    capacity: &Capacity,
) -> Option<&'a Signal> {
    let named = |id: &str| {
        context
            .signals
            .iter()
            .find(|signal| signal.name == capacity.signal && signal.part == id)
    };
    named(&part.id).or_else(|| named(""))
}

/// The newest value of a signal that may be acted upon.
#[must_use]
pub fn seen(signal: &Signal) -> Option<f64> {
    if signal.quality != Quality::Ok {
        return None;
    }
    let newest = signal.latest.as_ref().map(|sample| sample.value);
    newest
        .or_else(|| {
            signal
                .history
                .values
                .iter()
                .rev()
                .copied()
                .find(|value| !value.is_nan())
        })
        .filter(|value| value.is_finite())
}

/// What load alone asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reactive {
    /// HPA's full rule at the target utilisation, within the bounds.
    pub count: u32,
    /// What the newest samples need at the maximum utilisation; 0 when nothing is known.
    pub live: u32,
    /// Every signal with a capacity is ok.
    pub data_ok: bool,
}

/// Evaluates the reactive rule and advances its memory.
///
/// Without any sample there is no decision: the rule's count stays. As in HPA, a signal that is not ok forbids a
/// decrease, but not an increase that another one asks for.
pub fn reactive(
    context: &Context,
    part: &Part,
    replicas: &ReplicaState,
    rules: &Rules,
    state: &mut PartState,
) -> Reactive {
    let objective = &context.objective;
    let current = state.reactive.unwrap_or(replicas.wanted);
    let (mut raw, mut live, mut data_ok) = (None, 0, !replicas.capacities.is_empty());
    for capacity in &replicas.capacities {
        let value = signal_for(context, part, capacity).and_then(seen);
        let Some(value) = value else {
            data_ok = false;
            continue;
        };
        let each = capacity.per_replica;
        let Some(wanted) = needed(value, objective.target_utilization, each) else {
            data_ok = false;
            continue;
        };
        let ratio = value / (objective.target_utilization * each * f64::from(current));
        let tolerated = current > 0 && (ratio - 1.0).abs() <= rules.tolerance + 1e-9;
        raw = raw.max(Some(if tolerated { current } else { wanted }));
        live = live.max(needed(value, objective.max_utilization, each).unwrap_or(0));
    }
    let window = rules.stabilization.max(lead_seconds(part));
    let count = match raw {
        Some(raw) if data_ok => state.recommendations.push(context.now, window, raw),
        Some(raw) => state
            .recommendations
            .push(context.now, window, raw.max(current)),
        None => current,
    };
    let count = count.clamp(replicas.min, replicas.max.max(replicas.min));
    state.reactive = Some(count);
    Reactive {
        count,
        live,
        data_ok,
    }
}
