//! An account that may not do everything: the condition names the verb and the resource, and nothing is done without.

use serde_json::{Value, json};

use crate::faults::{Fault, Faults};
use crate::stage::{GROUP, Stage, condition, eventually, prometheus};

const RBAC: &str = "apis/rbac.authorization.k8s.io/v1";

/// Verbs on resources of groups.
fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

/// A policy that asks for 9 replicas of 3, and an operator that may do no more than this.
fn stage(name: &str, rules: &[Value]) -> Option<Stage> {
    let mut stage = Stage::empty(name)?;
    let user = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [user]
    });
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "operator"}, "rules": rules
    });
    stage.create(RBAC, "roles", &role);
    stage.create(RBAC, "rolebindings", &binding);
    stage.source("main", prometheus()?.url());
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    let faults = Faults::default();
    faults.set(Fault::As(name.to_owned()));
    stage.operate_through(false, &faults);
    Some(stage)
}

fn grant(stage: &Stage, rules: &[Value]) {
    let role = json!({ "rules": rules });
    stage.patch(RBAC, "roles", "operator", &role).unwrap();
}

/// Waits for a condition that says which verb on which resource is missing, and where that is described.
fn expect_named(stage: &Stage, kind: &str, verb: &str, resource: &str, group: &str) {
    let named = format!("cannot {verb} resource \"{resource}\" in API group \"{group}\"");
    eventually(&format!("{kind}: {named}"), || {
        let object = stage.get(GROUP, "scalingpolicies", "web");
        let told = condition(&object, kind).filter(|it| {
            let message = it["message"].as_str().unwrap();
            let says = message.contains(&named) && message.contains("docs/rbac.md");
            says && it["status"] == "False" && it["reason"] == "Forbidden"
        });
        told.map(drop).ok_or_else(|| object["status"].clone())
    });
}

#[test]
fn a_right_that_is_missing_is_named() {
    let most = rule(
        &["foreshard.dev", "", "autoscaling", "events.k8s.io"],
        &["*"],
        &["*"],
    );
    let Some(stage) = stage("rights-target", std::slice::from_ref(&most)) else {
        return;
    };
    expect_named(&stage, "TargetResolved", "get", "deployments", "apps");
    assert_eq!(stage.replicas("web"), 3);
    let reads = rule(&["apps"], &["deployments"], &["get"]);
    grant(&stage, &[most.clone(), reads]);
    expect_named(&stage, "Actuated", "update", "deployments/scale", "apps");
    assert_eq!(stage.replicas("web"), 3);
    grant(&stage, &[most, rule(&["apps"], &["*"], &["*"])]);
    stage.expect_replicas("web", 9);
}

#[test]
fn what_may_not_be_listed_is_named_and_nothing_is_done_without() {
    let own = [
        "scalingpolicies",
        "scalingpolicies/status",
        "scalingoverrides",
        "loadevents",
        "scalingrecommendations",
        "scalingrecommendations/status",
    ];
    let most = [
        rule(&["apps", "events.k8s.io"], &["*"], &["*"]),
        rule(&["foreshard.dev"], &own, &["*"]),
    ];
    let Some(stage) = stage("rights-list", &most) else {
        return;
    };
    let module = json!({"spec": {"policies": [{"name": "own", "moduleRef": {"name": "own"}}]}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &module)
        .unwrap();
    expect_named(
        &stage,
        "MetricsFresh",
        "list",
        "prometheussources",
        "foreshard.dev",
    );
    expect_named(
        &stage,
        "PolicyAccepted",
        "list",
        "policymodules",
        "foreshard.dev",
    );
    for kind in ["Ready", "Actuated"] {
        expect_named(
            &stage,
            kind,
            "list",
            "horizontalpodautoscalers",
            "autoscaling",
        );
    }
    let [rest, _] = most;
    let more = rule(&["foreshard.dev", "autoscaling"], &["*"], &["*"]);
    grant(&stage, &[rest.clone(), more.clone()]);
    expect_named(&stage, "Ready", "list", "configmaps", "");
    assert_eq!(stage.replicas("web"), 3);
    grant(&stage, &[rest, more, rule(&[""], &["*"], &["*"])]);
    stage.expect_replicas("web", 9);
}

#[test]
fn what_may_not_be_watched_is_named_and_nothing_is_done_without() {
    let rules = [
        rule(
            &["foreshard.dev", "", "apps", "events.k8s.io"],
            &["*"],
            &["*"],
        ),
        rule(
            &["autoscaling"],
            &["horizontalpodautoscalers"],
            &["get", "list"],
        ),
    ];
    let Some(stage) = stage("rights-watch", &rules) else {
        return;
    };
    for kind in ["Ready", "Actuated"] {
        expect_named(
            &stage,
            kind,
            "watch",
            "horizontalpodautoscalers",
            "autoscaling",
        );
    }
    assert_eq!(stage.replicas("web"), 3);
}
