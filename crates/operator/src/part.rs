//! A target as the engine sees it: one part with a count, and the settings that the user chose. Pure.

use std::sync::Arc;

use foreshard_api::v1alpha1::StepLimit;
use foreshard_api::validated::{TARGET_UTILIZATION, ValidatedPolicy};
use foreshard_decide::contract::{Capacity, LeadTime, Offer, Part, Pending, ReplicaState};
use foreshard_decide::{QualityLimits, Rules};
use foreshard_engine::{Aims, Crowd, Settings};

use crate::future::Known;
use crate::lead::Lead;
use crate::target::Seen;
use crate::zone;

/// The id of the one part of a target with `/scale`.
pub(crate) const PART: &str = "";
/// Its kind.
pub(crate) const KIND: &str = "scale";
/// The action that changes its count.
const ACTION: &str = "replicas";
/// Seconds between two fits of a forecast.
const REFIT_SECONDS: i64 = 6 * 3600;
/// A sample older than three evaluations, and than this, is stale.
const STALE_SECONDS: i64 = 180;

/// Seconds after which a sample says nothing of now.
pub(crate) fn stale_seconds(policy: &ValidatedPolicy) -> i64 {
    STALE_SECONDS.max(3 * policy.interval_seconds)
}

/// The one part of a target with `/scale`.
#[must_use]
pub(crate) fn part(
    policy: &ValidatedPolicy,
    known: &Known,
    seen: &Seen,
    lead: &Lead,
    blocked: Option<(i64, String)>,
    now: i64,
) -> Part {
    let time = lead.time(policy.replicas.lead_seconds);
    let mut max = known.max;
    if known.no_increase {
        max = max.min(seen.wanted.max(1));
    }
    if known.no_decrease {
        max = max.max(seen.wanted);
    }
    Part {
        id: PART.to_owned(),
        parent: String::new(),
        kind: KIND.to_owned(),
        labels: Vec::new(),
        busy: seen.ready != seen.wanted || seen.stuck.is_some(),
        last_change: None,
        offers: vec![offer(time.clone(), blocked)],
        replicas: Some(ReplicaState {
            wanted: seen.wanted,
            ready: seen.ready,
            pending: pending(seen, lead, &time, now),
            min: known.min.min(max),
            max,
            floor: known.min.min(max),
            capacities: policy.signals.iter().map(capacity).collect(),
            cost_per_hour: 1.0,
        }),
        containers: Vec::new(),
        volumes: Vec::new(),
        shard: None,
    }
}

fn capacity(signal: &foreshard_api::validated::ValidatedSignal) -> Capacity {
    Capacity {
        signal: signal.name.clone(),
        per_replica: signal.capacity,
        uncertainty: 0.0,
        source: "declared".to_owned(),
    }
}

fn offer(lead: LeadTime, blocked: Option<(i64, String)>) -> Offer {
    let (until, by) = blocked.map_or((None, String::new()), |(until, by)| {
        (Some(until as f64), by)
    });
    Offer {
        action: ACTION.to_owned(),
        lead,
        cost_per_change: 0.0,
        reversible: true,
        blocked_until: until,
        blocked_by: by,
    }
}

fn pending(seen: &Seen, lead: &Lead, time: &LeadTime, now: i64) -> Vec<Pending> {
    let missing = seen.wanted.saturating_sub(seen.ready);
    if missing == 0 {
        return Vec::new();
    }
    let since = lead.open().map_or(now, |order| order.at);
    vec![Pending {
        replicas: missing,
        expected_at: (since as f64 + time.p90).max(now as f64),
    }]
}

/// The engine's settings for a policy.
#[must_use]
pub(crate) fn settings(
    policy: &ValidatedPolicy,
    known: &Known,
    namespace: &str,
    now: i64,
) -> Settings {
    let rules = &policy.replicas;
    Settings {
        kind: policy.target.kind.clone(),
        namespace: namespace.to_owned(),
        name: policy.target.name.clone(),
        labels: Vec::new(),
        aims: Aims {
            violation_budget: policy.violation_budget,
            target_utilization: TARGET_UTILIZATION,
            max_utilization: policy.max_utilization,
            ..Aims::default()
        },
        rules: Arc::new(Rules {
            stabilization: rules.stabilization_seconds as f64,
            increase: rules.increase.as_ref().map(step_limit),
            decrease: rules.decrease.as_ref().map(step_limit),
            increase_cooldown: rules.increase_cooldown_seconds as f64,
            decrease_cooldown: rules.decrease_cooldown_seconds as f64,
            freezes: known.freezes.clone(),
            ..Rules::default()
        }),
        quality: QualityLimits {
            stale_after: stale_seconds(policy) as f64,
            ..QualityLimits::default()
        },
        zone: policy.zone_name.clone(),
        calendar: zone::calendar(&policy.zone, now),
        events: known.events.clone(),
        refit_every: REFIT_SECONDS,
        crowd: Crowd::Many,
    }
}

fn step_limit(limit: &StepLimit) -> foreshard_decide::StepLimit {
    foreshard_decide::StepLimit {
        count: u32::try_from(limit.replicas).unwrap_or(1),
        share: f64::from(limit.percent) / 100.0,
        period: f64::from(limit.period_seconds),
    }
}
