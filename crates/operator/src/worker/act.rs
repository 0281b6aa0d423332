//! Carrying out what was decided, as far as the mode allows.
//!
//! Only a step of the guarded plan is ever carried out. Right before the write everything that may forbid it is looked
//! at once more: the lease, the kill switch, the pauses; and the write itself names the version that was read.

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::{Mode, ScalingPolicy};
use foreshard_decide::contract::Action;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::events::EventType;

use super::{Pass, Worker};
use crate::metrics::ActionLabels;
use crate::part::PART;
use crate::recommend;
use crate::shared::GRANT;
use crate::target::{Seen, TargetError};
use foreshard_controller::call::{Turn, unix_now};
use foreshard_controller::error::{chain, refusal};

/// An order that is open for longer than this many times its usual lead time is late.
const STUCK_LEADS: f64 = 3.0;
/// And for longer than this.
const STUCK_SECONDS: f64 = 600.0;

impl Worker {
    /// Records and carries out the decision.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn act(&mut self, pass: &mut Pass) {
        let (Some(outcome), Some(seen)) = (self.outcome.clone(), pass.seen.clone()) else {
            return;
        };
        self.watch_rollout(pass, &seen).await;
        self.record(pass).await;
        let wanted = outcome
            .record
            .plan
            .steps()
            .iter()
            .find_map(|step| match step.action {
                Action::Replicas(count) if step.part == PART && step.not_before.is_none() => {
                    Some(count)
                }
                _ => None,
            });
        let finding = match (pass.in_force.mode, &pass.in_force.held) {
            (Mode::Observe, _) => Finding::unknown(
                kind::ACTUATED,
                "Observing",
                "The mode is Observe: nothing is done.",
            ),
            (_, Some((reason, why))) => Finding::no(kind::ACTUATED, reason, why.clone()),
            (Mode::Auto, None) => match wanted {
                None => up_to_date(&seen),
                Some(count) => self.scale(pass, &seen, count, None).await,
            },
            (Mode::Approve, None) => self.approved(pass, &seen, wanted).await,
        };
        pass.findings.push(finding);
    }

    pub(super) async fn scale(
        &mut self,
        pass: &mut Pass,
        seen: &Seen,
        count: u32,
        approval: Option<&str>,
    ) -> Finding {
        let grows = count > seen.wanted;
        let waits = |reason: &'static str, why: &str| {
            let message = format!("{} to {count} replicas waits: {why}", seen.wanted);
            Finding::no(kind::ACTUATED, reason, message)
        };
        if !grows && approval.is_none() {
            if let Some(why) = self.learning.holds() {
                return waits("Learning", why);
            }
            // What the policy that is not there would have asked for nobody knows.
            if let Some(why) = not_accepted(&pass.findings) {
                return waits("PolicyNotAccepted", why);
            }
        }
        let direction = if grows { "up" } else { "down" };
        let slot = format!("{}/{}", self.key.0, pass.policy.target.show());
        let turn = Turn::wait().await;
        if let Some(finding) = self.last_look(pass, &turn, grows).await {
            return finding;
        }
        if !grows && !self.shared.slots.take(&slot, pass.now) {
            let why = "as many other targets shrink as may at the same time";
            return waits("WaitsForSlot", why);
        }
        let target = pass.policy.target.clone();
        self.memory.attempted = Some(count);
        let targets = &self.shared.targets;
        let written = targets
            .scale(&turn, &self.key.0, &target, seen, count)
            .await;
        drop(turn);
        let outcome = match &written {
            Ok(()) => "done",
            Err(error) => error.reason(),
        };
        let labels = ActionLabels { direction, outcome };
        self.shared.metrics.actions.get_or_create(&labels).inc();
        match written {
            Ok(()) => self.scaled(pass, seen, count, approval).await,
            Err(TargetError::Conflict(_)) => {
                // Somebody was faster: the next pass sees what they did.
                self.shared.slots.give_back(&slot);
                self.shared.wakes.ring(&self.key);
                let message = "the target changed meanwhile; it is looked at again";
                Finding::no(kind::ACTUATED, "Conflict", message)
            }
            Err(error) => {
                self.shared.slots.give_back(&slot);
                let opened = self.memory.breaker.failure(pass.now, &error.to_string());
                let note = format!("{} to {count} replicas failed: {error}", seen.wanted);
                if opened {
                    self.shared
                        .tell(
                            &pass.object,
                            EventType::Warning,
                            "CircuitBreakerOpen",
                            note.clone(),
                        )
                        .await;
                }
                Finding::no(kind::ACTUATED, error.reason(), note)
            }
        }
    }

    /// What forbids the write at the last moment.
    async fn last_look(&self, pass: &Pass, turn: &Turn, grows: bool) -> Option<Finding> {
        let no = |reason, message: &str| Some(Finding::no(kind::ACTUATED, reason, message));
        // A kill switch that was not read yet may be set.
        if let Some(wait) = self.shared.indexes.waits_for() {
            return no(wait.reason(), &wait.to_string());
        }
        match self.shared.is_stopped_now(turn).await {
            Ok(false) if !self.shared.indexes.is_stopped() => {}
            Ok(_) => return no("KillSwitch", "all acting was stopped"),
            Err(error) => return Some(unread("the kill switch", &error)),
        }
        if !self.shared.claim.holds() {
            return no("NotLeader", "another replica of the operator acts");
        }
        let (namespace, name) = &self.key;
        if let Some(pause) = self
            .shared
            .indexes
            .pause(namespace, name, grows, unix_now())
        {
            return no("Paused", &format!("paused by ScalingOverride {pause}"));
        }
        let target = &pass.policy.target;
        if let Some(other) = self.shared.indexes.autoscaler_of(namespace, target) {
            let why = format!("HorizontalPodAutoscaler {other} scales it since now");
            return no("HorizontalPodAutoscalerConflict", &why);
        }
        // By the API server's own word, as with the kill switch: a watch may hang.
        let policies: Api<ScalingPolicy> = Api::namespaced(self.shared.client.clone(), namespace);
        let live = match turn.in_time(policies.get_opt(name)).await {
            Ok(live) => live,
            Err(error) => return Some(unread("the policy", &error)),
        };
        let is_same = live.is_some_and(|it| {
            it.metadata.uid == pass.object.metadata.uid
                && it.metadata.generation == pass.object.metadata.generation
                && !foreshard_api::annotation::is_paused(it.metadata.annotations.as_ref())
        });
        if !is_same {
            return no(
                "PolicyChanged",
                "the policy changed meanwhile; it is looked at again",
            );
        }
        None
    }

    async fn scaled(
        &mut self,
        pass: &mut Pass,
        seen: &Seen,
        count: u32,
        approval: Option<&str>,
    ) -> Finding {
        let now = unix_now();
        self.memory.changed(now, count);
        self.memory.lead.see(now, count, seen.ready);
        self.memory.breaker.success();
        if let Some(at) = self.newest_sample() {
            self.shared
                .metrics
                .reaction
                .observe((now - at).max(0) as f64);
        }
        let why = self
            .outcome
            .as_ref()
            .and_then(|it| it.record.explanation.parts.first());
        let why = why.map(|part| part.summary.clone()).unwrap_or_default();
        let by = approval.map_or(String::new(), |name| format!(" as approved in {name}"));
        let grows = count > seen.wanted;
        let reason = if grows { "ScaledUp" } else { "ScaledDown" };
        let note = format!(
            "{} from {} to {count} replicas{by}: {why}",
            pass.policy.target.show(),
            seen.wanted
        );
        tracing::info!(
            namespace = self.key.0,
            policy = self.key.1,
            from = seen.wanted,
            to = count,
            "scaled"
        );
        self.shared
            .tell(&pass.object, EventType::Normal, reason, note)
            .await;
        if let Some(made) = pass.recommendation.as_ref().filter(|_| approval.is_none()) {
            recommend::state(&self.shared, made, "Applied").await;
        }
        if let Some(seen) = &mut pass.seen {
            seen.wanted = count;
        }
        let message = format!("{count} replicas were asked for.");
        Finding::yes(kind::ACTUATED, reason, message)
    }

    /// When the newest sample of any signal was taken.
    fn newest_sample(&self) -> Option<i64> {
        let watched = self
            .resolved
            .signals
            .iter()
            .filter_map(|it| it.as_ref().ok());
        watched
            .filter_map(|it| it.watch.latest())
            .map(|sample| sample.at)
            .max()
    }

    /// Says once of an order that it is not fulfilled in many times the usual time. Nothing is taken away meanwhile, since
    /// the part is busy; the load may still need more, so what grows goes on growing.
    async fn watch_rollout(&mut self, pass: &Pass, seen: &Seen) {
        let usual = self.memory.lead.time(pass.policy.replicas.lead_seconds).p99;
        let patience = (STUCK_LEADS * usual).max(STUCK_SECONDS);
        let Some(order) = self.memory.lead.late(pass.now, patience) else {
            return;
        };
        let note = format!(
            "{} of {} replicas are ready {} s after the order",
            seen.ready,
            order.to,
            pass.now - order.at
        );
        let warning = EventType::Warning;
        self.shared
            .tell(&pass.object, warning, "RolloutLate", note)
            .await;
    }

    /// Records the decision as an object, if it is worth it.
    async fn record(&mut self, pass: &mut Pass) {
        let Some(outcome) = self.outcome.clone() else {
            return;
        };
        let Some(part) = outcome.record.explanation.parts.first() else {
            return;
        };
        if !self.shared.claim.holds() || self.shared.indexes.waits_for().is_some() {
            // Whoever leads meanwhile records; what they did counts as well.
            self.memory.ration.forget();
            return;
        }
        self.seed_ration(pass);
        if !self.memory.ration.take(pass.now, part, pass.in_force.mode) {
            return;
        }
        let target = &pass.policy.target;
        let mode = pass.in_force.mode;
        let spec = crate::recommendation::spec(
            &self.key.1,
            target,
            mode,
            &outcome.record,
            part,
            &pass.notes,
        );
        let Some(made) = recommend::create(&self.shared, &pass.object, spec).await else {
            self.memory.ration.give_back();
            return;
        };
        self.memory.ration.named(made.name_any());
        pass.recommendation = Some(made);
        let (store, key) = (self.shared.store.clone(), self.key.clone());
        let record = std::sync::Arc::clone(&outcome.record);
        let keeping = tokio::task::spawn_blocking(move || store.record(&key, &record));
        if let Ok(Err(error)) = keeping.await {
            tracing::warn!(namespace = self.key.0, policy = self.key.1, %error, "decision not kept");
        }
    }
}

/// What a last look could not see, and why.
fn unread(what: &str, error: &kube::Error) -> Finding {
    let kind = kind::ACTUATED;
    match refusal(error) {
        ("Forbidden", why) => Finding::no(kind, "Forbidden", format!("{why}; {GRANT}")),
        _ => {
            let why = format!("{what} could not be read: {}", chain(error));
            Finding::no(kind, "APIServerUnavailable", why)
        }
    }
}

/// Why a policy that is bound is not all there, if so.
fn not_accepted(findings: &[Finding]) -> Option<&str> {
    let accepted = findings
        .iter()
        .find(|it| it.kind == kind::POLICY_ACCEPTED)?;
    (accepted.holds != Some(true)).then_some(accepted.message.as_str())
}

pub(super) fn up_to_date(seen: &Seen) -> Finding {
    let message = format!("{} replicas are what is wanted.", seen.wanted);
    Finding::yes(kind::ACTUATED, "UpToDate", message)
}
