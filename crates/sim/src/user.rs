//! The user's policy in the replay model: the engine as a scaler.

use foreshard_decide::contract::{
    Action, Capacity, LeadTime, Offer, Part, PastChange, Pending, ReplicaState,
};
use foreshard_engine::{Engine, Observation, Outcome, Policies, Settings, SignalSeen};

use crate::replay::{Scaler, View};

/// Seconds between two ticks of the replay.
const TICK_SECONDS: i64 = 60;
/// Changes that are told to policies at most.
const RECENT_MAX: usize = 64;

/// How often the forecast was let act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Evaluations.
    pub ticks: u64,
    /// Evaluations in which the forecast acted.
    pub acted: u64,
}

impl Trust {
    /// Whether the skill gate calls the load predictable: the forecast acted in at least half of the evaluations.
    #[must_use]
    pub fn predictable(&self) -> bool {
        2 * self.acted >= self.ticks && self.ticks > 0
    }

    /// Share of the evaluations in which the forecast acted, 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.ticks == 0 {
            0.0
        } else {
            self.acted as f64 / self.ticks as f64
        }
    }
}

/// The engine with its policies, asked tick by tick.
pub struct User<'p> {
    engine: Engine,
    policies: &'p mut dyn Policies,
    record: Option<&'p mut dyn FnMut(&Outcome)>,
    recent: Vec<PastChange>,
    trust: Trust,
}

impl<'p> User<'p> {
    /// A target with one part that is scaled by `policies`.
    pub fn new(settings: Settings, policies: &'p mut dyn Policies) -> Self {
        Self {
            engine: Engine::new(settings),
            policies,
            record: None,
            recent: Vec::new(),
            trust: Trust::default(),
        }
    }

    /// Shows every outcome to `record`.
    #[must_use]
    pub fn recording(mut self, record: &'p mut dyn FnMut(&Outcome)) -> Self {
        self.record = Some(record);
        self
    }

    /// How often the forecast was let act so far.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.trust
    }

    fn note(&mut self, view: &View<'_>, count: u32) {
        if count == view.wanted {
            return;
        }
        self.recent.truncate(RECENT_MAX - 1);
        let change = PastChange {
            at: view.now as f64,
            part: String::new(),
            action: Action::Replicas(count),
            outcome: "ordered".to_owned(),
        };
        self.recent.insert(0, change);
    }
}

impl Scaler for User<'_> {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        let told = self
            .policies
            .bindings()
            .iter()
            .map(|binding| binding.needs.recent_changes as usize)
            .max()
            .unwrap_or(0);
        let observation = Observation {
            now: view.now,
            next: view.now + TICK_SECONDS,
            parts: vec![part(view, self.recent.first().map(|change| change.at))],
            signals: vec![SignalSeen {
                name: "demand",
                part: "",
                unit: "1/s",
                history: view.history,
                latest: view.seen,
                censored: false,
            }],
            recent: self.recent.iter().take(told).cloned().collect(),
        };
        let outcome = self.engine.step(&observation, self.policies);
        self.trust.ticks += 1;
        let parts = &outcome.record.explanation.parts;
        let acted = parts
            .iter()
            .any(|part| part.forecasts.iter().any(|forecast| forecast.acted));
        self.trust.acted += u64::from(acted);
        let count = outcome.count("");
        if let Some(record) = &mut self.record {
            record(&outcome);
        }
        if let Some(count) = count {
            self.note(view, count);
        }
        count
    }
}

/// The one part of the replay, as the contract describes it.
pub(crate) fn part(view: &View<'_>, last_change: Option<f64>) -> Part {
    let lag = view.lag_seconds as f64;
    let pending = view.pending.iter().map(|&(replicas, at)| Pending {
        replicas,
        expected_at: at as f64,
    });
    Part {
        id: String::new(),
        parent: String::new(),
        kind: "scale".to_owned(),
        labels: Vec::new(),
        busy: false,
        last_change,
        offers: vec![Offer {
            action: "replicas".to_owned(),
            lead: LeadTime {
                p50: lag,
                p90: lag,
                p99: lag,
                observations: 0,
            },
            cost_per_change: 0.0,
            reversible: true,
            blocked_until: None,
            blocked_by: String::new(),
        }],
        replicas: Some(ReplicaState {
            wanted: view.wanted,
            ready: view.ready,
            pending: pending.collect(),
            min: view.min,
            max: view.max,
            floor: 0,
            capacities: vec![Capacity {
                signal: "demand".to_owned(),
                per_replica: view.capacity,
                uncertainty: 0.0,
                source: "declared".to_owned(),
            }],
            cost_per_hour: 0.0,
        }),
        containers: Vec::new(),
        volumes: Vec::new(),
        shard: None,
    }
}
