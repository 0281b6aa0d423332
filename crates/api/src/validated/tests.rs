use super::*;
use crate::v1alpha1::{ScalingPolicy, Window};

fn spec(change: impl FnOnce(&mut serde_json::Value)) -> ScalingPolicySpec {
    let mut spec = serde_json::json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "signals": [{
            "name": "demand", "query": "sum(rate(x[1m]))", "sourceRef": {"name": "main"},
            "targetAverageValue": "70"
        }],
        "actions": [{"type": "Replicas", "min": 2, "max": 20}],
    });
    change(&mut spec);
    serde_json::from_value(spec).unwrap()
}

#[test]
fn defaults_watch_only_and_spend_one_percent() {
    let policy = ValidatedPolicy::parse(&spec(|_| {})).unwrap();
    assert_eq!(policy.replicas.mode, Mode::Observe);
    assert_eq!(policy.violation_budget, 0.01);
    assert_eq!(policy.max_utilization, 0.9);
    assert!((policy.signals[0].capacity - 100.0).abs() < 1e-9);
    assert_eq!(policy.replicas.stabilization_seconds, 300);
    assert_eq!(policy.interval_seconds, 60);
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let check = |change: fn(&mut serde_json::Value), expected: &str| {
        let error = ValidatedPolicy::parse(&spec(change)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        |spec| spec["timeZone"] = "Mars/Olympus".into(),
        "spec.timeZone: \"Mars/Olympus\" is no time zone of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
    );
    check(
        |spec| spec["signals"][0]["targetAverageValue"] = "0".into(),
        "spec.signals[0].targetAverageValue: \"0\" is not a positive quantity such as \"70\", \"1.5\", \"500m\" or \"2k\"",
    );
    check(
        |spec| spec["actions"][0]["min"] = 30.into(),
        "spec.actions[0].min: 30 is more than max, which is 20",
    );
    check(
        |spec| spec["signals"] = serde_json::json!([]),
        "spec.signals: name at least one signal",
    );
    check(
        |spec| {
            let signal = spec["signals"][0].clone();
            spec["signals"] = serde_json::json!([signal, signal]);
        },
        "spec.signals: \"demand\" is there twice",
    );
    check(
        |spec| {
            spec["actions"][0]["windows"] = serde_json::json!([{"start": "8:00", "end": "09:00"}])
        },
        "spec.actions[0].windows[0].start: \"8:00\" is not a time such as \"08:30\"",
    );
    check(
        |spec| spec["actions"][0]["type"] = "Split".into(),
        "spec.actions[0].type: a target with /scale has one type of action: Replicas",
    );
}

#[test]
fn windows_are_local_and_go_over_midnight() {
    let window = |json| {
        let window: Window = serde_json::from_value(json).unwrap();
        Recurring::parse("w", &window, &TimeZone::UTC).unwrap()
    };
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    // 2026-07-03 is a Friday; Berlin is two hours ahead in July, one in January.
    let night = window(serde_json::json!({
        "days": ["Fri"], "start": "22:00", "end": "02:00", "timeZone": "Europe/Berlin"
    }));
    for (time, holds) in [
        ("2026-07-03T19:59:00Z", false),
        ("2026-07-03T20:00:00Z", true),
        ("2026-07-03T23:59:00Z", true),
        ("2026-07-04T00:00:00Z", false),
        ("2026-07-04T20:00:00Z", false),
        ("2026-01-02T20:00:00Z", false),
        ("2026-01-02T21:00:00Z", true),
    ] {
        assert_eq!(night.holds(at(time)), holds, "{time}");
    }
    let always = window(serde_json::json!({"start": "00:00", "end": "00:00"}));
    assert!(always.holds(at("2026-07-03T12:00:00Z")));
}

#[test]
fn a_policy_reads_what_it_writes() {
    let policy = ScalingPolicy::new("web", spec(|_| {}));
    let json = serde_json::to_value(&policy).unwrap();
    assert_eq!(
        serde_json::from_value::<ScalingPolicy>(json).unwrap(),
        policy
    );
}
