//! What the operator keeps itself from doing: to shrink too much at once, and to go on with what fails.

use serde_json::json;

use crate::faults::{Fault, Faults};
use crate::load::{Asks, following};
use crate::stage::{GROUP, Stage, condition, eventually, prometheus};

#[test]
fn only_so_many_shrink_at_once_and_growing_waits_for_none() {
    let Some(mut stage) = Stage::empty("held-slots") else {
        return;
    };
    let _kubelet = stage.kubelet();
    stage.source("main", prometheus().unwrap().url());
    stage.operate_with(false, |config| config.shrinking_max = 1, |_, _, _| {});
    let both = ["one", "two"];
    for name in both {
        stage.deployment(name, 5);
        let policy = following(name, "vector(190)", Asks::NoForecast);
        stage.create(GROUP, "scalingpolicies", &policy);
    }
    let waits = eventually("one waits for the other", || {
        let reason = |name: &str| {
            let object = stage.get(GROUP, "scalingpolicies", name);
            condition(&object, "Actuated").map(|it| it["reason"].clone())
        };
        let waits = both
            .into_iter()
            .find(|name| reason(name) == Some(json!("WaitsForSlot")));
        waits.ok_or_else(|| both.map(reason))
    });
    eventually("the other shrinks", || {
        let counts = both.map(|name| (name == waits, stage.replicas(name)));
        assert!(counts.contains(&(true, 5)), "{waits} of {counts:?}");
        counts.contains(&(false, 2)).then_some(()).ok_or(counts)
    });
    let more = json!({"spec": {"signals": following(waits, "vector(890)", Asks::NoForecast)["spec"]["signals"]}});
    stage.patch(GROUP, "scalingpolicies", waits, &more).unwrap();
    stage.expect_replicas(waits, 9);
}

#[test]
fn what_fails_three_times_is_left_alone_and_told() {
    let Some(mut stage) = Stage::empty("held-breaker") else {
        return;
    };
    stage.source("main", prometheus().unwrap().url());
    let faults = Faults::default();
    faults.set(Fault::ScaleRefused(500));
    stage.operate_through(false, &faults);
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    let message = stage.expect("web", "Actuated", "False", "CircuitBreakerOpen");
    assert!(message.contains("a fault was asked for"), "{message}");
    eventually("an event", || {
        let mut events = stage.list("apis/events.k8s.io/v1", "events");
        events.retain(|it| it["reason"] == "CircuitBreakerOpen");
        (!events.is_empty()).then_some(()).ok_or(events)
    });
    stage.evaluated(2);
    assert_eq!((faults.met(), stage.replicas("web")), (3, 3));
    // It is not known any more after a restart: whoever mended the cause need not wait.
    stage.kill(0);
    stage.operate(false);
    stage.expect_replicas("web", 9);
    stage.expect("web", "Actuated", "True", "UpToDate");
}
