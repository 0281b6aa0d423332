//! What a model keeps: thousands of them stand in one process.
#![allow(
    clippy::tests_outside_test_module,
    reason = "a test of its own process, since it counts what the process allocates"
)]

use std::alloc::System;

use foreshard_forecast::{Calendar, Config, PeakWindow, Series, fit};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most bytes of one model.
const BYTES_MAX: usize = 40_000;

/// Days and weeks with noise, like in no two weeks, so that many members count.
fn series(step: i64, days: i64) -> Series {
    let load = |i: i64| {
        let day = (i * step) as f64 / 86_400.0;
        let noise = (i * 7919 % 1009) as f64 / 1009.0;
        let weekend = if (day as i64) % 7 >= 5 { 0.7 } else { 1.0 };
        weekend * (100.0 + 40.0 * (day * std::f64::consts::TAU).sin()) + 15.0 * noise
    };
    Series {
        start: 0,
        step,
        values: (0..days * 86_400 / step).map(load).collect(),
    }
}

#[test]
fn a_model_keeps_little() {
    let window = |lead, window| PeakWindow { lead, window };
    let soon = [window(600, 900), window(0, 660)];
    let late = [window(28_800, 3600), window(0, 28_860)];
    let all = [soon, late].concat();
    for (step, days) in [(300, 28), (300, 13), (300, 4), (60, 28), (3600, 28)] {
        let series = series(step, days);
        for peaks in [&soon[..], &late, &all] {
            let config = Config {
                peaks: peaks.to_vec(),
                ..Config::default()
            };
            let region = Region::new(ALLOCATOR);
            let model = fit(&series, &Calendar::default(), &config);
            let change = region.change();
            let bytes = change.bytes_allocated - change.bytes_deallocated;
            assert!(!model.members().is_empty());
            assert!(
                bytes < BYTES_MAX,
                "{days} days of {step} s, {peaks:?}: {bytes} bytes"
            );
        }
    }
}
