//! An API server and a Prometheus that are slow, and a Prometheus that restarts: decisions go on, or wait; nothing
//! shrinks, nothing is read twice, and nothing piles up.

use std::time::Duration;

use serde_json::json;

use crate::faults::{Fault, Faults};
use crate::load::{Asks, HISTORY_POINTS, LOAD, Load, policy};
use crate::relay::{Range, Way};
use crate::stage::{GROUP, Stage, eventually, prometheus, soon, within};

/// Of every answer. An operator gives up on an API server after 5 s, on a Prometheus after 10 s.
const DELAY: Duration = Duration::from_secs(2);

#[test]
fn a_slow_api_server_is_waited_for_and_not_pressed() {
    let Some(mut stage) = Stage::empty("slow-api") else {
        return;
    };
    stage.source("main", prometheus().unwrap().url());
    let faults = Faults::default();
    // With a lease: it has to be renewed in time as well.
    stage.operate_through(true, &faults);
    let rise = soon() + 10;
    let load = format!("vector(250) + 650 * (vector(time()) > bool {rise})");
    let rising = ["web-0", "web-1", "web-2"];
    for name in rising {
        stage.deployment(name, 3);
        stage.policy(name, &load, "Auto");
    }
    stage.deployment("calm", 8);
    stage.policy("calm", "vector(790)", "Auto");
    for name in ["web-0", "web-1", "web-2", "calm"] {
        stage.expect(name, "Ready", "True", "Decides");
    }
    faults.set(Fault::Slow(DELAY));
    for name in rising {
        assert_eq!(stage.replicas(name), 3, "the load has not risen yet");
    }
    for name in rising {
        stage.expect_replicas(name, 9);
    }
    stage.expect("web-0", "Actuated", "True", "ScaledUp");
    // Ten passes without a rest would make twenty calls of each policy.
    let before = faults.met();
    stage.evaluated(10);
    let calls = faults.met() - before;
    assert!(calls < 60, "{calls} calls");
    // One of each policy, one for the lease, one for sources and one for modules.
    assert!(faults.most_open() <= 7, "{} calls", faults.most_open());
    assert_eq!(stage.replicas("calm"), 8);
    let lease = &stage.list("apis/coordination.k8s.io/v1", "leases")[0];
    assert_eq!(
        lease["spec"]["leaseTransitions"], 1,
        "it was never lost: {lease}"
    );
}

#[test]
fn a_slow_prometheus_is_waited_for_and_not_pressed() {
    let (Some(mut stage), Some(load)) = (Stage::empty("slow-prometheus"), Load::new(790)) else {
        return;
    };
    let slow = Way {
        delay: DELAY,
        ..Way::default()
    };
    load.relay.set(slow);
    let _kubelet = stage.kubelet();
    stage.source("main", load.relay.url());
    stage.operate(false);
    stage.deployment("web", 8);
    stage.create(GROUP, "scalingpolicies", &policy("web", Asks::NoForecast));
    stage.expect("web", "Ready", "True", "Decides");
    load.set(1500);
    stage.expect_replicas("web", 15);
    // Slower than is waited for: what is known grows old, and nothing is taken away for it.
    let silent = Way {
        delay: Duration::from_secs(15),
        ..Way::default()
    };
    load.relay.set(silent);
    let message = stage.expect("web", "MetricsFresh", "False", "QueryFailed");
    assert!(message.contains("10 s"), "{message}");
    load.set(100);
    stage.evaluated(2);
    assert_eq!(stage.replicas("web"), 15);
    let most = load.relay.most_open();
    assert!(most <= 6, "{most} questions at once");
    load.relay.set(slow);
    stage.expect("web", "MetricsFresh", "True", "Fresh");
    stage.expect_replicas("web", 1);
}

#[test]
fn a_restart_of_prometheus_costs_its_time_and_no_history() {
    let (Some(mut stage), Some(mut load)) = (Stage::empty("slow-restart"), Load::new(790)) else {
        return;
    };
    let _kubelet = stage.kubelet();
    stage.source("main", load.relay.url());
    stage.operate(false);
    stage.deployment("web", 8);
    stage.create(GROUP, "scalingpolicies", &policy("web", Asks::NoForecast));
    stage.expect("web", "Ready", "True", "Decides");
    let read = whole(&load);
    // It goes down just after a refresh: the next one has all of the gap to fill.
    let last = refreshed_after(&load, &read);
    let before = load.relay.ranges(LOAD);
    load.server.bed_mut().kill("prometheus").unwrap();
    load.set(100);
    stage.expect("web", "MetricsFresh", "False", "QueryFailed");
    stage.evaluated(2);
    assert_eq!(
        stage.replicas("web"),
        8,
        "nothing shrinks on what is not known"
    );
    load.set(1500);
    load.server.restart().unwrap();
    stage.expect_replicas("web", 15);
    stage.expect("web", "MetricsFresh", "True", "Fresh");
    let next = refreshed_after(&load, &before);
    assert!(
        next.from <= last.to + 60,
        "a gap between {last:?} and {next:?}"
    );
    assert!(next.points() < 60, "history was read again: {next:?}");
}

#[test]
fn a_restart_in_the_midst_of_a_backfill_begins_nothing_anew() {
    let (Some(mut stage), Some(mut load)) = (Stage::empty("slow-midst"), Load::new(790)) else {
        return;
    };
    load.relay.set(Way {
        holds_ranges: true,
        ..Way::default()
    });
    let _kubelet = stage.kubelet();
    stage.source("main", load.relay.url());
    stage.operate(false);
    stage.deployment("web", 12);
    stage.create(GROUP, "scalingpolicies", &policy("web", Asks::Forecast));
    eventually("history is asked for", || {
        let held = load.relay.held();
        (held > 0).then_some(()).ok_or(held)
    });
    load.server.bed_mut().kill("prometheus").unwrap();
    load.relay.set(Way::default());
    stage.expect("web", "MetricsFresh", "False", "QueryFailed");
    assert_eq!(stage.replicas("web"), 12);
    load.server.restart().unwrap();
    stage.expect("web", "Ready", "True", "Decides");
    let points: i64 = whole(&load).iter().map(|range| range.points()).sum();
    // One more of each range for its end.
    assert!(points < HISTORY_POINTS + 100, "{points} points were read");
}

#[test]
fn a_secret_that_cannot_be_read_for_a_while_or_is_rotated_costs_no_history() {
    let (Some(mut stage), Some(load)) = (Stage::empty("slow-secret"), Load::new(790)) else {
        return;
    };
    let _kubelet = stage.kubelet();
    stage.create("api/v1", "secrets", &json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": {"token": "abc"}
    }));
    stage.create(GROUP, "prometheussources", &json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "PrometheusSource", "metadata": {"name": "main"},
        "spec": {
            "url": load.relay.url(),
            "authentication": {"bearerToken": {"name": "token", "key": "token"}}
        }
    }));
    let faults = Faults::default();
    stage.operate_through(false, &faults);
    stage.deployment("web", 8);
    stage.create(GROUP, "scalingpolicies", &policy("web", Asks::NoForecast));
    stage.expect("web", "Ready", "True", "Decides");
    let read = whole(&load).len();
    faults.set(Fault::Unreadable("/secrets/token"));
    eventually("the Secret was asked for", || {
        let met = faults.met();
        (met > 1).then_some(()).ok_or(met)
    });
    load.set(1500);
    stage.expect_replicas("web", 15);
    stage.expect("web", "MetricsFresh", "True", "Fresh");
    faults.set(Fault::None);
    load.relay.set(Way {
        token: Some("def"),
        ..Way::default()
    });
    let message = stage.expect("web", "MetricsFresh", "False", "QueryFailed");
    assert!(message.contains("refused our credentials"), "{message}");
    let rotated = json!({"stringData": {"token": "def"}});
    stage.patch("api/v1", "secrets", "token", &rotated).unwrap();
    stage.expect("web", "MetricsFresh", "True", "Fresh");
    // The same query elsewhere in the list is the same signal.
    let mut spec = policy("web", Asks::NoForecast)["spec"].take();
    let load_again = spec["signals"][0].take();
    spec["signals"] = json!([
        {"name": "other", "query": "vector(1)", "sourceRef": {"name": "main"}, "targetAverageValue": "100"},
        load_again
    ]);
    let resigned = json!({"spec": {"signals": spec["signals"]}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &resigned)
        .unwrap();
    load.set(2000);
    stage.expect_replicas("web", 20);
    stage.expect("web", "MetricsFresh", "True", "Fresh");
    let later = load.relay.ranges(LOAD);
    let again = later[read..].iter().find(|range| range.points() > 60);
    assert_eq!(again, None, "history was read again");
}

/// Waits until all history was read; what was asked for it.
fn whole(load: &Load) -> Vec<Range> {
    // What failed is asked for again after a while that doubles.
    within(Duration::from_secs(180), "28 days of history", || {
        let ranges = load.relay.ranges(LOAD);
        let oldest = ranges.iter().map(|range| range.from).min();
        let month = 27 * 86_400 + 86_000;
        let newest = ranges.iter().map(|range| range.to).max();
        let whole = oldest
            .zip(newest)
            .is_some_and(|(from, to)| to - from > month);
        if whole { Ok(ranges) } else { Err(ranges) }
    })
}

/// Waits for one more range: they come once a minute.
fn refreshed_after(load: &Load, before: &[Range]) -> Range {
    within(Duration::from_secs(100), "a refresh", || {
        let all = load.relay.ranges(LOAD);
        all.get(before.len()).copied().ok_or(all)
    })
}
