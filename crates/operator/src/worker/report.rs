//! What a pass found out, in the status, the metrics and the API.

use std::sync::Arc;
use std::time::Duration;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::{ScalingPolicy, ScalingPolicyStatus};
use foreshard_decide::contract::LeadTime;
use foreshard_server::view::{Delay, Observed, RecommendationObject, Shadow};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Resource as _, ResourceExt as _};
use tokio::time::Instant;

use super::{Pass, Worker};
use crate::advice::Decided;
use crate::metrics::ReasonLabels;
use crate::modules::LOADING;
use crate::part::PART;
use crate::policies::Bound;
use crate::publish::Shown;
use crate::shared::Wait;
use crate::status::{self, Report};
use foreshard_controller::call::in_time;
use foreshard_controller::call::unix_now;
use foreshard_controller::error::chain;

/// Reasons for which waiting is pointless until somebody changes something.
const PERMANENT: [&str; 3] = ["ScaleSubresourceMissing", "ConfigRefused", "QueryInvalid"];

/// How long what was found by an earlier process stands while this one still reads what it needs.
const BEGINNING: Duration = Duration::from_secs(60);

/// The conditions that a policy has from the first look on, beside Ready and Stalled.
const KINDS: [&str; 6] = [
    kind::TARGET_RESOLVED,
    kind::METRICS_FRESH,
    kind::FORECAST_RELIABLE,
    kind::POLICY_ACCEPTED,
    kind::WITHIN_GUARDRAILS,
    kind::ACTUATED,
];

impl Worker {
    /// Tells everybody.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn report(&mut self, pass: Pass) {
        let recorded = pass.recommendation.clone().or_else(|| self.recorded(&pass));
        let Pass {
            object,
            policy,
            now,
            mut findings,
            seen,
            in_force,
            recommendation: _,
            notes: _,
        } = pass;
        let ready = match self.shared.indexes.waits_for() {
            Some(wait @ Wait::Forbidden(_)) => {
                Finding::no(kind::READY, wait.reason(), wait.to_string())
            }
            _ => ready(&findings),
        };
        if ready.holds != Some(true) {
            let labels = ReasonLabels {
                reason: ready.reason,
            };
            self.shared.metrics.not_ready.get_or_create(&labels).inc();
        }
        if !findings.iter().any(|it| it.kind == kind::STALLED) {
            findings.push(stalled(&findings));
        }
        let outcome = self.outcome.clone();
        self.shared.board.put(
            &self.key,
            Decided {
                generation: object.metadata.generation.unwrap_or(0),
                at: now,
                seen: Instant::now(),
                interval: Duration::from_secs(u64::try_from(policy.interval_seconds).unwrap_or(60)),
                replicas: outcome.as_ref().and_then(|it| it.count(PART)),
                current: seen.as_ref().map_or(0, |seen| seen.wanted),
                target_paused: seen.as_ref().is_some_and(|seen| seen.paused),
                not_ready: (ready.holds != Some(true))
                    .then(|| ready.message.clone())
                    .or_else(|| self.learning.holds().map(str::to_owned)),
            },
        );
        findings.push(ready);
        complete(&mut findings);
        let lead = self.memory.lead.time(policy.replicas.lead_seconds);
        let part = outcome
            .as_ref()
            .and_then(|it| it.record.explanation.parts.first().cloned());
        let forecast = part
            .as_ref()
            .and_then(|part| part.forecasts.first().cloned());
        let report = Report {
            generation: object.metadata.generation.unwrap_or(0),
            target: policy.target.show(),
            mode: in_force.show(),
            current: seen.as_ref().map(|seen| seen.wanted),
            recommended: outcome.as_ref().and_then(|it| it.count(PART)),
            peak: self.memory.outlook.peak(&policy),
            // Of no model there is none.
            skill: forecast
                .as_ref()
                .filter(|_| self.memory.engine.as_ref().is_some_and(|it| it.is_fitted()))
                .map(|it| it.skill),
            demoted: forecast.as_ref().is_some_and(|it| !it.acted),
            lead_seconds: (lead.observations >= 3).then_some(lead.p90),
            shadow: Some(self.memory.shadow.score_now()),
            last_scale: self.memory.ordered.map(|(_, at)| at),
            last_recommendation: self.memory.ration.name().map(str::to_owned),
            findings,
        };
        self.measure(&report);
        let observed = observed(&lead, &report);
        if let Some(outcome) = &outcome {
            let first = self
                .resolved
                .bound
                .as_ref()
                .map_or("none", |bound| bound.first());
            let made = recorded.map(|made| RecommendationObject {
                digest: made.spec.digest.clone(),
                name: made.name_any(),
            });
            let signals = self.resolved.signals.first();
            let load = signals.and_then(|first| Some(first.as_ref().ok()?.watch.glance()));
            let publisher = self.shared.publisher.clone();
            let shown = Shown {
                policy: &policy,
                outcome,
                outlook: &self.memory.outlook,
                first,
                in_force: self.resolved.bound.as_ref().and_then(Bound::shown),
                observed,
                load,
                recommendation: made,
            };
            publisher.publish(&self.key, shown, &mut self.expected);
        }
        self.write_status(&object, &report, now).await;
    }

    /// Tells everybody that nothing is decided, and why.
    pub(super) async fn report_nothing(
        &mut self,
        object: &Arc<ScalingPolicy>,
        reason: &'static str,
        message: String,
    ) {
        let mut findings = vec![
            Finding::no(kind::READY, reason, message.clone()),
            Finding::yes(kind::STALLED, reason, message.clone()),
        ];
        complete(&mut findings);
        let report = Report {
            generation: object.metadata.generation.unwrap_or(0),
            target: object.spec.target_ref.show(),
            mode: format!("None ({reason})"),
            findings,
            ..Report::default()
        };
        let labels = ReasonLabels { reason };
        self.shared.metrics.not_ready.get_or_create(&labels).inc();
        let now = unix_now();
        self.shared
            .board
            .put(&self.key, Decided::nothing(report.generation, now, message));
        self.write_status(object, &report, now).await;
    }

    /// Tells everybody that the worker before this one broke, and how long its policy is left alone.
    pub(super) async fn report_broken(&mut self, wait: Duration) {
        let (namespace, name) = &self.key;
        let Some(object) = self.shared.indexes.policies.get(namespace, name) else {
            return;
        };
        let message = format!(
            "a bug ended the work on this policy; it begins anew in {} s, and nothing is done until then. Please report it with the operator's log.",
            wait.as_secs()
        );
        let warning = kube::runtime::events::EventType::Warning;
        self.shared
            .tell(&object, warning, "WorkerBroke", message.clone())
            .await;
        self.report_nothing(&object, "WorkerBroke", message).await;
    }

    fn measure(&self, report: &Report) {
        let (metrics, labels) = (&self.shared.metrics, self.labels());
        if let Some(count) = report.recommended {
            metrics
                .recommended
                .get_or_create(&labels)
                .set(i64::from(count));
        }
        // There is one as soon as there is a model, if only NaN.
        if let Some(skill) = report.skill {
            metrics.skill.get_or_create(&labels).set(skill);
            let demoted = i64::from(report.demoted);
            metrics.demoted.get_or_create(&labels).set(demoted);
        }
        if let Some(lead) = report.lead_seconds {
            metrics.lead.get_or_create(&labels).set(lead);
        }
        if let Some(score) = report.shadow.filter(|score| score.hours > 0.0) {
            metrics
                .shadow_harm
                .get_or_create(&labels)
                .set(score.harm_seconds_per_day);
            metrics
                .live_harm
                .get_or_create(&labels)
                .set(score.live_harm_seconds_per_day);
            metrics
                .shadow_cost
                .get_or_create(&labels)
                .set(score.cost_ratio);
        }
    }

    /// Writes the status where it is worth a write, and this replica may.
    pub(super) async fn write_status(
        &mut self,
        object: &Arc<ScalingPolicy>,
        report: &Report,
        now: i64,
    ) {
        if !self.shared.claim.holds() {
            return;
        }
        let old = object.status.clone().unwrap_or_default();
        let written = self.memory.status_written;
        if written.is_none() && self.begun.elapsed() < BEGINNING && only_begins(&old, report) {
            return;
        }
        let Some(new) = status::next(&old, report, written, &self.shared.drifts, now) else {
            return;
        };
        match write(&self.shared.client, object, &new).await {
            Ok(()) => {
                self.memory.status_written = Some(unix_now());
                self.shared.metrics.status_writes.inc();
                if let Some(ready) = lost(&old, &report.findings) {
                    let (namespace, policy) = (&self.key.0, &self.key.1);
                    let (reason, message) = (ready.reason, &ready.message);
                    tracing::warn!(namespace, policy, reason, message, "not ready any more");
                    let note = ready.message.clone();
                    self.shared
                        .tell(object, EventType::Warning, reason, note)
                        .await;
                }
            }
            Err(error) => {
                let (namespace, policy) = (&self.key.0, &self.key.1);
                tracing::warn!(
                    namespace,
                    policy,
                    error = chain(&error),
                    "status not written"
                );
            }
        }
    }
}

/// Whether all that is wrong is that this process has only just begun, while an earlier one found what it found: a
/// restart is no news.
fn only_begins(old: &ScalingPolicyStatus, report: &Report) -> bool {
    let told = |it: &Finding| {
        let mut conditions = old.conditions.iter();
        conditions.find(|told| {
            told.type_ == it.kind && told.observed_generation == Some(report.generation)
        })
    };
    let begins = |it: &Finding| ["Starting", "Waiting", "Learning", LOADING].contains(&it.reason);
    let ready = report.findings.iter().find(|it| it.kind == kind::READY);
    let all_stands = || {
        let mut findings = report.findings.iter();
        let acted = report.last_scale.is_some();
        !acted
            && findings
                .all(|it| told(it).is_some_and(|told| begins(it) || told.reason == it.reason))
    };
    ready.is_some_and(|it| told(it).is_some() && begins(it)) || all_stands()
}

/// Why it is not ready any more, if it was.
fn lost<'a>(old: &ScalingPolicyStatus, findings: &'a [Finding]) -> Option<&'a Finding> {
    let was = old
        .conditions
        .iter()
        .any(|it| it.type_ == kind::READY && it.status == "True");
    let now = findings.iter().find(|it| it.kind == kind::READY)?;
    (was && now.holds == Some(false)).then_some(now)
}

/// What the API tells of acting on a target.
fn observed(lead: &LeadTime, report: &Report) -> Observed {
    let finite = |value: f64| value.is_finite().then_some(value);
    Observed {
        delays: vec![Delay {
            action: "replicas".to_owned(),
            p50_seconds: lead.p50,
            p90_seconds: lead.p90,
            p99_seconds: lead.p99,
            observations: lead.observations,
        }],
        shadow: report
            .shadow
            .filter(|score| score.hours > 0.0)
            .map(|score| Shadow {
                scored_hours: score.hours,
                harm_seconds_per_day: score.harm_seconds_per_day,
                live_harm_seconds_per_day: score.live_harm_seconds_per_day,
                cost_ratio: finite(score.cost_ratio),
            }),
        skill: report.skill.and_then(finite),
        demoted: report.demoted,
    }
}

async fn write(
    client: &kube::Client,
    object: &ScalingPolicy,
    status: &ScalingPolicyStatus,
) -> kube::Result<()> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<ScalingPolicy> = Api::namespaced(client.clone(), &namespace);
    let patch = serde_json::json!({
        "apiVersion": ScalingPolicy::api_version(&()),
        "kind": ScalingPolicy::kind(&()),
        "metadata": {"name": name, "uid": object.metadata.uid},
        "status": status,
    });
    let parameters = PatchParams::apply(crate::FIELD_MANAGER).force();
    in_time(api.patch_status(&name, &parameters, &Patch::Apply(patch)))
        .await
        .map(drop)
}

/// All that is needed to decide is there; else the first thing that is not.
fn ready(findings: &[Finding]) -> Finding {
    let needed = [
        kind::TARGET_RESOLVED,
        kind::POLICY_ACCEPTED,
        kind::METRICS_FRESH,
    ];
    for needed in needed {
        match findings.iter().find(|it| it.kind == needed) {
            Some(it) if it.holds == Some(true) => {}
            Some(it) => return Finding::no(kind::READY, it.reason, it.message.clone()),
            None => {
                return Finding::unknown(
                    kind::READY,
                    "Starting",
                    "Not everything was looked at yet.",
                );
            }
        }
    }
    Finding::yes(
        kind::READY,
        "Decides",
        "Target, policies and metrics are there.",
    )
}

/// What was not looked at is unknown, and no longer what it was.
fn complete(findings: &mut Vec<Finding>) {
    for kind in KINDS {
        if !findings.iter().any(|it| it.kind == kind) {
            let message = "Nothing was decided: Ready says why.";
            findings.push(Finding::unknown(kind, "NotDecided", message));
        }
    }
}

fn stalled(findings: &[Finding]) -> Finding {
    let stuck = findings
        .iter()
        .find(|it| it.holds == Some(false) && PERMANENT.contains(&it.reason));
    match stuck {
        Some(it) => Finding::yes(kind::STALLED, it.reason, it.message.clone()),
        None => Finding::no(
            kind::STALLED,
            "Progressing",
            "Nothing waits for a change of the spec.",
        ),
    }
}
