//! Two operators: one acts, and the other as soon as the first is gone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::{Fault, Faults};
use crate::stage::{GROUP, Stage, eventually, policy};

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

#[test]
fn one_that_was_cut_off_acts_no_more_when_it_comes_back() {
    let Some(mut stage) = Stage::empty("failover-cut") else {
        return;
    };
    stage.source("main", crate::stage::prometheus().unwrap().url());
    let faults = Faults::default();
    stage.operate_through(true, &faults);
    expect_holder(&stage, "operator-0");
    stage.operate(true);
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    // It goes on deciding, and hears nothing of the other one.
    faults.set(Fault::Silence);
    expect_holder(&stage, "operator-1");
    let load = |promql: &str| {
        let signals = policy("web", promql, "Auto")["spec"]["signals"].clone();
        let patch = json!({"spec": {"signals": signals}});
        stage
            .patch(GROUP, "scalingpolicies", "web", &patch)
            .unwrap();
    };
    let generation = || {
        let web = stage.get("apis/apps/v1", "deployments", "web");
        web["metadata"]["generation"].as_u64().unwrap()
    };
    let before = generation();
    load("vector(1200)");
    stage.expect_replicas("web", 12);
    faults.set(Fault::None);
    load("vector(1500)");
    stage.expect_replicas("web", 15);
    stage.expect("web", "Actuated", "True", "UpToDate");
    assert_eq!(generation(), before + 2, "each step was made once");
    assert_eq!(holder(&stage), Some(json!("operator-1")));
}
