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
const ROUNDS_OF_THREADS: usize = 9;
const RECORDED: usize = 1024;

/// What the platform shares between targets: the host, and the modules by name.
struct Platform {
    host: Host,
    modules: RwLock<HashMap<String, Arc<Module>>>,
}

/// What each target has for itself: the newest context, and the records of its last evaluations.
struct Target<'a> {
    platform: &'a Platform,
    context: Arc<Context>,
    records: Mutex<VecDeque<(Arc<Context>, Evaluation)>>,
}

impl Target<'_> {
    /// What the platform does around a call: find the module by its name, ask, and keep a record.
    fn evaluate(&self) {
        let module = Arc::clone(&self.platform.modules.read().unwrap()[POLICY]);
        let evaluation = self
            .platform
            .host
            .evaluate(&module, black_box(&self.context));
        assert!(evaluation.finding.is_none(), "{:?}", evaluation.finding);
        let mut records = self.records.lock().unwrap();
        if records.len() == RECORDED {
            records.pop_front();
        }
        records.push_back((Arc::clone(&self.context), evaluation));
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
    };
    println!(
        "{POLICY}, {POINTS} points, 3 x 288 path values, 9 levels, a fresh instance a call, recording on"
    );
    for (parts, count) in [(1, 500), (50, 50)] {
        let target = || Target {
            platform: &platform,
            context: Arc::new(support::context(parts, POINTS)),
            records: Mutex::default(),
        };
        beside(&raw, &target(), parts, count);
        threads(&raw, [&target(), &target()], parts);
    }
}

fn beside(raw: &Raw, target: &Target<'_>, parts: usize, count: u32) {
    let (mut alone, mut whole, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begin = Instant::now();
        raw.evaluate(black_box(&target.context), count).unwrap();
        let raw_micros = micros(begin, count);
        let begin = Instant::now();
        (0..count).for_each(|_| target.evaluate());
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

/// What a second thread gives, each with a target of its own; beside it what it gives wasmtime alone, and what it gives
/// arithmetic that shares nothing: the most that this machine has to give.
fn threads(raw: &Raw, targets: [&Target<'_>; 2], parts: usize) {
    let [mut platform, mut alone, mut nothing] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS_OF_THREADS {
        platform.push(gain(|thread| targets[thread].evaluate()));
        alone.push(gain(|thread| {
            raw.evaluate(&targets[thread].context, 1).unwrap();
        }));
        nothing.push(gain(|_| {
            black_box((0..10_000_u64).fold(1, |sum: u64, next| black_box(sum ^ next)));
        }));
    }
    println!(
        "{parts:>3} parts: two threads over one {:.2} (goal: at least 1.8); wasmtime alone {:.2}, arithmetic {:.2}",
        median(&mut platform),
        median(&mut alone),
        median(&mut nothing),
    );
}

/// Calls a second of two threads together over those of one.
fn gain(call: impl Fn(usize) + Sync) -> f64 {
    const SPAN: Duration = Duration::from_millis(300);
    let work = |thread: usize| {
        let begin = Instant::now();
        let mut done = 0_u32;
        while begin.elapsed() < SPAN {
            call(thread);
            done += 1;
        }
        f64::from(done) / begin.elapsed().as_secs_f64()
    };
    let one = work(0);
    let work = &work;
    let two: f64 = thread::scope(|scope| {
        let workers = [0, 1].map(|thread| scope.spawn(move || work(thread)));
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    two / one
}

fn micros(begin: Instant, count: u32) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
