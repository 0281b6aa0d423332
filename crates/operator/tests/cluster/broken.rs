//! A bug in the work on one policy: it is taken up again, it is told, and the others go on.

use serde_json::json;

use crate::faults::{Fault, Faults};
use crate::stage::{GROUP, Stage, eventually, prometheus};

#[test]
fn a_worker_that_breaks_is_started_again_and_says_so() {
    let Some(mut stage) = Stage::empty("broken") else {
        return;
    };
    stage.source("main", prometheus().unwrap().url());
    let faults = Faults::default();
    stage.operate_through(false, &faults);
    for name in ["web", "other"] {
        stage.deployment(name, 3);
        stage.policy(name, "vector(250)", "Auto");
        stage.expect(name, "Ready", "True", "Decides");
    }
    faults.set(Fault::Bug("/deployments/web", 2));
    let message = stage.expect("web", "Ready", "False", "WorkerBroke");
    assert!(message.contains("begins anew in 5 s"), "{message}");
    stage.expect("web", "Stalled", "True", "WorkerBroke");
    eventually("an event", || {
        let mut events = stage.list("apis/events.k8s.io/v1", "events");
        events.retain(|it| it["reason"] == "WorkerBroke");
        (!events.is_empty()).then_some(()).ok_or(events)
    });
    // It waits longer from time to time, and the others do not.
    let higher =
        json!({"spec": {"actions": [{"type": "Replicas", "mode": "Auto", "min": 5, "max": 20}]}});
    for name in ["other", "web"] {
        stage
            .patch(GROUP, "scalingpolicies", name, &higher)
            .unwrap();
    }
    stage.expect_replicas("other", 5);
    stage.expect_replicas("web", 5);
    stage.expect("web", "Ready", "True", "Decides");
    stage.expect("web", "Stalled", "False", "Progressing");
    assert_eq!(faults.met(), 2);
    let text = stage.metrics.as_ref().unwrap().text();
    assert!(
        text.contains("foreshard_workers_broken_total 2\n"),
        "{text}"
    );
    assert!(text.contains("{reason=\"WorkerBroke\"} 2\n"), "{text}");
}
