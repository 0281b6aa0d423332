//! The CEL rules, without a cluster.

use serde_json::{Value, json};

use super::*;

fn policy(change: impl FnOnce(&mut Value)) -> ScalingPolicy {
    let mut object = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "signals": [{
                "name": "demand", "query": "sum(rate(x[1m]))", "sourceRef": {"name": "main"},
                "targetAverageValue": "70"
            }],
            "actions": [{"type": "Replicas", "min": 2, "max": 20}],
        }
    });
    change(&mut object["spec"]);
    serde_json::from_value(object).unwrap()
}

fn refused(result: Result<(), impl std::fmt::Debug>, by: &str) {
    let error = format!("{:?}", result.expect_err(by));
    assert!(error.contains(by), "{error}");
}

#[test]
fn a_sound_policy_passes() {
    policy(|_| {}).validate_cel().unwrap();
}

#[test]
fn a_policy_whose_fields_contradict_each_other_is_refused() {
    refused(
        policy(|spec| spec["actions"][0]["min"] = 21.into()).validate_cel(),
        "min is at most max",
    );
    refused(
        policy(|spec| spec["actions"][0]["type"] = "Merge".into()).validate_cel(),
        "one type of action",
    );
    refused(
        policy(|spec| {
            let mut second = spec["signals"][0].clone();
            second["name"] = "other".into();
            second["maxUtilization"] = 80.into();
            spec["signals"].as_array_mut().unwrap().push(second);
        })
        .validate_cel(),
        "the same maxUtilization",
    );
}

#[test]
fn a_target_cannot_be_changed() {
    let old = policy(|_| {});
    old.validate_cel_update(&old).unwrap();
    let new = policy(|spec| spec["targetRef"]["name"] = "other".into());
    refused(new.validate_cel_update(&old), "targetRef cannot be changed");
}

#[test]
fn a_module_has_one_source_and_a_name_of_its_own() {
    let module = |name: &str, source: Value| -> PolicyModule {
        let digest = format!("sha256:{}", "0".repeat(64));
        serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PolicyModule", "metadata": {"name": name},
            "spec": {"digest": digest, "sizeBytes": 10, "source": source}
        }))
        .unwrap()
    };
    let uploaded = json!({"uploaded": {"configMapName": "a"}});
    module("spring", uploaded.clone()).validate_cel().unwrap();
    refused(module("spring", json!({})).validate_cel(), "exactly one of");
    let both = json!({"uploaded": {"configMapName": "a"}, "builtin": {"name": "b"}});
    refused(module("spring", both).validate_cel(), "exactly one of");
    refused(
        module("builtin-x", uploaded).validate_cel(),
        "belong to the modules",
    );
}

#[test]
fn an_override_says_something_and_an_event_lasts() {
    let over = |spec: Value| -> ScalingOverride {
        serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride", "metadata": {"name": "o"}, "spec": spec
        }))
        .unwrap()
    };
    let until = "2026-01-01T00:00:00Z";
    over(json!({"policyName": "web", "minReplicas": 3, "expiryTime": until}))
        .validate_cel()
        .unwrap();
    refused(
        over(json!({"policyName": "web", "expiryTime": until})).validate_cel(),
        "an override has",
    );
    refused(
        over(json!({"policyName": "web", "minReplicas": 3, "maxReplicas": 2, "expiryTime": until}))
            .validate_cel(),
        "minReplicas is at most maxReplicas",
    );
    let event = |start: &str, end: &str| -> LoadEvent {
        serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "LoadEvent", "metadata": {"name": "e"},
            "spec": {"startTime": start, "endTime": end, "factorPercent": 300}
        }))
        .unwrap()
    };
    event("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
        .validate_cel()
        .unwrap();
    refused(
        event("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z").validate_cel(),
        "startTime is before endTime",
    );
}
