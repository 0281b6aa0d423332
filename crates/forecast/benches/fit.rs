//! What a fit and a prediction cost: 28 days at 5 minutes and 14 days at 1 minute, one thread.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use foreshard_forecast::{
    Calendar, Calibration, Config, PeakWindow, Request, Sample, Series, Unfolded, fit,
};

const PEAKS: [PeakWindow; 2] = [
    PeakWindow {
        lead: 600,
        window: 300,
    },
    PeakWindow {
        lead: 3600,
        window: 300,
    },
];

/// Days and weeks with noise.
fn series(step: i64, days: i64) -> Series {
    let load = |i: i64| {
        let day = (i * step) as f64 / 86_400.0;
        let noise = (i * 7919 % 1009) as f64 / 1009.0;
        let weekend = if (day as i64) % 7 >= 5 { 0.7 } else { 1.0 };
        weekend * (100.0 + 40.0 * (day * std::f64::consts::TAU).sin()) + 5.0 * noise
    };
    Series {
        start: 0,
        step,
        values: (0..days * 86_400 / step).map(load).collect(),
    }
}

fn bench(criterion: &mut Criterion) {
    let config = Config {
        peaks: PEAKS.to_vec(),
        ..Config::default()
    };
    for (name, step, days) in [("28 d at 5 min", 300, 28), ("14 d at 1 min", 60, 14)] {
        let known = series(step, days);
        let longer = series(step, days + 1);
        let now = known.end() + 6 * 3600;
        let model = Arc::new(fit(&known, &Calendar::default(), &config));
        let unfolded = Unfolded::new(Arc::clone(&model), &known);
        let latest = Sample {
            at: now,
            value: 120.0,
        };
        let request = |horizon: i64| Request {
            now: now + 60,
            horizon,
            levels: vec![0.5, 0.9, 0.99, 0.995],
            peaks: PEAKS.to_vec(),
        };
        criterion.bench_function(&format!("fit, {name}"), |b| {
            b.iter(|| fit(&known, &Calendar::default(), &config));
        });
        for (what, horizon) in [("peaks", 0), ("peaks and 24 h of paths", 86_400)] {
            let request = request(horizon);
            let calibration = Calibration::default();
            criterion.bench_function(&format!("predict {what}, {name}, fitted 6 h ago"), |b| {
                b.iter(|| model.predict(&longer, Some(latest), &request, &calibration));
            });
            criterion.bench_function(&format!("the same, {what}, {name}, unfolded"), |b| {
                b.iter(|| unfolded.predict(&longer, Some(latest), &request, &calibration));
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
