//! Policy modules: accepted, refused, replaced, deleted while in use.

use base64::Engine as _;
use serde_json::json;

use crate::stage::{GROUP, Stage, condition, eventually};

fn push(stage: &Stage, name: &str, component: &[u8], digest: &str) {
    let encoded = base64::engine::general_purpose::STANDARD.encode(component);
    stage.create(
        "api/v1",
        "configmaps",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "binaryData": {"component.wasm": encoded}}),
    );
    stage.create(
        GROUP,
        "policymodules",
        &json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PolicyModule", "metadata": {"name": name},
            "spec": {"digest": digest, "sizeBytes": component.len(), "source": {"uploaded": {"configMapName": name}}}
        }),
    );
}

fn accepted(stage: &Stage, name: &str, status: &str, reason: &str) -> serde_json::Value {
    eventually(&format!("{name}: Accepted is {status} by {reason}"), || {
        let object = stage.get(GROUP, "policymodules", name);
        let found = condition(&object, "Accepted")
            .is_some_and(|it| it["status"] == status && it["reason"] == reason);
        if found { Ok(object) } else { Err(object) }
    })
}

#[test]
fn a_module_decides_until_something_better_comes() {
    let Some(stage) = Stage::new("modules") else {
        return;
    };
    let component = foreshard_builtin::component("target-tracking").unwrap();
    let digest = foreshard_api::sha256(component);
    push(&stage, "spring", component, &digest);
    let object = accepted(&stage, "spring", "True", "Accepted");
    assert_eq!(object["status"]["worldVersion"], "0.1.0");
    assert_eq!(object["status"]["name"], "target-tracking");
    push(
        &stage,
        "forged",
        component,
        &format!("sha256:{}", "0".repeat(64)),
    );
    accepted(&stage, "forged", "False", "DigestMismatch");
    push(
        &stage,
        "garbage",
        b"garbage",
        &foreshard_api::sha256(b"garbage"),
    );
    accepted(&stage, "garbage", "False", "Refused");
    stage.deployment("web", 3);
    let mut policy = crate::stage::policy("web", "vector(900)", "Auto");
    policy["spec"]["policies"] =
        json!([{"name": "mine", "moduleRef": {"name": "spring"}, "config": {}}]);
    stage.create(GROUP, "scalingpolicies", &policy);
    stage.expect("web", "PolicyAccepted", "True", "Accepted");
    stage.expect_replicas("web", 9);
    // Replaced by something that is none: what was there goes on.
    let worse = json!({"spec": {
        "digest": foreshard_api::sha256(b"garbage"), "source": {"uploaded": {"configMapName": "garbage"}}
    }});
    stage
        .patch(GROUP, "policymodules", "spring", &worse)
        .unwrap();
    let message = stage.expect("web", "PolicyAccepted", "False", "ModuleRefused");
    assert!(
        message.contains("the last good one goes on deciding"),
        "{message}"
    );
    stage.delete(GROUP, "policymodules", "spring");
    stage.expect("web", "PolicyAccepted", "False", "ModuleNotFound");
    stage.patch(GROUP, "scalingpolicies", "web", &json!({"spec": {"signals": [{
        "name": "demand", "query": "vector(1500)", "sourceRef": {"name": "main"}, "targetAverageValue": "100"
    }]}})).unwrap();
    stage.expect_replicas("web", 15);
}

#[test]
fn a_module_that_is_pinned_goes_on_when_its_object_has_other_bytes() {
    let Some(stage) = Stage::new("modules-pinned") else {
        return;
    };
    let component = foreshard_builtin::component("target-tracking").unwrap();
    let digest = foreshard_api::sha256(component);
    push(&stage, "spring", component, &digest);
    accepted(&stage, "spring", "True", "Accepted");
    stage.deployment("web", 3);
    let mut policy = crate::stage::policy("web", "vector(900)", "Auto");
    policy["spec"]["policies"] =
        json!([{"name": "mine", "moduleRef": {"name": "spring", "digest": digest}, "config": {}}]);
    stage.create(GROUP, "scalingpolicies", &policy);
    stage.expect_replicas("web", 9);
    let other = hostile();
    push(&stage, "other", &other, &foreshard_api::sha256(&other));
    let replaced = json!({"spec": {
        "digest": foreshard_api::sha256(&other), "source": {"uploaded": {"configMapName": "other"}}
    }});
    stage
        .patch(GROUP, "policymodules", "spring", &replaced)
        .unwrap();
    let message = stage.expect("web", "PolicyAccepted", "False", "DigestMismatch");
    assert!(message.contains("the latter goes on deciding"), "{message}");
    // By the floor alone it would be 12, as 90 percent of what 11.7 replicas can do.
    stage.patch(GROUP, "scalingpolicies", "web", &json!({"spec": {"signals": [{
        "name": "demand", "query": "vector(1500)", "sourceRef": {"name": "main"}, "targetAverageValue": "100"
    }]}})).unwrap();
    stage.expect_replicas("web", 15);
}

#[test]
fn a_config_that_its_module_refuses_is_told() {
    let Some(stage) = Stage::new("modules-config") else {
        return;
    };
    stage.deployment("web", 3);
    let mut policy = crate::stage::policy("web", "vector(900)", "Auto");
    policy["spec"]["policies"] = json!([{
        "name": "own", "moduleRef": {"name": "builtin-forecast-headroom"}, "config": {"signals": [], "typo": 1}
    }]);
    stage.create(GROUP, "scalingpolicies", &policy);
    let message = stage.expect("web", "PolicyAccepted", "False", "ConfigRefused");
    assert!(message.contains("the config of own"), "{message}");
    // The floor holds all the same.
    stage.expect_replicas("web", 9);
}

/// A component that only tests load; `cargo xtask policies` builds it.
fn hostile() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/policies/test/hostile.wasm"
    );
    std::fs::read(path)
        .unwrap_or_else(|error| panic!("{path}: {error}: run `cargo xtask policies`"))
}

#[test]
fn a_module_that_misbehaves_takes_nothing_down() {
    let Some(stage) = Stage::new("modules-hostile") else {
        return;
    };
    let component = hostile();
    push(
        &stage,
        "mine",
        &component,
        &foreshard_api::sha256(&component),
    );
    accepted(&stage, "mine", "True", "Accepted");
    let modes = [
        "loop",
        "trap",
        "recurse",
        "grow",
        "flood",
        "nan",
        "many",
        "unknown-part",
        "undeclared",
        "huge",
        "memory",
        "error",
    ];
    for mode in modes {
        stage.deployment(mode, 3);
        let mut policy = crate::stage::policy(mode, "vector(900)", "Auto");
        policy["spec"]["policies"] =
            json!([{"name": "mine", "moduleRef": {"name": "mine"}, "config": {"evaluate": mode}}]);
        stage.create(GROUP, "scalingpolicies", &policy);
    }
    stage.deployment("good", 3);
    stage.policy("good", "vector(500)", "Auto");
    // What the load needs by the plain rule is there, whatever the module does.
    for mode in modes {
        stage.expect_replicas(mode, 9);
    }
    stage.expect_replicas("good", 5);
}

#[test]
fn a_module_that_is_replaced_by_a_worse_one_leaves_the_floor() {
    let Some(stage) = Stage::new("modules-worse") else {
        return;
    };
    let good = foreshard_builtin::component("target-tracking").unwrap();
    let component = hostile();
    push(&stage, "mine", good, &foreshard_api::sha256(good));
    accepted(&stage, "mine", "True", "Accepted");
    stage.deployment("web", 3);
    let mut policy = crate::stage::policy("web", "vector(900)", "Auto");
    policy["spec"]["policies"] = json!([{"name": "mine", "moduleRef": {"name": "mine"}}]);
    stage.create(GROUP, "scalingpolicies", &policy);
    stage.expect_replicas("web", 9);
    // Whatever there is, this one says that three are fine.
    let digest = foreshard_api::sha256(&component);
    push(&stage, "worse", &component, &digest);
    let worse =
        json!({"spec": {"digest": digest, "source": {"uploaded": {"configMapName": "worse"}}}});
    stage.patch(GROUP, "policymodules", "mine", &worse).unwrap();
    eventually("the worse one decides", || {
        let object = stage.get(GROUP, "policymodules", "mine");
        (object["status"]["name"] == "hostile")
            .then_some(())
            .ok_or(object)
    });
    stage.evaluated(3);
    assert_eq!(stage.replicas("web"), 9);
    // Asking for less counts as far as the load allows: 90 percent of what 11.7 replicas can do.
    stage.patch(GROUP, "scalingpolicies", "web", &json!({"spec": {"signals": [{
        "name": "demand", "query": "vector(1500)", "sourceRef": {"name": "main"}, "targetAverageValue": "100"
    }]}})).unwrap();
    stage.expect_replicas("web", 12);
}
