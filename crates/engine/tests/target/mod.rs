//! A target with three signals and a policy that asks for forecasts of all of them.

use std::sync::Arc;

use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::{
    Capacity, Context, Decide, ForecastNeed, LeadTime, Needs, Offer, Part, PeakNeed, ReplicaState,
    Verdict,
};
use foreshard_engine::{Binding, Observation, Policies, SignalSeen};
use foreshard_forecast::{Sample, Series};

pub(crate) const STEP: i64 = 300;
pub(crate) const DAY: i64 = 86_400;
/// 28 days of bins.
const BINS: usize = 8064;
const SIGNALS: [&str; 3] = ["demand", "writes", "connections"];

/// The load of each signal from 28 days before 0 on.
pub(crate) fn loads(days: i64) -> Vec<Series> {
    let load = |signal: i64, i: i64| {
        let day = (i * STEP) as f64 / DAY as f64;
        let noise = (i * (7919 + signal) % 1009) as f64 / 1009.0;
        let weekend = if (day as i64) % 7 >= 5 { 0.7 } else { 1.0 };
        weekend * (100.0 + 40.0 * (day * std::f64::consts::TAU).sin()) + 15.0 * noise
    };
    let bins = (28 + days) * DAY / STEP;
    (0..SIGNALS.len() as i64)
        .map(|signal| Series {
            start: -28 * DAY,
            step: STEP,
            values: (0..bins).map(|i| load(signal, i)).collect(),
        })
        .collect()
}

/// What is kept of `loads` at `now`: 28 days.
pub(crate) fn known(loads: &[Series], now: i64) -> Vec<Series> {
    loads
        .iter()
        .map(|load| load.until(now).tail(BINS))
        .collect()
}

pub(crate) fn observation<'a>(known: &'a [Series], now: i64, ready: u32) -> Observation<'a> {
    let seen = |(name, history): (&'static str, &'a Series)| SignalSeen {
        name,
        part: "",
        unit: "1/s",
        history,
        latest: history.values.last().map(|value| Sample {
            at: now - 15,
            value: 1.02 * value,
        }),
        censored: false,
    };
    Observation {
        now,
        next: now + 60,
        parts: vec![part(ready)],
        signals: SIGNALS.into_iter().zip(known).map(seen).collect(),
        recent: vec![],
    }
}

fn part(ready: u32) -> Part {
    Part {
        id: String::new(),
        parent: String::new(),
        kind: "scale".to_owned(),
        labels: vec![],
        busy: false,
        last_change: None,
        offers: vec![Offer {
            action: "replicas".to_owned(),
            lead: LeadTime {
                p50: 600.0,
                p90: 600.0,
                p99: 600.0,
                observations: 9,
            },
            cost_per_change: 0.0,
            reversible: true,
            blocked_until: None,
            blocked_by: String::new(),
        }],
        replicas: Some(ReplicaState {
            wanted: ready,
            ready,
            pending: vec![],
            min: 2,
            max: 80,
            floor: 0,
            capacities: SIGNALS
                .iter()
                .map(|signal| Capacity {
                    signal: (*signal).to_owned(),
                    per_replica: 10.0,
                    uncertainty: 0.0,
                    source: "declared".to_owned(),
                })
                .collect(),
            cost_per_hour: 0.0,
        }),
        containers: vec![],
        volumes: vec![],
        shard: None,
    }
}

/// Asks for a peak of every signal, proposes nothing, and keeps as much memory as it may.
pub(crate) struct Asking {
    bindings: Vec<Binding>,
    told: u8,
}

impl Asking {
    pub(crate) fn new() -> Self {
        let need = |signal: &str| ForecastNeed {
            signal: signal.to_owned(),
            horizon: 0.0,
            levels: vec![0.5, 0.9, 0.97, 0.99],
            peaks: vec![PeakNeed {
                action: "replicas".to_owned(),
                lead: None,
                window: 900.0,
            }],
        };
        Self {
            bindings: vec![Binding {
                name: "asking".to_owned(),
                digest: "sha256:00".to_owned(),
                config: "{}".to_owned(),
                memory_version: 1,
                needs: Needs {
                    signals: vec![],
                    forecasts: SIGNALS.map(need).to_vec(),
                    part_kinds: vec![],
                    recent_changes: 0,
                },
            }],
            told: 0,
        }
    }
}

impl Policies for Asking {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    fn evaluate(&mut self, _binding: usize, _context: &Arc<Context>) -> PolicyAnswer {
        self.told = self.told.wrapping_add(1);
        PolicyAnswer {
            policy: "asking".to_owned(),
            digest: "sha256:00".to_owned(),
            uses_forecast: true,
            verdict: Verdict::Decide(Decide {
                proposals: vec![],
                reason: "a test".to_owned(),
                measures: vec![],
                memory: Some(vec![self.told; foreshard_engine::MEMORY_BYTES_MAX]),
            }),
            findings: vec![],
        }
    }
}
