//! Two operators: one acts, and the other as soon as the first is gone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{Stage, eventually};

fn holder(stage: &Stage) -> Option<Value> {
    let all = stage.list("apis/coordination.k8s.io/v1", "leases");
    all.first().map(|it| it["spec"]["holderIdentity"].clone())
}

fn expect_holder(stage: &Stage, name: &str) {
    eventually(&format!("{name} holds the lease"), || {
        let seen = holder(stage);
        (seen == Some(json!(name))).then_some(()).ok_or(seen)
    });
}

/// Two operators, of which the first leads; none: there are no real parts here.
fn two(name: &str) -> Option<Stage> {
    let mut stage = Stage::empty(name)?;
    stage.source("main", crate::stage::prometheus()?.url());
    stage.operate(true);
    expect_holder(&stage, "operator-0");
    stage.operate(true);
    Some(stage)
}

#[test]
fn one_that_stops_lets_the_other_in_at_once() {
    let Some(mut stage) = two("failover-stop") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    stage.stop(0);
    let stopped = Instant::now();
    expect_holder(&stage, "operator-1");
    let took = stopped.elapsed();
    // Nobody waits until the lease has run out.
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn the_other_takes_over_within_20_s() {
    let Some(mut stage) = two("failover") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    stage.kill(0);
    let killed = Instant::now();
    stage.deployment("late", 3);
    stage.policy("late", "vector(900)", "Auto");
    stage.expect_replicas("late", 9);
    let took = killed.elapsed();
    assert_eq!(holder(&stage), Some(json!("operator-1")));
    assert!(took < Duration::from_secs(20), "{took:?}");
}
