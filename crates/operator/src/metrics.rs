//! Our own metrics: `foreshard_*`. Names of objects are labels only where one value for each policy is the point.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foreshard_external::Answers;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Number = Gauge<f64, AtomicU64>;

/// Which policy.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PolicyLabels {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub policy: String,
}

/// What came of an action.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ActionLabels {
    /// `up` or `down`.
    pub direction: &'static str,
    /// `done`, or why not.
    pub outcome: &'static str,
}

/// What a query was for.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PurposeLabels {
    /// `live`, `refresh` or `backfill`.
    pub purpose: &'static str,
}

/// Where a signal stands.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StateLabels {
    /// `waiting`, `backfilling`, `fresh`, `no_data` or `failing`.
    pub state: &'static str,
}

/// One reason.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabels {
    /// A condition's reason.
    pub reason: &'static str,
}

/// The name of a guardrail.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct GuardLabels {
    /// The rule.
    pub guard: &'static str,
}

/// The handles of every metric. Cheap to copy.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Seconds of one evaluation.
    pub evaluation: Histogram,
    /// Seconds from a sample to the write of `/scale` that it led to.
    pub reaction: Histogram,
    /// Evaluations that were not ready, by reason.
    pub not_ready: Family<ReasonLabels, Counter>,
    /// Actions, by direction and outcome.
    pub actions: Family<ActionLabels, Counter>,
    /// Counts that a guardrail changed.
    pub clamps: Family<GuardLabels, Counter>,
    /// Writes of statuses.
    pub status_writes: Counter,
    /// Policies that are followed.
    pub policies: Gauge,
    /// Whether this replica writes.
    pub leader: Gauge,
    /// Replicas that we would ask for.
    pub recommended: Family<PolicyLabels, Gauge>,
    /// Skill of the forecast.
    pub skill: Family<PolicyLabels, Number>,
    /// 1: the forecast may not act.
    pub demoted: Family<PolicyLabels, Gauge>,
    /// Seconds from an order to its effect: nine of ten took no longer.
    pub lead: Family<PolicyLabels, Number>,
    /// Seconds a day over capacity, had we been followed.
    pub shadow_harm: Family<PolicyLabels, Number>,
    /// The same as it was.
    pub live_harm: Family<PolicyLabels, Number>,
    /// Our cost over the real one.
    pub shadow_cost: Family<PolicyLabels, Number>,
    /// Queries sent to every Prometheus, by purpose.
    pub queries: Family<PurposeLabels, Counter>,
    /// Queries of those that failed, by kind.
    pub query_failures: Family<ReasonLabels, Counter>,
    /// Signals that are watched, by state.
    pub signals: Family<StateLabels, Gauge>,
    /// Workers that broke on a bug and were started again.
    pub workers_broken: Counter,
    /// Answers to those who act themselves.
    pub external_answers: Answers,
    /// Whether the cluster's external-metrics API is ours.
    pub external_metrics_registered: Gauge,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("foreshard");
        let evaluation = Histogram::new(exponential_buckets(0.000_5, 2.0, 14));
        let reaction = Histogram::new(exponential_buckets(0.25, 2.0, 10));
        let metrics = Self {
            registry: Arc::default(),
            evaluation: evaluation.clone(),
            reaction: reaction.clone(),
            not_ready: Family::default(),
            actions: Family::default(),
            clamps: Family::default(),
            status_writes: Counter::default(),
            policies: Gauge::default(),
            leader: Gauge::default(),
            recommended: Family::default(),
            skill: Family::default(),
            demoted: Family::default(),
            lead: Family::default(),
            shadow_harm: Family::default(),
            live_harm: Family::default(),
            shadow_cost: Family::default(),
            queries: Family::default(),
            query_failures: Family::default(),
            signals: Family::default(),
            workers_broken: Counter::default(),
            external_answers: Answers::default(),
            external_metrics_registered: Gauge::default(),
        };
        let r = &mut registry;
        r.register_with_unit(
            "evaluation",
            "Time of one evaluation",
            Unit::Seconds,
            evaluation,
        );
        r.register_with_unit(
            "reaction",
            "Time from a sample to the write of /scale that it led to",
            Unit::Seconds,
            reaction,
        );
        r.register(
            "evaluations_not_ready",
            "Evaluations that could not decide, by reason",
            metrics.not_ready.clone(),
        );
        r.register(
            "actions",
            "Changes of replicas, by direction and outcome",
            metrics.actions.clone(),
        );
        r.register(
            "guardrail_clamps",
            "Counts that a guardrail changed",
            metrics.clamps.clone(),
        );
        r.register(
            "status_writes",
            "Writes of a ScalingPolicy's status",
            metrics.status_writes.clone(),
        );
        r.register(
            "policies",
            "ScalingPolicies that are followed",
            metrics.policies.clone(),
        );
        r.register("leader", "1: this replica writes", metrics.leader.clone());
        r.register(
            "recommended_replicas",
            "Replicas that would be asked for",
            metrics.recommended.clone(),
        );
        r.register(
            "forecast_skill",
            "1 - loss / loss of seasonal-naive, of what was issued in the last days",
            metrics.skill.clone(),
        );
        r.register(
            "forecast_demoted",
            "1: the forecast may not act",
            metrics.demoted.clone(),
        );
        r.register_with_unit(
            "lead_time",
            "P90 from an order to its effect",
            Unit::Seconds,
            metrics.lead.clone(),
        );
        r.register(
            "shadow_harm_seconds_per_day",
            "Time over capacity had the recommendations been followed, over 7 days",
            metrics.shadow_harm.clone(),
        );
        r.register(
            "live_harm_seconds_per_day",
            "Time over capacity as it was, over 7 days",
            metrics.live_harm.clone(),
        );
        r.register(
            "shadow_cost_ratio",
            "Cost of following the recommendations over the real one, over 7 days",
            metrics.shadow_cost.clone(),
        );
        r.register(
            "prometheus_queries",
            "Queries sent to every Prometheus, by what for",
            metrics.queries.clone(),
        );
        r.register(
            "prometheus_queries_failed",
            "Queries that failed, by why",
            metrics.query_failures.clone(),
        );
        r.register(
            "signals",
            "Signals that are watched, by state",
            metrics.signals.clone(),
        );
        r.register(
            "workers_broken",
            "Workers that broke on a bug and were started again",
            metrics.workers_broken.clone(),
        );
        r.register(
            "external_answers",
            "Answers to KEDA and to the external-metrics API, by outcome",
            metrics.external_answers.0.clone(),
        );
        r.register(
            "external_metrics_registered",
            "1: the cluster's external-metrics API is served by Foreshard",
            metrics.external_metrics_registered.clone(),
        );
        Self {
            registry: Arc::new(registry),
            ..metrics
        }
    }

    /// A policy is gone.
    pub fn forget(&self, labels: &PolicyLabels) {
        self.recommended.remove(labels);
        self.demoted.remove(labels);
        for family in [
            &self.skill,
            &self.lead,
            &self.shadow_harm,
            &self.live_harm,
            &self.shadow_cost,
        ] {
            family.remove(labels);
        }
    }

    /// In the text format of OpenMetrics.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
