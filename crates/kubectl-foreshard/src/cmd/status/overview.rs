//! One line for each policy.

use foreshard_api::condition::kind;
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{ScalingOverride, ScalingPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use crate::print::table;
use crate::{clock, orders};

/// Most characters of the reason why not.
const WHY_CHARS_MAX: usize = 72;

pub(super) const HEADER: [&str; 9] = [
    "NAME",
    "TARGET",
    "MODE",
    "CURRENT",
    "RECOMMENDED",
    "PEAK",
    "SKILL",
    "READY",
    "WHY",
];

/// All of them.
pub(super) fn text(
    policies: &[ScalingPolicy],
    overrides: &[ScalingOverride],
    all_namespaces: bool,
    now: i64,
) -> String {
    let rows = policies
        .iter()
        .map(|it| row(it, overrides, all_namespaces, now));
    table("", &header(all_namespaces), rows.collect())
}

pub(super) fn header(all_namespaces: bool) -> Vec<&'static str> {
    let namespace = all_namespaces.then_some("NAMESPACE");
    namespace.into_iter().chain(HEADER).collect()
}

pub(super) fn row(
    policy: &ScalingPolicy,
    overrides: &[ScalingOverride],
    all_namespaces: bool,
    now: i64,
) -> Vec<String> {
    let status = policy.status.clone().unwrap_or_default();
    let count = |value: Option<i32>| value.map_or("?".to_owned(), |it| it.to_string());
    let when = status.forecast_peak_time.as_ref().map(unix);
    // What is over is not expected any more.
    let is_ahead = when.is_none_or(|at| at > now);
    let peak = status.forecast_peak.as_ref().filter(|_| is_ahead);
    let peak = peak.map(|peak| {
        let when = when.map(|at| format!(" {}", clock::relative(at, now)));
        format!("{peak}{}", when.unwrap_or_default())
    });
    let ready = condition(&status.conditions, kind::READY);
    let mode = policy
        .spec
        .actions
        .first()
        .map(|it| it.mode.name().to_owned());
    let namespace = all_namespaces.then(|| policy.namespace().unwrap_or_default());
    let cells = [
        policy.name_any(),
        policy.spec.target_ref.show(),
        status.mode.clone().or(mode).unwrap_or_default(),
        count(status.current_replicas),
        count(status.recommended_replicas),
        peak.unwrap_or_else(|| "-".to_owned()),
        status
            .forecast_skill
            .clone()
            .unwrap_or_else(|| "-".to_owned()),
        ready.map_or("Unknown", |it| &it.status).to_owned(),
        why(policy, overrides, now),
    ];
    namespace.into_iter().chain(cells).collect()
}

pub(super) fn condition<'a>(all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|it| it.type_ == kind)
}

/// What keeps it from being ready, or from acting; empty: nothing.
fn why(policy: &ScalingPolicy, overrides: &[ScalingOverride], now: i64) -> String {
    let Some(status) = &policy.status else {
        return "no operator has looked at it yet".to_owned();
    };
    let not = |kind: &str, wanted: &str| {
        let found = condition(&status.conditions, kind);
        found.filter(|it| it.status != "True" && (wanted.is_empty() || it.status == wanted))
    };
    let told = |it: &Condition| format!("{}: {}", it.reason, it.message.replace('\n', " "));
    let ordered = || {
        let order = orders::holding(overrides, policy, now).next()?;
        let left = clock::span(unix(&order.spec.expiry_time) - now);
        let name = order.name_any();
        let what = orders::means(order).replace('\n', " ");
        Some(format!("override {name}, {left} more: {what}"))
    };
    // What people have said, before what comes of it. Observing is Unknown, and no news.
    let found = not(kind::READY, "")
        .map(told)
        .or_else(ordered)
        .or_else(|| orders::ignored_pause(policy))
        .or_else(|| not(kind::ACTUATED, "False").map(told));
    let Some(text) = found else {
        return String::new();
    };
    if text.chars().count() <= WHY_CHARS_MAX {
        return text;
    }
    let cut: String = text.chars().take(WHY_CHARS_MAX - 1).collect();
    cut + "…"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn policy(name: &str, status: serde_json::Value) -> ScalingPolicy {
        serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-03-01T00:00:00Z"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "signals": [{"name": "d", "query": "x", "sourceRef": {"name": "main"}, "targetAverageValue": "70"}],
                "actions": [{"type": "Replicas", "mode": "Approve", "min": 2, "max": 20}],
            },
            "status": status
        }))
        .unwrap()
    }

    #[test]
    fn a_line_says_how_it_is_and_why_not() {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2026-03-02T09:00:00Z"})
        };
        let well = json!({
            "mode": "Auto", "currentReplicas": 3, "recommendedReplicas": 9, "forecastPeak": "860 requests/s",
            "forecastPeakTime": "2026-03-02T15:00:00Z", "forecastSkill": "40%",
            "conditions": [condition("Ready", "True", "Decides", "Fine."), condition("Actuated", "True", "ScaledUp", "9.")]
        });
        let waits = json!({
            "mode": "Approve", "currentReplicas": 3, "recommendedReplicas": 9,
            "conditions": [condition("Ready", "True", "Decides", "Fine."),
                condition("Actuated", "False", "WaitsForApproval", "3 to 9 replicas waits until somebody approves scalingrecommendation web-1 in shop")]
        });
        let blind = json!({
            "mode": "Observe", "conditions": [condition("Ready", "False", "NoData", "signal d: the query works and gives nothing"),
                condition("Actuated", "Unknown", "Observing", "Nothing is done.")]
        });
        let mut new = policy("new", json!({}));
        new.status = None;
        let mut maybe = policy("maybe", well.clone());
        maybe.metadata.annotations =
            Some([("foreshard.dev/paused".to_owned(), "maybe".to_owned())].into());
        let mut over = well.clone();
        over["forecastPeakTime"] = "2026-03-02T09:59:00Z".into();
        let all = [
            policy("web", well),
            policy("approved", waits),
            policy("blind", blind),
            new,
            maybe,
            policy("paused", over),
        ];
        let order = |policy: &str, until: &str| -> ScalingOverride {
            let object = json!({"apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride",
                "metadata": {"name": format!("{policy}-pause"), "namespace": "shop"},
                "spec": {"policyName": policy, "pause": "Both", "expiryTime": until, "reason": "migration"}});
            serde_json::from_value(object).unwrap()
        };
        let orders = [
            order("paused", "2026-03-02T12:00:00Z"),
            order("web", "2026-03-02T09:00:00Z"),
        ];
        let now = 1_772_445_600; // 2026-03-02T10:00:00Z
        let every = text(&all, &orders, true, now);
        insta::assert_snapshot!(every + "\n" + &text(&all[..1], &orders, false, now));
    }
}
