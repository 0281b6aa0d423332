//! The first minutes of an operator and of a policy: what is not known yet takes nothing away.

use std::time::Duration;

use crate::faults::{Fault, Faults};
use crate::load::{Asks, Load, policy};
use crate::relay::Way;
use crate::stage::{GROUP, Stage, condition, eventually, prometheus, within};

#[test]
fn nothing_is_taken_away_before_the_first_forecast() {
    let (Some(mut stage), Some(load)) = (Stage::empty("learning"), Load::new(250)) else {
        return;
    };
    let held = Way {
        holds_ranges: true,
        ..Way::default()
    };
    load.relay.set(held);
    let _kubelet = stage.kubelet();
    stage.source("main", load.relay.url());
    stage.operate(false);
    for name in ["high", "low"] {
        stage.deployment(name, if name == "high" { 12 } else { 1 });
        stage.create(GROUP, "scalingpolicies", &policy(name, Asks::Forecast));
    }
    // What is needed by now is there at once.
    stage.expect_replicas("low", 3);
    let message = stage.expect("high", "Actuated", "False", "Learning");
    assert!(message.contains("history is still being read"), "{message}");
    stage.evaluated(4);
    assert_eq!(stage.replicas("high"), 12);
    load.relay.set(Way::default());
    // Histories are read, models are fitted, and the next evaluation is due.
    let limit = Duration::from_secs(120);
    within(limit, "what no forecast asks for is taken away", || {
        let seen = stage.replicas("high");
        (seen < 6).then_some(()).ok_or(seen)
    });
    assert!(stage.replicas("high") >= 3, "never below the load");
}

#[test]
fn nothing_is_done_before_the_kill_switch_was_read() {
    let Some(mut stage) = Stage::empty("learning-switch") else {
        return;
    };
    stage.source("main", prometheus().unwrap().url());
    let faults = Faults::default();
    faults.set(Fault::Unreadable("/configmaps"));
    stage.operate_through(false, &faults);
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    let message = stage.expect("web", "Actuated", "False", "Starting");
    assert!(message.contains("the kill switch"), "{message}");
    stage.evaluated(2);
    assert_eq!(stage.replicas("web"), 3);
    faults.set(Fault::None);
    stage.expect_replicas("web", 9);
}

#[test]
fn a_restart_is_no_news() {
    let Some(mut stage) = Stage::new("learning-restart") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(300)", "Auto");
    stage.expect("web", "Ready", "True", "Decides");
    let since = |stage: &Stage| {
        let object = stage.get(GROUP, "scalingpolicies", "web");
        condition(&object, "Ready").unwrap()["lastTransitionTime"].clone()
    };
    let before = since(&stage);
    stage.kill(0);
    // Of whole seconds.
    eventually("a later second", || {
        let now = jiff::Timestamp::now().to_string();
        let begun = before.as_str().unwrap();
        (now.get(..19) > begun.get(..19)).then_some(()).ok_or(now)
    });
    stage.operate(false);
    stage.evaluated(4);
    assert_eq!(since(&stage), before);
    let events = stage.list("apis/events.k8s.io/v1", "events");
    assert!(
        events.iter().all(|it| it["reason"] != "Waiting"),
        "{events:#?}"
    );
}
