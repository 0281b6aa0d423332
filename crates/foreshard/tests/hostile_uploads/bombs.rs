//! Compile bombs: they are refused by the limits of the compiling process, and nobody else waits for it.

use std::time::{Duration, Instant};

use crate::components::{good, live_values, nested_loops};
use crate::latency::{self, Watcher};
use crate::operator::Operator;

/// Of ordinary requests while bombs are compiled.
const P99_MAX: Duration = Duration::from_millis(50);
/// And where a machine takes longer than that beside any work at all: by how much bombs may be worse than that.
const WORSE_MAX: f64 = 1.5;
/// Longer than the compiler may run for an interpreter, twice: one may wait for another.
const BOMB_LIMIT: Duration = Duration::from_secs(300);

#[test]
fn compile_bombs_are_refused_and_nobody_waits_for_them() {
    let Some(operator) = Operator::start("bombs") else {
        return;
    };
    operator.follow("web", "vector(250)");
    let caller = operator.caller();
    caller_knows(&operator);
    let process = operator.process();
    let beside_work = latency::beside_work(&caller);
    let watcher = Watcher::start(caller.clone());
    // By the API server, which asks nobody; its name comes before all others'.
    operator.apply_module("a-bomb", &nested_loops(3_000));
    let uploads: Vec<_> = [
        ("loops", nested_loops(3_000)),
        ("values", live_values(60, 1_200)),
        // A body that only an interpreter may have: the limits are those of an interpreter as well.
        ("interpreter", nested_loops(6_000)),
    ]
    .into_iter()
    .map(|(name, bomb)| {
        let caller = caller.clone();
        // Two at a time of one user; the third comes again, as it is told to.
        let upload = move || loop {
            let answer = caller.ask("PUT", &format!("/policymodules/{name}"), &bomb);
            if answer.0 != 429 {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(500));
        };
        (name, std::thread::spawn(upload))
    })
    .collect();
    // Meanwhile the load rises, and somebody makes a module of another name.
    let rise = jiff::Timestamp::now().as_second() + 3;
    operator.follow(
        "rising",
        &format!("vector(250) + 650 * (vector(time()) > bool {rise})"),
    );
    let begun = Instant::now();
    operator.expect_replicas("rising", 9);
    let reacted = begun.elapsed();
    for (name, upload) in uploads {
        let (status, problem) = upload.join().unwrap();
        assert_eq!(status, 422, "{name}: {problem}");
        assert_eq!(
            problem["type"], "urn:foreshard:problem:compile-limit",
            "{name}: {problem}"
        );
    }
    let compiled = begun.elapsed();
    let message = operator.expect_module("a-bomb", "False", "Refused", BOMB_LIMIT);
    let limits = ["of processor time", "it took longer than"];
    assert!(limits.iter().any(|it| message.contains(it)), "{message}");
    let waits = watcher.stop();
    println!("beside work of no consequence, {beside_work}");
    println!("while bombs were compiled for {compiled:?}, {waits}; a rise was met in {reacted:?}");
    assert!(waits.count() > 100, "{waits}");
    let p99_max = P99_MAX.max(beside_work.percentile(99).mul_f64(WORSE_MAX));
    assert!(waits.percentile(99) < p99_max, "{waits}; {beside_work}");
    assert!(reacted < Duration::from_secs(20), "{reacted:?}");
    // Nothing is lost, and all goes on.
    let (status, module) = caller.ask("PUT", "/policymodules/fine", good());
    assert_eq!(status, 201, "{module}");
    operator.expect_module("fine", "True", "Accepted", Duration::from_secs(30));
    assert_eq!(operator.process(), process, "it was started again");
}

/// Waits until the target is shown.
fn caller_knows(operator: &Operator) {
    crate::operator::eventually("the target is shown", || {
        let (status, document) = operator.caller().ask("GET", "/targets/web", b"");
        (status == 200).then_some(()).ok_or(document)
    });
}
