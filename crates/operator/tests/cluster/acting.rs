//! What is done, and what is not.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{GROUP, Stage, condition, eventually, policy, soon};

/// An expression that is 100 until the moment, and 900 from then on.
fn step_at(moment: i64) -> String {
    format!("vector(100) + 800 * (vector(time()) > bool {moment})")
}

#[test]
fn a_step_of_the_load_is_followed_and_told() {
    let Some(stage) = Stage::new("acting-step") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", &step_at(soon()), "Auto");
    stage.expect("web", "Ready", "True", "Decides");
    assert_eq!(stage.replicas("web"), 3, "before the step");
    stage.expect_replicas("web", 9);
    stage.expect("web", "Actuated", "True", "ScaledUp");
    let told = |what: &str| {
        eventually(what, || {
            let events = stage.list("apis/events.k8s.io/v1", "events");
            let told = events.iter().any(|it| {
                it["reason"] == "ScaledUp" && it["note"].as_str().unwrap().starts_with(what)
            });
            if told { Ok(()) } else { Err(events) }
        });
    };
    told("Deployment/web from 3 to 9 replicas");
    let made = stage.list(GROUP, "scalingrecommendations");
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!(made[0]["spec"]["plan"][0]["to"], 9);
    assert_eq!(made[0]["metadata"]["ownerReferences"][0]["name"], "web");
    // The second one is no repetition of the first.
    stage.patch(GROUP, "scalingpolicies", "web", &json!({"spec": {"signals": [{
        "name": "demand", "query": "vector(1500)", "sourceRef": {"name": "main"}, "targetAverageValue": "100"
    }]}})).unwrap();
    told("Deployment/web from 9 to 15 replicas");
}

#[test]
fn a_pass_that_finds_nothing_new_writes_nothing() {
    let Some(stage) = Stage::new("acting-quiet") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(300)", "Auto");
    stage.expect("web", "Ready", "True", "Decides");
    // What it learns of its history is news.
    eventually("a first forecast", || {
        let object = stage.get(GROUP, "scalingpolicies", "web");
        match condition(&object, "ForecastReliable") {
            Some(it) if it["reason"] != "Learning" && it["reason"] != "NotDecided" => Ok(()),
            seen => Err(seen.cloned()),
        }
    });
    stage.evaluated(1);
    let version = |stage: &Stage| {
        stage.get(GROUP, "scalingpolicies", "web")["metadata"]["resourceVersion"].clone()
    };
    let before = version(&stage);
    stage.evaluated(2);
    assert_eq!(version(&stage), before);
    assert_eq!(stage.list(GROUP, "scalingrecommendations").len(), 0);
    assert_eq!(stage.replicas("web"), 3);
}

#[test]
fn observing_does_nothing_and_recommends() {
    let Some(stage) = Stage::new("acting-observe") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Observe");
    stage.expect("web", "Actuated", "Unknown", "Observing");
    stage.expect("web", "Ready", "True", "Decides");
    let made = eventually("a recommendation", || {
        let made = stage.list(GROUP, "scalingrecommendations");
        made.first().cloned().ok_or(made)
    });
    assert_eq!(
        (
            &made["spec"]["plan"][0]["from"],
            &made["spec"]["plan"][0]["to"]
        ),
        (&json!(3), &json!(9))
    );
    stage.evaluated(1);
    assert_eq!(stage.replicas("web"), 3);
}

#[test]
fn what_was_approved_is_done_and_nothing_else() {
    let Some(stage) = Stage::new("acting-approve") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Approve");
    let message = stage.expect("web", "Actuated", "False", "WaitsForApproval");
    let made = eventually("a recommendation", || {
        let made = stage.list(GROUP, "scalingrecommendations");
        made.first().cloned().ok_or(made)
    });
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(
        message.contains("approves scalingrecommendation web-"),
        "{message}"
    );
    let approval = |digest: &str| json!({"spec": {"approval": {"digest": digest, "user": "admin", "expiryTime": "2100-01-01T00:00:00Z"}}});
    // Another plan than the one that was read.
    let other = format!("sha256:{}", "0".repeat(64));
    let refused = stage
        .patch(GROUP, "scalingrecommendations", name, &approval(&other))
        .unwrap_err();
    assert!(
        refused.contains("the approval names another plan"),
        "{refused}"
    );
    assert_eq!(stage.replicas("web"), 3);
    let digest = made["spec"]["digest"].as_str().unwrap();
    stage
        .patch(GROUP, "scalingrecommendations", name, &approval(digest))
        .unwrap();
    stage.expect_replicas("web", 9);
    eventually("the recommendation is applied", || {
        let seen = stage.get(GROUP, "scalingrecommendations", name);
        (seen["status"]["state"] == "Applied")
            .then_some(())
            .ok_or(seen)
    });
}

#[test]
fn what_was_approved_waits_for_the_end_of_a_pause() {
    let Some(stage) = Stage::new("acting-approve-pause") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Approve");
    stage.expect("web", "Actuated", "False", "WaitsForApproval");
    let made = eventually("a recommendation", || {
        let made = stage.list(GROUP, "scalingrecommendations");
        made.first().cloned().ok_or(made)
    });
    let (name, digest) = (&made["metadata"]["name"], &made["spec"]["digest"]);
    stage.create(
        GROUP,
        "scalingoverrides",
        &json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride", "metadata": {"name": "sale"},
            "spec": {"policyName": "web", "pause": "ScaleUp", "expiryTime": "2100-01-01T00:00:00Z"}
        }),
    );
    stage.expect("web", "Actuated", "True", "UpToDate");
    let approval = json!({"spec": {"approval": {"digest": digest, "user": "admin", "expiryTime": "2100-01-01T00:00:00Z"}}});
    let name = name.as_str().unwrap();
    stage
        .patch(GROUP, "scalingrecommendations", name, &approval)
        .unwrap();
    let message = stage.expect("web", "Actuated", "False", "Paused");
    assert!(
        message.ends_with("waits: no more than 3 replicas are allowed now"),
        "{message}"
    );
    assert_eq!(stage.replicas("web"), 3);
    stage.delete(GROUP, "scalingoverrides", "sale");
    stage.expect_replicas("web", 9);
}

#[test]
fn pauses_and_the_kill_switch_hold() {
    let Some(stage) = Stage::new("acting-paused") else {
        return;
    };
    stage.create(
        "api/v1",
        "configmaps",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreshard-kill-switch"}, "data": {"paused": "true"}}),
    );
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect("web", "Actuated", "False", "KillSwitch");
    let pause = json!({"metadata": {"annotations": {"foreshard.dev/paused": "true"}}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &pause)
        .unwrap();
    stage.delete("api/v1", "configmaps", "foreshard-kill-switch");
    stage.expect("web", "Actuated", "False", "Paused");
    assert_eq!(stage.replicas("web"), 3);
    let go_on = json!({"metadata": {"annotations": {"foreshard.dev/paused": null}}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &go_on)
        .unwrap();
    stage.expect_replicas("web", 9);
}

#[test]
fn who_says_stop_while_it_acts_is_heeded_within_10_s() {
    let Some(stage) = Stage::new("acting-stopped") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    let load = |promql: &str| {
        let policy = policy("web", promql, "Auto");
        let signals = json!({"spec": {"signals": policy["spec"]["signals"]}});
        stage
            .patch(GROUP, "scalingpolicies", "web", &signals)
            .unwrap();
    };
    let heeded = |promql: &str, begun: Instant, reason: &str| {
        let before = stage.replicas("web");
        load(promql);
        stage.expect("web", "Actuated", "False", reason);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{reason}: {took:?}");
        stage.evaluated(3);
        assert_eq!(stage.replicas("web"), before);
    };
    let begun = Instant::now();
    stage.create(
        "api/v1",
        "configmaps",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreshard-kill-switch"}, "data": {"paused": "true"}}),
    );
    heeded("vector(1200)", begun, "KillSwitch");
    stage.delete("api/v1", "configmaps", "foreshard-kill-switch");
    stage.expect_replicas("web", 12);
    // On the target itself.
    let pause = json!({"metadata": {"annotations": {"foreshard.dev/paused": "true"}}});
    let begun = Instant::now();
    stage
        .patch("apis/apps/v1", "deployments", "web", &pause)
        .unwrap();
    heeded("vector(1500)", begun, "Paused");
}

#[test]
fn another_autoscaler_is_named_and_never_fought() {
    let Some(stage) = Stage::new("acting-hpa") else {
        return;
    };
    stage.deployment("web", 3);
    stage.create(
        "apis/autoscaling/v2",
        "horizontalpodautoscalers",
        &json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "old"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5}
        }),
    );
    stage.policy("web", "vector(900)", "Auto");
    let message = stage.expect(
        "web",
        "TargetResolved",
        "False",
        "HorizontalPodAutoscalerConflict",
    );
    assert!(message.contains("HorizontalPodAutoscaler old"), "{message}");
    assert_eq!(stage.replicas("web"), 3);
    stage.delete("apis/autoscaling/v2", "horizontalpodautoscalers", "old");
    stage.expect_replicas("web", 9);
}

#[test]
fn of_two_policies_on_one_target_the_older_acts() {
    let Some(stage) = Stage::new("acting-two") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    let mut younger = crate::stage::policy("younger", "vector(1900)", "Auto");
    younger["spec"]["targetRef"]["name"] = "web".into();
    stage.create(GROUP, "scalingpolicies", &younger);
    let message = stage.expect("younger", "TargetResolved", "False", "TargetConflict");
    assert!(message.contains("ScalingPolicy web is older"), "{message}");
    assert_eq!(stage.replicas("web"), 9);
}

#[test]
fn overrides_and_events_have_their_say() {
    let Some(stage) = Stage::new("acting-override") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(300)", "Auto");
    stage.expect("web", "Ready", "True", "Decides");
    let floor = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride", "metadata": {"name": "sale"},
        "spec": {"policyName": "web", "minReplicas": 12, "expiryTime": "2100-01-01T00:00:00Z", "reason": "spring sale"}
    });
    stage.create(GROUP, "scalingoverrides", &floor);
    stage.expect_replicas("web", 12);
    let made = stage.list(GROUP, "scalingrecommendations");
    let said = made[0]["spec"]["explanation"]["knownFuture"][0]
        .as_str()
        .unwrap();
    assert!(
        said.starts_with("override sale") && said.contains("spring sale"),
        "{said}"
    );
    assert!(
        condition(
            &stage.get(GROUP, "scalingpolicies", "web"),
            "WithinGuardrails"
        )
        .is_some()
    );
}
