//! Carrying out what somebody approved.

use std::sync::Arc;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::ScalingRecommendation;
use foreshard_decide::{Clamp, Guard, PartExplanation};
use kube::ResourceExt as _;

use super::act::up_to_date;
use super::{Pass, Worker};
use crate::recommend;
use crate::target::Seen;

impl Worker {
    /// Carries out what somebody approved, within what the guardrails allow now.
    pub(super) async fn approved(
        &mut self,
        pass: &mut Pass,
        seen: &Seen,
        wanted: Option<u32>,
    ) -> Finding {
        let Some(approved) = self.newest_approval(pass.now) else {
            return wanted.map_or_else(|| up_to_date(seen), |count| self.asks(seen, count));
        };
        let name = approved.name_any();
        let (from, to) = step(&approved);
        let grows = to > from;
        if grows && let Some(freeze) = self.freezes_increases(pass.now) {
            return waits(&name, &format!("frozen by {freeze}"));
        }
        // Growing is what was approved, or what is needed by now; shrinking never goes below what is needed by now.
        let count = match wanted {
            _ if grows && seen.wanted < to => to.min(self.most()),
            Some(now) if to < from && now < seen.wanted => to.max(now).min(seen.wanted),
            _ => seen.wanted,
        };
        if count != seen.wanted {
            return self.scale(pass, seen, count, Some(&name)).await;
        }
        if let Some(why) = self.holds(grows, seen.wanted, to) {
            return waits(&name, &why);
        }
        let is_there = seen.wanted == to;
        let state = if is_there { "Applied" } else { "Superseded" };
        recommend::state(&self.shared, &approved, state).await;
        up_to_date(seen)
    }

    /// What keeps an approved step from being done for a while, though it is not done yet.
    fn holds(&self, grows: bool, current: u32, to: u32) -> Option<String> {
        if grows {
            let most = self.most();
            return (current < to && most <= current)
                .then(|| format!("no more than {most} replicas are allowed now"));
        }
        let clamp = self.part()?.clamps.last()?;
        (current > to && clamp.to >= current && passes_by(clamp)).then(|| clamp.reason.clone())
    }

    /// Says who has to approve what.
    fn asks(&self, seen: &Seen, count: u32) -> Finding {
        let name = self.memory.last_recommendation.clone().unwrap_or_default();
        let message = format!(
            "{} to {count} replicas waits until somebody approves scalingrecommendation {name}: kubectl foreshard approve {name} -n {}; docs/security.md says how with kubectl alone",
            seen.wanted, self.key.0
        );
        Finding::no(kind::ACTUATED, "WaitsForApproval", message)
    }

    /// The name of what forbids increases at `now`: an approval does not stand above it.
    fn freezes_increases(&self, now: i64) -> Option<String> {
        let freezes = &self.outcome.as_ref()?.record.rules.freezes;
        let now = now as f64;
        let mut holding = freezes
            .iter()
            .filter(|it| it.increases && it.start <= now && now < it.end);
        holding.next().map(|it| it.name.clone())
    }

    /// The most that is allowed at this moment.
    fn most(&self) -> u32 {
        let parts = self
            .outcome
            .as_ref()
            .map(|outcome| &outcome.record.context.parts);
        let replicas = parts
            .and_then(|parts| parts.first())
            .and_then(|part| part.replicas.as_ref());
        replicas.map_or(0, |it| it.max)
    }

    fn part(&self) -> Option<&PartExplanation> {
        self.outcome.as_ref()?.record.explanation.parts.first()
    }

    /// The newest recommendation of this policy that is approved, not void, and not done.
    fn newest_approval(&self, now: i64) -> Option<Arc<ScalingRecommendation>> {
        let all = self
            .shared
            .indexes
            .recommendations
            .in_namespace(&self.key.0);
        let own = all.into_iter().filter(|it| {
            let done = it
                .status
                .as_ref()
                .and_then(|status| status.state.as_deref());
            let approval = it.spec.approval.as_ref();
            it.spec.policy_name == self.key.1
                && matches!(done, None | Some("Pending"))
                && unix(&it.spec.expiry_time) > now
                && approval.is_some_and(|approval| {
                    approval.digest == it.spec.digest && unix(&approval.expiry_time) > now
                })
        });
        own.max_by_key(|it| unix(&it.spec.issued_time))
    }
}

/// The counts that the plan's first step goes from and to; none below zero.
fn step(approved: &ScalingRecommendation) -> (u32, u32) {
    let count = |value: i32| u32::try_from(value).unwrap_or(0);
    let first = approved.spec.plan.first();
    first.map_or((0, 0), |step| (count(step.from), count(step.to)))
}

fn waits(name: &str, why: &str) -> Finding {
    let message = format!("what was approved in {name} waits: {why}");
    Finding::no(kind::ACTUATED, "Paused", message)
}

/// Whether the guard will let go by itself; the others say that the replicas are needed.
fn passes_by(clamp: &Clamp) -> bool {
    match clamp.guard {
        Guard::Stabilization
        | Guard::Cooldown
        | Guard::StepLimit
        | Guard::Freeze
        | Guard::Freshness => true,
        Guard::Demotion | Guard::Floor | Guard::Budget | Guard::Bounds => false,
    }
}
