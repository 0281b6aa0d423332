//! One policy with all that is known of it.

use std::fmt::Write as _;

use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{
    Action, LoadEvent, Pause, ScalingOverride, ScalingPolicy, ScalingPolicyStatus,
    ScalingRecommendation,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

use crate::print::table;
use crate::{advice, clock, orders, state};

/// Newest recommendations that are shown.
const RECOMMENDATIONS_MAX: usize = 5;

/// What is known.
pub(super) struct All<'a> {
    pub(super) policy: &'a ScalingPolicy,
    /// Also those that have ended.
    pub(super) overrides: &'a [ScalingOverride],
    /// Those that have not ended.
    pub(super) events: &'a [LoadEvent],
    /// Newest first.
    pub(super) recommendations: &'a [ScalingRecommendation],
}

/// All of it for people.
pub(super) fn text(all: &All<'_>, now: i64) -> String {
    let mut out = facts(all, now);
    let status = all.policy.status.clone().unwrap_or_default();
    if status.conditions.is_empty() {
        out +=
            "\nNo operator has looked at it yet: is one there, and does it watch this namespace?\n";
    } else {
        out += &conditions(&status.conditions, now);
    }
    out += &said(all, now);
    out += &recommendations(all.recommendations, now);
    out
}

/// Names and values, a line each.
type Lines = Vec<(&'static str, String)>;

fn facts(all: &All<'_>, now: i64) -> String {
    let policy = all.policy;
    let created = policy.metadata.creation_timestamp.as_ref();
    let age = created.map_or(String::new(), |at| {
        format!(", made {}", clock::relative(unix(at), now))
    });
    let namespace = policy.namespace().unwrap_or_default();
    let name = format!("{} in {namespace}{age}", policy.name_any());
    let mut lines = vec![
        ("Policy:", name),
        ("Target:", policy.spec.target_ref.show()),
    ];
    if let Some(action) = policy.spec.actions.first() {
        lines.extend(done(all, action, now));
    }
    let status = policy.status.clone().unwrap_or_default();
    lines.extend(expected(&status, now));
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name:<13} {value}\n"));
    lines.collect()
}

/// What is done, and what holds it.
fn done(all: &All<'_>, action: &Action, now: i64) -> Lines {
    let status = all.policy.status.clone().unwrap_or_default();
    let count = |value: Option<i32>| value.map_or("unknown".to_owned(), |it| it.to_string());
    let mode = status.mode.unwrap_or_else(|| action.mode.name().to_owned());
    let mut lines = vec![("Mode:", mode)];
    for order in orders::holding(all.overrides, all.policy, now).filter(|it| is_pause(it)) {
        let until = clock::both(unix(&order.spec.expiry_time), now);
        let (what, name) = (orders::means(order), order.name_any());
        lines.push((
            "Paused:",
            format!("{what}, by override {name} until {until}"),
        ));
    }
    if let Some(ignored) = orders::ignored_pause(all.policy) {
        lines.push(("Not paused:", ignored));
    }
    let bounds = format!("between {} and {}", action.min, action.max);
    let current = count(status.current_replicas);
    let wanted = count(status.recommended_replicas);
    let replicas = format!("{current} now, {wanted} recommended, {bounds}");
    lines.push(("Replicas:", replicas));
    let lead = match status.observed_lead_time_seconds {
        Some(seconds) => format!("{seconds} s observed from an order to its effect"),
        None => format!("{} s assumed, not observed yet", action.lead_time_seconds),
    };
    lines.push(("Lead time:", lead));
    lines
}

/// What is to come, and how good that was.
fn expected(status: &ScalingPolicyStatus, now: i64) -> Lines {
    let mut lines = Vec::new();
    if let Some(peak) = &status.forecast_peak {
        let when = status.forecast_peak_time.as_ref().map(unix);
        let when = match when {
            None => String::new(),
            Some(at) if at > now => format!(" at {}", clock::both(at, now)),
            Some(at) => format!(" is over, it was expected at {}", clock::both(at, now)),
        };
        lines.push(("Peak:", format!("{peak}{when}")));
    }
    if let Some(skill) = &status.forecast_skill {
        let meaning = match skill.as_str() {
            "demoted" => "demoted: it does not act; ForecastReliable says why".to_owned(),
            skill => match skill.strip_prefix('-') {
                Some(worse) => format!("{worse} more error than \"as a week ago\" of late"),
                None => format!("{skill} less error than \"as a week ago\""),
            },
        };
        lines.push(("Forecast:", meaning));
    }
    if let Some(score) = &status.shadow_score {
        let score = format!("{} ({} h scored)", score.summary, score.hours);
        lines.push(("If followed:", score));
    }
    if let Some(at) = &status.last_scale_time {
        lines.push(("Last scaled:", clock::both(unix(at), now)));
    }
    lines
}

fn is_pause(order: &ScalingOverride) -> bool {
    order.spec.pause != Pause::None
}

fn conditions(all: &[Condition], now: i64) -> String {
    let rows = all.iter().map(|it| {
        vec![
            it.type_.clone(),
            it.status.clone(),
            it.reason.clone(),
            clock::span(now - unix(&it.last_transition_time)),
            it.message.replace('\n', " "),
        ]
    });
    let header = ["CONDITION", "STATUS", "REASON", "FOR", "MESSAGE"];
    let mut out = "\n".to_owned() + &table("", &header, rows.collect());
    let mut told = Vec::new();
    for it in all
        .iter()
        .filter(|it| it.status != "True" || it.type_ == "Stalled")
    {
        if let Some(advice) = advice::of(&it.reason).filter(|_| !told.contains(&&it.reason)) {
            if told.is_empty() {
                out += "\nWhat to do:\n";
            }
            told.push(&it.reason);
            let _ = writeln!(out, "  {}: {advice}", it.reason);
        }
    }
    out
}

fn said(all: &All<'_>, now: i64) -> String {
    let overrides = all.overrides.iter().map(|it| {
        let (name, until) = (it.name_any(), clock::both(unix(&it.spec.expiry_time), now));
        if orders::is_over(it, now) {
            return format!("override {name} ended {until} and holds nothing any more");
        }
        format!("override {name} until {until}: {}", orders::means(it))
    });
    let events = all.events.iter().map(|it| {
        let (start, end) = (unix(&it.spec.start_time), unix(&it.spec.end_time));
        let line = format!(
            "event {} from {} to {}: {} % of the load",
            it.name_any(),
            clock::both(start, now),
            clock::utc(end),
            it.spec.factor_percent
        );
        line + &orders::because(&it.spec.reason)
    });
    let lines: Vec<String> = overrides
        .chain(events)
        .map(|it| format!("  {it}\n"))
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    "\nWhat people have said:\n".to_owned() + &lines.concat()
}

fn recommendations(all: &[ScalingRecommendation], now: i64) -> String {
    if all.is_empty() {
        return "\nNo recommendations: nothing was to be changed.\n".to_owned();
    }
    let rows = all.iter().take(RECOMMENDATIONS_MAX).map(|it| {
        let step = it.spec.plan.first();
        let approved = it.spec.approval.as_ref();
        vec![
            it.name_any(),
            clock::span(now - unix(&it.spec.issued_time)),
            step.map_or(String::new(), |step| {
                format!("{} to {}", step.from, step.to)
            }),
            state::of(it, all, now),
            approved.map_or("-".to_owned(), |it| it.user.clone()),
            it.spec.explanation.summary.replace('\n', " "),
        ]
    });
    let header = [
        "RECOMMENDATION",
        "AGE",
        "REPLICAS",
        "STATE",
        "APPROVED-BY",
        "WHY",
    ];
    "\n".to_owned() + &table("", &header, rows.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: serde_json::Value) -> T {
        let object = json!({"apiVersion": "foreshard.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name, "namespace": "shop"}, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_policy_is_told_with_what_to_do() {
        let mut policy: ScalingPolicy = read(
            "ScalingPolicy",
            "web",
            json!({
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "signals": [{"name": "d", "query": "x", "sourceRef": {"name": "main"}, "targetAverageValue": "70"}],
                "actions": [{"type": "Replicas", "mode": "Approve", "min": 2, "max": 20}],
            }),
        );
        policy.status = serde_json::from_value(json!({
            "mode": "Approve (HorizontalPodAutoscalerConflict)", "currentReplicas": 3, "recommendedReplicas": 9,
            "forecastPeak": "860 requests/s", "forecastPeakTime": "2026-03-02T15:00:00Z", "forecastSkill": "demoted",
            "shadowScore": {"hours": 24, "harmSecondsPerDay": 1, "liveHarmSecondsPerDay": 9, "costPercent": 95,
                "summary": "1 s/day over capacity instead of 9, at 95% of the cost"},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Decides", "message": "Load 12.", "lastTransitionTime": "2026-03-02T09:00:00Z"},
                {"type": "TargetResolved", "status": "False", "reason": "HorizontalPodAutoscalerConflict",
                    "message": "HorizontalPodAutoscaler old scales Deployment/web already", "lastTransitionTime": "2026-03-01T09:00:00Z"},
                {"type": "Actuated", "status": "False", "reason": "HorizontalPodAutoscalerConflict",
                    "message": "HorizontalPodAutoscaler old scales Deployment/web already", "lastTransitionTime": "2026-03-01T09:00:00Z"},
                {"type": "ForecastReliable", "status": "False", "reason": "Demoted", "message": "No skill.", "lastTransitionTime": "2026-03-02T09:59:00Z"},
            ]
        })).unwrap();
        let order: ScalingOverride = read(
            "ScalingOverride",
            "web-pause",
            json!({
            "policyName": "web", "minReplicas": 4, "pause": "ScaleDown", "expiryTime": "2026-03-02T12:00:00Z", "reason": "migration"}),
        );
        let event: LoadEvent = read(
            "LoadEvent",
            "sale",
            json!({
            "startTime": "2026-03-03T10:00:00Z", "endTime": "2026-03-03T12:00:00Z", "factorPercent": 300}),
        );
        let recommendation: ScalingRecommendation = read(
            "ScalingRecommendation",
            "web-1",
            json!({
            "policyName": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": "Approve", "issuedTime": "2026-03-02T09:50:00Z", "expiryTime": "2026-03-02T10:20:00Z",
            "plan": [{"type": "Replicas", "from": 3, "to": 9, "reason": "a peak comes"}], "digest": "sha256:1",
            "explanation": {"summary": "a peak comes"}, "counterfactual": {"replicas": 4, "summary": "4"}}),
        );
        let mut over = order.clone();
        over.metadata.name = Some("yesterday".to_owned());
        over.spec.expiry_time = serde_json::from_value(json!("2026-03-01T12:00:00Z")).unwrap();
        let all = All {
            policy: &policy,
            overrides: &[order, over],
            events: &[event],
            recommendations: &[recommendation],
        };
        insta::assert_snapshot!(text(&all, 1_772_445_600)); // 2026-03-02T10:00:00Z
    }
}
