//! What one target of a thousand takes.
#![allow(
    clippy::tests_outside_test_module,
    reason = "a test of its own process, since it counts what the process allocates"
)]

use std::alloc::System;

use foreshard_engine::{Crowd, Engine, Settings};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::target::{Asking, DAY, known, loads, observation};

mod target;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most bytes of a target with three forecast signals, models and a full memory of its policy among them.
const BYTES_MAX: usize = 130_000;

#[test]
fn a_target_takes_little_after_two_days() {
    let loads = loads(2);
    let mut policies = Asking::new();
    let region = Region::new(ALLOCATOR);
    let mut engine = Engine::new(Settings {
        crowd: Crowd::Many,
        ..Settings::default()
    });
    for now in (0..2 * DAY).step_by(240) {
        let known = known(&loads, now);
        let ready = 14 + (now / 900 % 3) as u32;
        let outcome = engine.step(&observation(&known, now, ready), &mut policies);
        assert_eq!(outcome.record.context.forecasts.len(), 3);
    }
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated;
    assert!(engine.calibration("", "writes").is_some());
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
}
