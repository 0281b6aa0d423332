//! An API server that fails, and an operator that ends at the worst moment: nothing is lost, nothing is done twice.

use serde_json::json;

use crate::faults::{Fault, Faults};
use crate::load::{Asks, following};
use crate::stage::{GROUP, Stage, eventually, prometheus, soon};

/// An operator whose way to the API server can be broken.
fn stage(name: &str, fault: Fault) -> Option<(Stage, Faults)> {
    let mut stage = Stage::empty(name)?;
    stage.source("main", prometheus()?.url());
    let faults = Faults::default();
    faults.set(fault);
    stage.operate_through(false, &faults);
    Some((stage, faults))
}

fn met(faults: &Faults, times: u32) {
    eventually(&format!("{times} calls that fail"), || {
        let met = faults.met();
        (met >= times).then_some(()).ok_or(met)
    });
}

/// The load rises while nothing answers; afterwards it is met.
fn recovers_from(name: &str, fault: Fault) {
    let Some((stage, faults)) = stage(name, Fault::None) else {
        return;
    };
    stage.deployment("web", 3);
    let rise = soon();
    let load = format!("vector(250) + 650 * (vector(time()) > bool {rise})");
    stage.policy("web", &load, "Auto");
    stage.expect("web", "Ready", "True", "Decides");
    faults.set(fault);
    eventually("the load has risen", || {
        let now = jiff::Timestamp::now().as_second();
        (now > rise + 2).then_some(()).ok_or(now)
    });
    met(&faults, 2);
    assert_eq!(stage.replicas("web"), 3);
    faults.set(Fault::None);
    stage.expect_replicas("web", 9);
    stage.expect("web", "Ready", "True", "Decides");
}

#[test]
fn errors_of_the_api_server_are_waited_out() {
    recovers_from("unanswered-500", Fault::Status(500));
}

#[test]
fn an_api_server_that_has_too_much_to_do_is_left_alone() {
    recovers_from("unanswered-429", Fault::Status(429));
}

#[test]
fn a_partition_is_waited_out() {
    recovers_from("unanswered-silence", Fault::Silence);
}

#[test]
fn who_was_faster_is_looked_at_again() {
    let Some((stage, faults)) = stage("unanswered-409", Fault::Conflicts(2)) else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    assert_eq!(faults.met(), 2);
    let text = stage.metrics.as_ref().unwrap().text();
    let counted = "foreshard_actions_total{direction=\"up\",outcome=\"Conflict\"} 2";
    assert!(text.contains(counted), "{text}");
}

#[test]
fn what_was_decided_and_not_written_is_done_after_a_restart() {
    let Some((mut stage, faults)) = stage("unanswered-killed", Fault::ScaleLost) else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    met(&faults, 1);
    assert_eq!(stage.replicas("web"), 3, "it is on its way");
    stage.kill(0);
    stage.operate(false);
    stage.expect_replicas("web", 9);
}

#[test]
fn watches_that_expire_begin_again() {
    let Some((stage, faults)) = stage("unanswered-410", Fault::Expired(30)) else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    met(&faults, 30);
    stage.expect_replicas("web", 9);
    let ceiling =
        json!({"spec": {"actions": [{"type": "Replicas", "mode": "Auto", "min": 12, "max": 20}]}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &ceiling)
        .unwrap();
    stage.expect_replicas("web", 12);
}

#[test]
fn a_watch_that_hangs_keeps_nobody_from_stopping_it() {
    let Some(mut stage) = Stage::empty("unanswered-hang") else {
        return;
    };
    let paused = |paused: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreshard-kill-switch"}, "data": {"paused": paused}});
    stage.source("main", prometheus().unwrap().url());
    stage.deployment("web", 3);
    let rise = soon() + 10;
    let load = format!("vector(250) + 650 * (vector(time()) > bool {rise})");
    stage.policy("web", &load, "Auto");
    let faults = Faults::default();
    faults.set(Fault::WatchesHang);
    stage.operate_through(false, &faults);
    stage.expect("web", "Ready", "True", "Decides");
    stage.create("api/v1", "configmaps", &paused("true"));
    stage.expect("web", "Actuated", "False", "KillSwitch");
    let observes = json!({"spec": {"actions": [{"type": "Replicas", "mode": "Observe", "min": 1, "max": 20}]}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &observes)
        .unwrap();
    stage.delete("api/v1", "configmaps", "foreshard-kill-switch");
    stage.expect("web", "Actuated", "False", "PolicyChanged");
    assert_eq!(stage.replicas("web"), 3);
    faults.set(Fault::None);
    stage.expect("web", "Actuated", "Unknown", "Observing");
}

#[test]
fn a_rollout_that_gave_up_is_told_and_nothing_is_taken_from_it() {
    let Some((stage, _faults)) = stage("unanswered-rollout", Fault::None) else {
        return;
    };
    stage.deployment("web", 3);
    let soon = json!({"spec": {"progressDeadlineSeconds": 1}});
    stage
        .patch("apis/apps/v1", "deployments", "web", &soon)
        .unwrap();
    // One would do; but what hangs is not made less before it has come or gone.
    let policy = following("web", "vector(90)", Asks::NoForecast);
    stage.create(GROUP, "scalingpolicies", &policy);
    // There is no node, so no pod is ever ready.
    let message = stage.expect("web", "TargetResolved", "True", "RolloutStuck");
    assert!(message.contains("timed out progressing"), "{message}");
    stage.expect("web", "WithinGuardrails", "False", "Clamped");
    stage.evaluated(6);
    assert_eq!(stage.replicas("web"), 3);
    let _kubelet = stage.kubelet();
    stage.expect_replicas("web", 1);
}
