//! An object that is stored and does not fit its definition, as one that an older definition let in: it is told, nothing is
//! done by it, and the others go on.

use serde_json::{Value, json};

use crate::load::{Asks, following};
use crate::stage::{GROUP, Stage, eventually, prometheus};

/// Changes what etcd holds of an object, behind the API server's back.
fn tamper(stage: &Stage, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let key = format!("/registry/foreshard.dev/{resource}/{}/{name}", stage.name());
    let etcdctl = || stage.plane.etcdctl().unwrap();
    let stored = etcdctl()
        .args(["get", "--print-value-only", &key])
        .output()
        .unwrap();
    let mut stored: Value = serde_json::from_slice(&stored.stdout).unwrap();
    change(&mut stored);
    let put = etcdctl().args(["put", &key, &stored.to_string()]).output();
    assert!(put.as_ref().unwrap().status.success(), "{put:?}");
}

/// Waits for the event about an object; answers what it says.
fn told(stage: &Stage, name: &str) -> String {
    eventually("an event", || {
        let events = stage.list("apis/events.k8s.io/v1", "events");
        let mut about = events
            .iter()
            .filter(|it| it["reason"] == "Malformed" && it["regarding"]["name"] == name);
        let found = about.next().map(|it| it["note"].to_string());
        found.ok_or(events.clone())
    })
}

fn higher(min: u32) -> Value {
    json!({"spec": {"actions": [{"type": "Replicas", "mode": "Auto", "min": min, "max": 20}]}})
}

#[test]
fn what_cannot_be_read_is_told_and_the_others_go_on() {
    let Some(mut stage) = Stage::new("malformed") else {
        return;
    };
    if stage.plane.etcdctl().is_none() {
        eprintln!("left out: the etcd of this cluster is not ours to change");
        return;
    }
    for name in ["web", "other"] {
        stage.deployment(name, 3);
        stage.policy(name, "vector(250)", "Auto");
        stage.expect(name, "Ready", "True", "Decides");
    }
    // As long as an event may not be.
    let long = "seven".repeat(500);
    tamper(&stage, "scalingpolicies", "web", |it| {
        it["spec"]["actions"][0]["min"] = long.into();
    });
    let said = told(&stage, "web");
    assert!(said.contains("does not fit its definition"), "{said}");
    let change = |name: &str, min: u32| {
        let patch = higher(min);
        stage.patch(GROUP, "scalingpolicies", name, &patch).unwrap();
    };
    change("other", 5);
    stage.expect_replicas("other", 5);
    // Nobody acts by what cannot be read: one that is taken away by hand is not brought back.
    let two = json!({"spec": {"replicas": 2}});
    let less = |stage: &Stage| {
        let (group, resource) = ("apis/apps/v1", "deployments");
        stage.patch(group, resource, "web", &two).unwrap();
    };
    less(&stage);
    stage.evaluated(4);
    assert_eq!(stage.replicas("web"), 2);
    // After a restart as well.
    stage.kill(0);
    stage.operate(false);
    let change = |name: &str, min: u32| {
        let patch = higher(min);
        stage.patch(GROUP, "scalingpolicies", name, &patch).unwrap();
    };
    change("other", 6);
    stage.expect_replicas("other", 6);
    stage.evaluated(2);
    assert_eq!(stage.replicas("web"), 2);
    change("web", 7);
    stage.expect_replicas("web", 7);
    stage.expect("web", "Ready", "True", "Decides");
}

#[test]
fn what_people_said_and_cannot_be_read_is_taken_for_a_reason_to_keep_what_is_there() {
    let Some(mut stage) = Stage::empty("malformed-order") else {
        return;
    };
    if stage.plane.etcdctl().is_none() {
        eprintln!("left out: the etcd of this cluster is not ours to change");
        return;
    }
    let _kubelet = stage.kubelet();
    stage.source("main", prometheus().unwrap().url());
    let floor = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride", "metadata": {"name": "sale"},
        "spec": {"policyName": "web", "minReplicas": 5, "expiryTime": "2100-01-01T00:00:00Z"}
    });
    stage.create(GROUP, "scalingoverrides", &floor);
    tamper(&stage, "scalingoverrides", "sale", |it| {
        it["spec"]["minReplicas"] = "five".into();
    });
    // It never was another one for this process.
    stage.operate(false);
    stage.deployment("web", 5);
    let policy = following("web", "vector(90)", Asks::NoForecast);
    stage.create(GROUP, "scalingpolicies", &policy);
    stage.expect("web", "Ready", "True", "Decides");
    let said = stage.expect("web", "WithinGuardrails", "False", "Clamped");
    assert!(said.contains("sale"), "{said}");
    told(&stage, "sale");
    stage.evaluated(4);
    assert_eq!(stage.replicas("web"), 5);
    stage.delete(GROUP, "scalingoverrides", "sale");
    stage.expect_replicas("web", 1);
}
