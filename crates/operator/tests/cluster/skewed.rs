//! Clocks that differ: Prometheus' from ours, and another replica's from ours.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load::{Asks, Load, policy};
use crate::relay::Way;
use crate::stage::{GROUP, Stage, eventually, prometheus, within};

const LEASES: &str = "apis/coordination.k8s.io/v1";

fn skewed(ahead_seconds: i64) -> Way {
    Way {
        ahead_seconds,
        ..Way::default()
    }
}

/// Nothing is taken away while the clock is off, whatever the load does; with a clock that is right again it is.
fn holds(name: &str, ahead_seconds: i64, reason: &str, says: &str) {
    let (Some(mut stage), Some(load)) = (Stage::empty(name), Load::new(790)) else {
        return;
    };
    let _kubelet = stage.kubelet();
    load.relay.set(skewed(ahead_seconds));
    load.set(100);
    stage.source("main", load.relay.url());
    stage.operate(false);
    stage.deployment("web", 8);
    stage.create(GROUP, "scalingpolicies", &policy("web", Asks::NoForecast));
    let message = stage.expect("web", "MetricsFresh", "False", reason);
    assert!(message.contains(says), "{message}");
    stage.evaluated(3);
    assert_eq!(stage.replicas("web"), 8);
    stage.expect("web", "Ready", "False", reason);
    load.relay.set(Way::default());
    stage.expect_replicas("web", 1);
    stage.expect("web", "MetricsFresh", "True", "Fresh");
}

#[test]
fn samples_of_the_future_are_not_believed() {
    holds("skewed-ahead", 600, "QueryFailed", "600 s in the future");
}

#[test]
fn samples_of_the_past_are_old() {
    holds("skewed-behind", -600, "MetricsStale", "too old");
}

/// A small difference is none: from the first sample on it is decided, up and down.
fn bears(name: &str, ahead_seconds: i64) {
    let (Some(mut stage), Some(load)) = (Stage::empty(name), Load::new(250)) else {
        return;
    };
    load.relay.set(skewed(ahead_seconds));
    let _kubelet = stage.kubelet();
    stage.source("main", load.relay.url());
    stage.operate(false);
    stage.deployment("web", 3);
    stage.create(GROUP, "scalingpolicies", &policy("web", Asks::NoForecast));
    stage.expect("web", "Ready", "True", "Decides");
    load.set(900);
    stage.expect_replicas("web", 9);
    load.set(400);
    stage.expect_replicas("web", 4);
}

#[test]
fn a_clock_that_is_a_little_ahead_does_no_harm() {
    bears("skewed-little-ahead", 30);
}

#[test]
fn a_clock_that_is_a_little_behind_does_no_harm() {
    bears("skewed-little-behind", -30);
}

/// The lease of another replica whose clock shows this year.
fn foreign(year: i32, second: u64) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "foreshard-scaling"},
        "spec": {
            "holderIdentity": "other", "leaseDurationSeconds": 12, "leaseTransitions": 1,
            "acquireTime": format!("{year}-01-01T00:00:00.000000Z"),
            "renewTime": format!("{year}-01-01T00:00:{second:02}.000000Z")
        }
    })
}

/// As long as another replica renews the lease it is not taken; soon after the last renewal it is. The other's time is
/// not looked at, only that it moves.
fn judges_by_change(name: &str, year: i32) {
    let Some(mut stage) = Stage::empty(name) else {
        return;
    };
    stage.source("main", prometheus().unwrap().url());
    stage.create(LEASES, "leases", &foreign(year, 0));
    stage.operate(true);
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    let begun = Instant::now();
    // More than one duration of the lease.
    let renewed = within(Duration::from_secs(30), "18 s of renewals", || {
        let second = begun.elapsed().as_secs();
        let renewal = json!({"spec": {"renewTime": foreign(year, second)["spec"]["renewTime"]}});
        stage
            .patch(LEASES, "leases", "foreshard-scaling", &renewal)
            .unwrap();
        (second >= 18).then(Instant::now).ok_or(second)
    });
    assert_eq!(stage.replicas("web"), 3);
    let holder = |stage: &Stage| {
        let lease = stage.get(LEASES, "leases", "foreshard-scaling");
        lease["spec"]["holderIdentity"].clone()
    };
    assert_eq!(holder(&stage), "other", "it was taken while it was renewed");
    stage.expect_replicas("web", 9);
    let took = renewed.elapsed();
    assert_eq!(holder(&stage), "operator-0");
    assert!(
        took > Duration::from_secs(9),
        "only {took:?} after the last renewal"
    );
    assert!(
        took < Duration::from_secs(20),
        "{took:?} after the last renewal"
    );
    let lease = stage.get(LEASES, "leases", "foreshard-scaling");
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
    eventually("it is renewed by our clock", || {
        let lease = stage.get(LEASES, "leases", "foreshard-scaling");
        let renewed = lease["spec"]["renewTime"].as_str().unwrap_or_default();
        let now = jiff::Timestamp::now().to_string();
        (renewed[..13] == now[..13])
            .then_some(())
            .ok_or(lease.clone())
    });
}

#[test]
fn a_holder_of_the_past_is_believed_while_it_renews() {
    judges_by_change("skewed-lease-past", 2001);
}

#[test]
fn a_holder_of_the_future_is_not_believed_once_it_is_gone() {
    judges_by_change("skewed-lease-future", 2101);
}
