//! What each evaluation brings, for the HTTP API and the console.

use std::collections::VecDeque;
use std::sync::Arc;

use foreshard_api::validated::ValidatedPolicy;
use foreshard_decide::contract::{self, Quality};
use foreshard_engine::Outcome;
use foreshard_history::collector::Glance;
use foreshard_server::view::{
    ActivePolicy, Band, Objective, Observed, Part, Point, RecommendationObject, Target,
};
use foreshard_server::{Decision, History, Hub, Name, Update};

use crate::outlook::{BAND, Outlook};
use crate::part::{KIND, PART};
use foreshard_controller::index::Key;

/// Most moments for which it is remembered what had been forecast.
const EXPECTED_MAX: usize = 1500;

/// The way to the server.
#[derive(Clone)]
pub(crate) struct Publisher {
    hub: Arc<Hub>,
}

/// One evaluation of a policy.
pub(crate) struct Shown<'a> {
    pub(crate) policy: &'a ValidatedPolicy,
    pub(crate) outcome: &'a Outcome,
    pub(crate) outlook: &'a Outlook,
    /// The name of the module that is asked first.
    pub(crate) first: &'a str,
    /// And what it is bound with.
    pub(crate) in_force: Option<ActivePolicy>,
    pub(crate) observed: Observed,
    /// The history of its load, which is the first signal.
    pub(crate) load: Option<Glance>,
    /// What stands for it in the cluster.
    pub(crate) recommendation: Option<RecommendationObject>,
}

/// The history of a target's load as the collector keeps it.
struct LoadHistory(Glance);

impl History for LoadHistory {
    fn load(&self, _: &str) -> Vec<(i64, f64)> {
        let Some(series) = self.0.history() else {
            return Vec::new();
        };
        let begins = (0..).map(|bin: i64| series.start + bin * series.step);
        begins.zip(series.values).collect()
    }
}

/// What was forecast for moments to come of one target, soonest first.
#[derive(Debug, Default)]
pub(crate) struct Expected(VecDeque<(i64, Band)>);

impl Publisher {
    /// To this hub.
    #[must_use]
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// The hub.
    #[must_use]
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Shows one evaluation of the policy `key`.
    pub(crate) fn publish(&self, key: &Key, shown: Shown<'_>, expected: &mut Expected) {
        let Shown {
            policy,
            outcome,
            outlook,
            first,
            in_force,
            observed,
            load,
            recommendation,
        } = shown;
        // A name that Kubernetes takes and the API does not is not served.
        let Ok(namespace) = key.0.parse::<Name>() else {
            return;
        };
        let context = &outcome.record.context;
        let now = context.now;
        let target = Target {
            observed: Some(observed),
            ..target(key, policy, outcome)
        };
        let Some(part) = target.parts.first() else {
            return;
        };
        let forecast = context.forecasts.first();
        let point = Point {
            at: now,
            demand: part.demand.unwrap_or(f64::NAN),
            capacity: part.capacity_per_replica * f64::from(part.ready),
            wanted: part.wanted,
            ready: part.ready,
            expected: expected.at(now as i64, part.lead_seconds as i64, forecast),
        };
        self.hub.publish(
            &namespace,
            Update {
                points: vec![(PART.to_owned(), point)],
                forecasts: Some(Arc::clone(outlook.forecasts())),
                history: load.map(|load| Arc::new(LoadHistory(load)) as Arc<dyn History>),
                decision: Some(Decision {
                    policy: first.to_owned(),
                    record: Arc::clone(&outcome.record),
                    object: recommendation,
                }),
                target,
            },
        );
        if let Some(policy) = in_force {
            self.hub.follows(&namespace, &key.1, policy, now);
        }
    }

    /// The policy is gone.
    pub(crate) fn remove(&self, key: &Key) {
        if let Ok(namespace) = key.0.parse::<Name>() {
            self.hub.remove_target(&namespace, &key.1);
        }
    }
}

impl Expected {
    /// What had been forecast for `now` one lead ago; remembers what is forecast for one lead ahead.
    fn at(&mut self, now: i64, lead: i64, forecast: Option<&contract::Forecast>) -> Band {
        if let Some(forecast) = forecast {
            self.0.push_back((now + lead, band(forecast)));
        }
        let mut newest = Band::NONE;
        while self.0.front().is_some_and(|(at, _)| *at <= now) || self.0.len() > EXPECTED_MAX {
            newest = self.0.pop_front().map_or(Band::NONE, |(_, band)| band);
        }
        newest
    }
}

/// The peaks of the window at the action's lead: there are no paths where nobody asked for them.
fn band(forecast: &contract::Forecast) -> Band {
    let Some(peak) = forecast.peaks.iter().find(|peak| peak.lead > 0.0) else {
        return Band::NONE;
    };
    let value = |level: f64| {
        let at = forecast
            .levels
            .iter()
            .position(|known| *known >= level - 1e-9);
        at.and_then(|at| peak.values.get(at))
            .copied()
            .unwrap_or(f64::NAN)
    };
    Band {
        middle: value(BAND[0]),
        high: value(BAND[1]),
    }
}

fn target(key: &Key, policy: &ValidatedPolicy, outcome: &Outcome) -> Target {
    let context = &outcome.record.context;
    let objective = &context.objective;
    Target {
        name: key.1.clone(),
        kind: KIND.to_owned(),
        at: context.now,
        objective: Objective {
            violation_budget: objective.violation_budget,
            budget_spent: objective.budget_spent,
            target_utilization: objective.target_utilization,
            max_utilization: objective.max_utilization,
        },
        parts: context
            .parts
            .iter()
            .map(|it| part(it, policy, context))
            .collect(),
        summary: outcome.record.explanation.summary.clone(),
        observed: None,
    }
}

fn part(part: &contract::Part, policy: &ValidatedPolicy, context: &contract::Context) -> Part {
    let signal = context.signals.first();
    let seen = signal.and_then(|signal| {
        let bins = signal
            .history
            .values
            .iter()
            .rev()
            .find(|bin| !bin.is_nan())
            .copied();
        signal.latest.as_ref().map(|sample| sample.value).or(bins)
    });
    let replicas = part.replicas.as_ref();
    Part {
        id: part.id.clone(),
        parent: part.parent.clone(),
        kind: part.kind.clone(),
        demand: seen.filter(|_| signal.is_some_and(|it| it.quality == Quality::Ok)),
        unit: policy
            .signals
            .first()
            .map(|it| it.unit.clone())
            .unwrap_or_default(),
        quality: signal.map_or("missing".to_owned(), |it| {
            format!("{:?}", it.quality).to_lowercase()
        }),
        capacity_per_replica: policy.signals.first().map_or(0.0, |it| it.capacity),
        ready: replicas.map_or(0, |it| it.ready),
        wanted: replicas.map_or(0, |it| it.wanted),
        min: replicas.map_or(0, |it| it.min),
        max: replicas.map_or(0, |it| it.max),
        lead_seconds: foreshard_decide::lead_seconds(part),
    }
}
