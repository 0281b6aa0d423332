//! What a step of a target with three signals of 28 days at 5 minutes costs, without fits and policies; one thread.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use foreshard_engine::{Crowd, Engine, Settings};

use crate::target::{Asking, DAY, known, loads, observation};

#[path = "../tests/target/mod.rs"]
mod target;

fn bench(criterion: &mut Criterion) {
    let loads = loads(1);
    for (name, crowd) in [("few", Crowd::Few), ("many", Crowd::Many)] {
        let mut policies = Asking::new();
        let mut engine = Engine::new(Settings {
            crowd,
            // No fit but the first.
            refit_every: i64::MAX / 4,
            ..Settings::default()
        });
        let mut now = 0;
        criterion.bench_function(&format!("step, {name} targets"), |b| {
            b.iter(|| {
                now = (now + 60) % DAY;
                let known = known(&loads, now);
                engine.step(&observation(&known, now, 14), &mut policies)
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
