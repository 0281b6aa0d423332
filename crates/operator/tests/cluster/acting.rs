//! What is done, and what is not.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::load::{Asks, following};
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

/// Times in the format of the API.
fn at(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

#[test]
fn an_override_holds_until_it_expires_and_an_event_is_told() {
    let Some(stage) = Stage::new("acting-expiry") else {
        return;
    };
    let _kubelet = stage.kubelet();
    let now = jiff::Timestamp::now().as_second();
    let object = |kind: &str, name: &str, spec: serde_json::Value| json!({"apiVersion": "foreshard.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let fair = json!({"startTime": at(now + 3600), "endTime": at(now + 7200), "factorPercent": 300, "policyNames": ["web"]});
    stage.create(GROUP, "loadevents", &object("LoadEvent", "fair", fair));
    let few = json!({"policyName": "web", "maxReplicas": 4, "expiryTime": at(now + 45), "reason": "a freeze"});
    stage.create(
        GROUP,
        "scalingoverrides",
        &object("ScalingOverride", "few", few),
    );
    stage.deployment("web", 3);
    let policy = following("web", "vector(900)", Asks::NoForecast);
    stage.create(GROUP, "scalingpolicies", &policy);
    stage.expect_replicas("web", 4);
    let made = stage.list(GROUP, "scalingrecommendations");
    let said = made[0]["spec"]["explanation"]["knownFuture"].to_string();
    for told in ["event fair: 300 %", "override few", "at most 4 replicas"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let said = stage.expect("web", "WithinGuardrails", "False", "AtMaximum");
    assert!(said.contains("more than 4 replicas"), "{said}");
    stage.expect_replicas("web", 9);
    assert!(jiff::Timestamp::now().as_second() >= now + 45, "too early");
}

#[test]
fn of_what_was_recommended_the_newest_are_kept() {
    let Some(stage) = Stage::new("acting-history") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    stage.expect_replicas("web", 9);
    let made = stage.list(GROUP, "scalingrecommendations")[0].clone();
    let mut old =
        json!({"apiVersion": made["apiVersion"], "kind": made["kind"], "spec": made["spec"]});
    for number in 0..22 {
        old["metadata"] = json!({"name": format!("web-old-{number}")});
        old["spec"]["issuedTime"] = at(1_700_000_000 + number).into();
        stage.create(GROUP, "scalingrecommendations", &old);
    }
    let higher =
        json!({"spec": {"actions": [{"type": "Replicas", "mode": "Auto", "min": 11, "max": 20}]}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &higher)
        .unwrap();
    stage.expect_replicas("web", 11);
    eventually("twenty are left", || {
        let names: Vec<String> = stage
            .list(GROUP, "scalingrecommendations")
            .iter()
            .map(|it| it["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        (names.len() == 20).then_some(()).ok_or(names)
    });
    let left = stage.list(GROUP, "scalingrecommendations");
    let is_left = |name: &str| left.iter().any(|it| it["metadata"]["name"] == name);
    assert!(!is_left("web-old-0") && is_left("web-old-21"));
}

/// Something of somebody else's that has a scale.
fn define_frames(stage: &Stage) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "frames.acting.test"},
        "spec": {
            "group": "acting.test", "scope": "Namespaced",
            "names": {"kind": "Frame", "plural": "frames", "singular": "frame"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
                },
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
            }]
        }
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    stage.plane.api().post(definitions, &definition).unwrap();
    eventually("frames are known", || {
        let path = format!("{definitions}/frames.acting.test");
        let seen = stage.plane.api().get(&path).unwrap();
        let known = condition(&seen, "Established").is_some_and(|it| it["status"] == "True");
        known.then_some(()).ok_or(seen)
    });
}

#[test]
fn whatever_has_a_scale_is_scaled() {
    let Some(stage) = Stage::new("acting-frames") else {
        return;
    };
    define_frames(&stage);
    let group = "apis/acting.test/v1";
    let frame = json!({"apiVersion": "acting.test/v1", "kind": "Frame", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    stage.create(group, "frames", &frame);
    let runs = |count: u64| {
        let status = json!({"status": {"replicas": count}});
        stage.patch(group, "frames", "web/status", &status).unwrap();
    };
    let expect = |count: u64| {
        eventually(&format!("{count} are wanted"), || {
            let wanted = stage.get(group, "frames", "web")["spec"]["replicas"].clone();
            (wanted == count).then_some(()).ok_or_else(|| {
                let policy = stage.get(GROUP, "scalingpolicies", "web");
                (wanted, policy["status"].clone())
            })
        });
    };
    runs(3);
    let policy = |promql: &str| {
        let mut policy = following("web", promql, Asks::NoForecast);
        policy["spec"]["targetRef"] =
            json!({"apiVersion": "acting.test/v1", "kind": "Frame", "name": "web"});
        policy
    };
    stage.create(GROUP, "scalingpolicies", &policy("vector(900)"));
    expect(9);
    // Not before those have come is anything taken away.
    let less = json!({"spec": {"signals": policy("vector(190)")["spec"]["signals"]}});
    stage.patch(GROUP, "scalingpolicies", "web", &less).unwrap();
    stage.evaluated(3);
    expect(9);
    runs(9);
    expect(2);
}
