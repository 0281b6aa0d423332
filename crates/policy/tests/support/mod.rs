//! What the host's tests share.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use foreshard_decide::contract::{
    Calendar, Capacity, Context, Forecast, Label, LeadTime, Objective, Offer, Part, Peak, Quality,
    ReplicaState, Sample, Series, Signal, UtcOffset,
};
use foreshard_policy::Compiler;

/// The helper program that compiles in a jail.
pub(crate) fn jail() -> Compiler {
    Compiler::Jail(env!("CARGO_BIN_EXE_compile-policy").into())
}

/// A full context: `parts` parts with `points` samples, three paths of 288 and two peaks at nine levels each.
pub(crate) fn context(parts: usize, points: usize) -> Context {
    let now = 1_704_067_200.0;
    let ids: Vec<String> = (0..parts)
        .map(|index| {
            if parts == 1 {
                String::new()
            } else {
                format!("shard-{index}")
            }
        })
        .collect();
    Context {
        now,
        next: now + 60.0,
        config: String::new(),
        kind: "Scale".to_owned(),
        namespace: "demo".to_owned(),
        name: "shop".to_owned(),
        labels: vec![Label {
            name: "team".to_owned(),
            value: "shop".to_owned(),
        }],
        objective: Objective {
            violation_budget: 0.01,
            budget_window: 604_800.0,
            budget_spent: 0.2,
            target_utilization: 0.7,
            max_utilization: 0.9,
            level: 0.95,
            currency: "EUR".to_owned(),
            cost_per_violation_minute: 1.0,
        },
        parts: ids.iter().map(|id| part(id)).collect(),
        signals: ids.iter().map(|id| signal(id, now, points)).collect(),
        forecasts: ids.iter().map(|id| forecast(id, now)).collect(),
        calendar: Calendar {
            zone: "Europe/Berlin".to_owned(),
            offsets: vec![UtcOffset {
                since: 0.0,
                seconds: 3600,
            }],
            holidays: Vec::new(),
            events: Vec::new(),
        },
        recent: Vec::new(),
        memory: Vec::new(),
        extras: Vec::new(),
    }
}

fn part(id: &str) -> Part {
    Part {
        id: id.to_owned(),
        parent: String::new(),
        kind: "scale".to_owned(),
        labels: vec![Label {
            name: "cell".to_owned(),
            value: "zone1".to_owned(),
        }],
        busy: false,
        last_change: None,
        offers: vec![Offer {
            action: "replicas".to_owned(),
            lead: LeadTime {
                p50: 60.0,
                p90: 120.0,
                p99: 300.0,
                observations: 12,
            },
            cost_per_change: 0.0,
            reversible: true,
            blocked_until: None,
            blocked_by: String::new(),
        }],
        replicas: Some(ReplicaState {
            wanted: 4,
            ready: 4,
            pending: Vec::new(),
            min: 1,
            max: 100,
            floor: 1,
            capacities: vec![Capacity {
                signal: "demand".to_owned(),
                per_replica: 100.0,
                uncertainty: 0.0,
                source: "declared".to_owned(),
            }],
            cost_per_hour: 0.2,
        }),
        containers: Vec::new(),
        volumes: Vec::new(),
        shard: None,
    }
}

fn signal(part: &str, now: f64, points: usize) -> Signal {
    let values = (0..points)
        .map(|index| 500.0 + 300.0 * (index as f64 / 288.0 * std::f64::consts::TAU).sin())
        .collect();
    Signal {
        name: "demand".to_owned(),
        part: part.to_owned(),
        unit: "1/s".to_owned(),
        quality: Quality::Ok,
        age: 5.0,
        coverage: 1.0,
        history: Series {
            start: now - points as f64 * 300.0,
            step: 300.0,
            values,
        },
        latest: Some(Sample {
            at: now - 5.0,
            value: 520.0,
        }),
        censored: false,
    }
}

fn forecast(part: &str, now: f64) -> Forecast {
    let levels = vec![0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995];
    let peak = |lead: f64, window: f64| Peak {
        action: "replicas".to_owned(),
        lead,
        window,
        values: levels.iter().map(|level| 500.0 + 300.0 * level).collect(),
    };
    Forecast {
        signal: "demand".to_owned(),
        part: part.to_owned(),
        model: "pool".to_owned(),
        issued_at: now,
        reliable: true,
        reasons: Vec::new(),
        skill: 0.4,
        calibrated_to: 0.99,
        start: now,
        step: 300.0,
        paths: (0..3)
            .map(|row| {
                (0..288)
                    .map(|index| 400.0 + f64::from(row * 50 + index))
                    .collect()
            })
            .collect(),
        peaks: vec![peak(120.0, 1800.0), peak(0.0, 180.0)],
        levels,
    }
}

/// A component that only tests load; `cargo xtask policies` builds it.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root
        .join("target/policies/test")
        .join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: run `cargo xtask policies` first",
            path.display()
        )
    })
}
