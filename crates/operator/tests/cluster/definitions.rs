//! The definitions on a real API server: what it takes, refuses and lets stay.

use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, policy};

#[test]
fn what_contradicts_itself_is_refused_with_field_and_fix() {
    let Some(stage) = Stage::empty("definitions") else {
        return;
    };
    let refused = |change: &dyn Fn(&mut Value), said: &str| {
        let mut object = policy("web", "up", "Auto");
        change(&mut object["spec"]);
        let error = stage
            .try_create(GROUP, "scalingpolicies", &object)
            .unwrap_err();
        assert!(error.contains(said), "{error}");
    };
    refused(
        &|spec| spec["actions"][0]["min"] = 21.into(),
        "min is at most max",
    );
    refused(
        &|spec| spec["actions"][0]["mode"] = "Sometimes".into(),
        "spec.actions[0].mode",
    );
    refused(&|spec| spec["actions"] = json!([]), "spec.actions");
    refused(
        &|spec| spec["signals"][0]["targetAverageValue"] = "-1".into(),
        "spec.signals[0].targetAverageValue",
    );
    refused(
        &|spec| spec["signals"][0]["query"] = "".into(),
        "spec.signals[0].query",
    );
    refused(
        &|spec| spec["evaluationIntervalSeconds"] = 1.into(),
        "spec.evaluationIntervalSeconds",
    );
    refused(
        &|spec| {
            let signal = spec["signals"][0].clone();
            spec["signals"].as_array_mut().unwrap().push(signal);
        },
        "Duplicate value",
    );
}

#[test]
fn defaults_are_stored_and_the_target_stays() {
    let Some(stage) = Stage::empty("definitions-defaults") else {
        return;
    };
    let mut object = policy("web", "up", "Observe");
    object["spec"]["actions"][0]
        .as_object_mut()
        .unwrap()
        .remove("mode");
    let stored = stage.create(GROUP, "scalingpolicies", &object);
    assert_eq!(stored["spec"]["actions"][0]["mode"], "Observe");
    assert_eq!(stored["spec"]["budget"]["underCapacitySecondsPerDay"], 864);
    assert_eq!(stored["spec"]["combine"], "Max");
    let other = json!({"spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}}});
    let error = stage
        .patch(GROUP, "scalingpolicies", "web", &other)
        .unwrap_err();
    assert!(error.contains("targetRef cannot be changed"), "{error}");
}
