//! What the platform adds to one evaluation, measured beside wasmtime alone in the same run, and what a second thread
//! gives: `cargo bench -p foreshard-policy --features raw`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark may fail loudly"
)]

#[path = "../tests/support/mod.rs"]
#[allow(unused, reason = "the tests use more of it")]
mod support;

use std::{
    collections::{HashMap, VecDeque},
    hint::black_box,
    sync::{Arc, Mutex, RwLock},
    thread,
    time::{Duration, Instant},
};

use foreshard_decide::contract::Context;
use foreshard_policy::{Compiler, Evaluation, Host, HostConfig, Module, Tier, raw::Raw};

const POLICY: &str = "target-tracking";
const POINTS: usize = 2016;
const ROUNDS: usize = 21;
const RECORDED: usize = 1024;

/// What the platform does around a call: find the module by its name, ask, and keep a record.
struct Platform {
    host: Host,
    modules: RwLock<HashMap<String, Arc<Module>>>,
    records: Mutex<VecDeque<(Arc<Context>, Evaluation)>>,
}

impl Platform {
    fn evaluate(&self, context: &Arc<Context>) {
        let module = Arc::clone(&self.modules.read().unwrap()[POLICY]);
        let evaluation = self.host.evaluate(&module, context);
        assert!(evaluation.finding.is_none(), "{:?}", evaluation.finding);
        let mut records = self.records.lock().unwrap();
        if records.len() == RECORDED {
            records.pop_front();
        }
        records.push_back((Arc::clone(context), evaluation));
    }
}

fn main() {
    let component = foreshard_builtin::component(POLICY).unwrap();
    let raw = Raw::new(component).unwrap();
    let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
    let module = host.load(component, Tier::Standard).unwrap();
    let platform = Platform {
        host,
        modules: RwLock::new(HashMap::from([(POLICY.to_owned(), module)])),
        records: Mutex::default(),
    };
    println!(
        "{POLICY}, {POINTS} points, 3 x 288 path values, 9 levels, a fresh instance a call, recording on"
    );
    for (parts, count) in [(1, 500), (50, 50)] {
        let context = Arc::new(support::context(parts, POINTS));
        beside(&raw, &platform, &context, parts, count);
        threads(&platform, &context, parts);
    }
}

fn beside(raw: &Raw, platform: &Platform, context: &Arc<Context>, parts: usize, count: u32) {
    let (mut alone, mut whole, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begin = Instant::now();
        raw.evaluate(black_box(context), count).unwrap();
        let raw_micros = micros(begin, count);
        let begin = Instant::now();
        (0..count).for_each(|_| platform.evaluate(black_box(context)));
        let platform_micros = micros(begin, count);
        // The first round warms up.
        if round > 0 {
            alone.push(raw_micros);
            whole.push(platform_micros);
            ratios.push(platform_micros / raw_micros);
        }
    }
    println!(
        "{parts:>3} parts: wasmtime alone {:.1} µs, platform {:.1} µs, ratio {:.2} (goal: at most 1.3)",
        median(&mut alone),
        median(&mut whole),
        median(&mut ratios)
    );
}

fn threads(platform: &Platform, context: &Arc<Context>, parts: usize) {
    let mut gains: Vec<f64> = (0..5)
        .map(|_| rate(platform, context, 2) / rate(platform, context, 1))
        .collect();
    println!(
        "{parts:>3} parts: two threads over one {:.2} (goal: at least 1.8)",
        median(&mut gains)
    );
}

/// Evaluations a second of so many threads together.
fn rate(platform: &Platform, context: &Arc<Context>, threads: usize) -> f64 {
    const SPAN: Duration = Duration::from_millis(400);
    let work = || {
        let begin = Instant::now();
        let mut done = 0_u32;
        while begin.elapsed() < SPAN {
            platform.evaluate(context);
            done += 1;
        }
        f64::from(done) / begin.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    })
}

fn micros(begin: Instant, count: u32) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
