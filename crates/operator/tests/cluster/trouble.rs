//! What is missing, wrong or late: nothing shrinks, and a condition says what and where.

use serde_json::json;

use crate::load::{Asks, following};
use crate::stage::{GROUP, Stage, eventually, policy, soon};

#[test]
fn metrics_that_stop_shrink_nothing() {
    let Some(stage) = Stage::new("trouble-stops") else {
        return;
    };
    let _kubelet = stage.kubelet();
    stage.deployment("web", 8);
    let until = soon();
    let load = format!("vector(790) and on() (vector(time()) < {until})");
    let policy = following("web", &load, Asks::NoForecast);
    stage.create(GROUP, "scalingpolicies", &policy);
    stage.expect("web", "Ready", "True", "Decides");
    let message = stage.expect("web", "MetricsFresh", "False", "NoData");
    assert!(
        message.contains("nothing is taken away meanwhile"),
        "{message}"
    );
    stage.expect("web", "Ready", "False", "NoData");
    let note = eventually("an event that it is not ready any more", || {
        let events = stage.list("apis/events.k8s.io/v1", "events");
        let own = events.iter().find(|it| it["reason"] == "NoData");
        own.map(|it| it["note"].clone()).ok_or(events.clone())
    });
    assert!(note.as_str().unwrap().contains("signal demand"), "{note}");
    stage.evaluated(2);
    assert_eq!(stage.replicas("web"), 8);
}

#[test]
fn a_source_that_is_not_there_is_named() {
    let Some(stage) = Stage::empty("trouble-absent").map(|mut stage| {
        stage.operate(false);
        stage
    }) else {
        return;
    };
    let _kubelet = stage.kubelet();
    stage.deployment("web", 5);
    let policy = following("web", "vector(1)", Asks::NoForecast);
    stage.create(GROUP, "scalingpolicies", &policy);
    let message = stage.expect("web", "MetricsFresh", "False", "SourceNotFound");
    assert!(
        message.contains("there is no PrometheusSource main in this namespace"),
        "{message}"
    );
    // A port where nobody listens.
    stage.source("main", "http://127.0.0.1:1");
    stage.expect("web", "MetricsFresh", "False", "QueryFailed");
    stage.evaluated(1);
    assert_eq!(stage.replicas("web"), 5);
}

#[test]
fn answers_that_are_no_load_are_told() {
    let Some(stage) = Stage::new("trouble-answers") else {
        return;
    };
    let _kubelet = stage.kubelet();
    for (name, promql) in [
        ("string", "\"abc\""),
        ("broken", "sum(rate("),
        ("nan", "vector(NaN)"),
        (
            "many",
            "label_replace(vector(1), \"a\", \"x\", \"\", \"\") or label_replace(vector(1), \"a\", \"y\", \"\", \"\")",
        ),
    ] {
        stage.deployment(name, 5);
        let policy = following(name, promql, Asks::NoForecast);
        stage.create(GROUP, "scalingpolicies", &policy);
    }
    for name in ["string", "broken", "many", "nan"] {
        let reason = if name == "nan" {
            "NoData"
        } else {
            "QueryFailed"
        };
        let message = stage.expect(name, "MetricsFresh", "False", reason);
        assert!(message.contains("signal demand"), "{message}");
    }
    stage.evaluated(4);
    for name in ["string", "broken", "nan", "many"] {
        assert_eq!(stage.replicas(name), 5, "{name}");
    }
}

#[test]
fn a_target_that_cannot_be_scaled_is_told() {
    let Some(stage) = Stage::new("trouble-target") else {
        return;
    };
    let of = |name: &str, api_version: &str, kind: &str| {
        let mut policy = policy(name, "vector(900)", "Auto");
        policy["spec"]["targetRef"]["apiVersion"] = api_version.into();
        policy["spec"]["targetRef"]["kind"] = kind.into();
        stage.create(GROUP, "scalingpolicies", &policy);
    };
    of("missing", "apps/v1", "Deployment");
    of("scaleless", "v1", "ConfigMap");
    of("unknown", "example.com/v1", "Fleet");
    stage.expect("missing", "TargetResolved", "False", "TargetNotFound");
    stage.expect(
        "scaleless",
        "TargetResolved",
        "False",
        "ScaleSubresourceMissing",
    );
    stage.expect("scaleless", "Stalled", "True", "ScaleSubresourceMissing");
    stage.expect("unknown", "TargetResolved", "False", "KindNotFound");
    // It may come later.
    stage.deployment("missing", 3);
    stage.expect_replicas("missing", 9);
}

#[test]
fn who_scales_again_and_again_is_not_fought() {
    let Some(stage) = Stage::new("trouble-fight") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Auto");
    for _ in 0..3 {
        stage.expect_replicas("web", 9);
        stage
            .patch(
                "apis/apps/v1",
                "deployments",
                "web",
                &json!({"spec": {"replicas": 2}}),
            )
            .unwrap();
    }
    let message = stage.expect("web", "Actuated", "False", "ScaledBySomebodyElse");
    assert!(
        message.contains("somebody else keeps changing"),
        "{message}"
    );
    assert_eq!(stage.replicas("web"), 2);
}

#[test]
fn nothing_goes_beyond_the_maximum() {
    let Some(stage) = Stage::new("trouble-maximum") else {
        return;
    };
    stage.deployment("web", 3);
    stage.policy("web", "vector(99000)", "Auto");
    stage.expect_replicas("web", 20);
    let message = stage.expect("web", "WithinGuardrails", "False", "AtMaximum");
    assert!(message.contains("raise max of the action"), "{message}");
}
