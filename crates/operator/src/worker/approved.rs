//! Carrying out what somebody approved.

use std::sync::Arc;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::time::{self, unix};
use foreshard_api::v1alpha1::{Mode, ScalingPolicy, ScalingRecommendation};
use foreshard_decide::{Clamp, Guard, PartExplanation};
use kube::{Resource as _, ResourceExt as _};

use super::act::up_to_date;
use super::{Pass, Worker};
use crate::recommend;
use crate::recommendation::{PER_HOUR_MAX, Recorded, digest, plan};
use crate::target::Seen;

impl Worker {
    /// Carries out what somebody approved, within what the guardrails allow now.
    pub(super) async fn approved(
        &mut self,
        pass: &mut Pass,
        seen: &Seen,
        wanted: Option<u32>,
    ) -> Finding {
        let Some(approved) = self.newest_approval(pass) else {
            return wanted.map_or_else(|| up_to_date(seen), |count| self.asks(pass, seen, count));
        };
        let name = approved.name_any();
        let (from, to) = step(&approved);
        let grows = to > from;
        if grows && let Some(freeze) = self.freezes_increases(pass.now) {
            return waits(&name, &format!("frozen by {freeze}"));
        }
        // Growing is what was approved, or what is needed by now; shrinking never goes below what is needed by now.
        let count = match wanted {
            _ if grows && seen.wanted < to => to.min(self.most()).max(seen.wanted),
            Some(now) if to < from && now < seen.wanted => to.max(now).min(seen.wanted),
            _ => seen.wanted,
        };
        if count != seen.wanted {
            let finding = self.scale(pass, seen, count, Some(&name)).await;
            // What a guardrail still holds back of it is done later.
            if finding.holds == Some(true) && count == to {
                recommend::state(&self.shared, &approved, "Applied").await;
            }
            return finding;
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
    fn asks(&self, pass: &Pass, seen: &Seen, count: u32) -> Finding {
        let what = format!("{} to {count} replicas waits", seen.wanted);
        // The watch has not seen yet what was recorded in this pass.
        let made = pass.recommendation.clone();
        let recorded = made.or_else(|| self.recorded(pass));
        let recorded = recorded.map(|it| it.name_any());
        let message = match (recorded, self.memory.ration.next()) {
            (Some(name), _) => format!(
                "{what} until somebody approves scalingrecommendation {name}: kubectl foreshard approve {name} -n {}; docs/security.md says how with kubectl alone",
                self.key.0
            ),
            (None, Some(next)) => format!(
                "{what} to be recommended, since there were {PER_HOUR_MAX} recommendations in an hour: the next one comes after {}",
                time::from_unix(next).0
            ),
            (None, None) => format!("{what} to be recommended"),
        };
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

    /// The newest recommendation of this policy that was approved, unless it is done or void: those before it are void.
    fn newest_approval(&self, pass: &Pass) -> Option<Arc<ScalingRecommendation>> {
        let own = self.recommendations(&pass.object).into_iter();
        own.filter(|it| is_approved(it, pass.now))
            .max_by_key(|it| unix(&it.spec.issued_time))
            .filter(|newest| is_pending(newest))
    }

    /// The recommendation that stands for what was just decided, whichever replica has recorded it.
    pub(super) fn recorded(&self, pass: &Pass) -> Option<Arc<ScalingRecommendation>> {
        let part = self.part().filter(|part| part.wanted != part.before)?;
        let digest = digest(&pass.policy.target, &plan(part));
        standing(self.recommendations(&pass.object), &digest, pass.now)
    }

    /// Counts what is there in the ration, once.
    pub(super) fn seed_ration(&mut self, pass: &Pass) {
        if self.memory.ration.is_seeded() {
            return;
        }
        let own = self.recommendations(&pass.object).into_iter();
        let own = own.map(|it| {
            let step = it.spec.plan.first();
            Recorded {
                at: unix(&it.spec.issued_time),
                to: step.and_then(|step| u32::try_from(step.to).ok()),
                mode: it.spec.mode,
                name: it.name_any(),
            }
        });
        self.memory.ration.seed(pass.now, own);
    }

    /// All that were made for this policy.
    fn recommendations(&self, policy: &ScalingPolicy) -> Vec<Arc<ScalingRecommendation>> {
        let (namespace, name) = &self.key;
        let index = &self.shared.indexes.recommendations;
        let mut all = index.begin_with(namespace, &recommend::prefix(name));
        all.retain(|it| is_of(it, policy));
        all
    }
}

/// The newest of those with this plan that may still be carried out.
fn standing(
    all: Vec<Arc<ScalingRecommendation>>,
    digest: &str,
    now: i64,
) -> Option<Arc<ScalingRecommendation>> {
    let same = all.into_iter().filter(|it| {
        it.spec.digest == digest && unix(&it.spec.expiry_time) > now && is_pending(it)
    });
    same.max_by_key(|it| unix(&it.spec.issued_time))
}

/// Whether nothing has become of it yet.
fn is_pending(it: &ScalingRecommendation) -> bool {
    let state = it
        .status
        .as_ref()
        .and_then(|status| status.state.as_deref());
    matches!(state, None | Some("Pending"))
}

/// Whether it was made for this very policy: not for one of the same name, or for another target, before it.
fn is_of(it: &ScalingRecommendation, policy: &ScalingPolicy) -> bool {
    let owners = it.metadata.owner_references.as_deref().unwrap_or_default();
    it.spec.policy_name == policy.name_any()
        && it.spec.target_ref == policy.spec.target_ref
        && owners.iter().all(|owner| {
            owner.kind != ScalingPolicy::kind(&())
                || Some(&owner.uid) == policy.metadata.uid.as_ref()
        })
}

/// Whether somebody has approved this plan, and it may still be carried out at `now`.
fn is_approved(it: &ScalingRecommendation, now: i64) -> bool {
    let approval = it.spec.approval.as_ref();
    it.spec.mode == Mode::Approve
        && unix(&it.spec.expiry_time) > now
        && approval.is_some_and(|approval| {
            approval.digest == it.spec.digest && unix(&approval.expiry_time) > now
        })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(name: &str, digest: &str, state: &str, minute: u32) -> Arc<ScalingRecommendation> {
        let object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation", "metadata": {"name": name},
            "spec": {
                "policyName": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "mode": "Approve", "issuedTime": format!("2026-07-03T10:{minute:02}:00Z"),
                "expiryTime": format!("2026-07-03T10:{:02}:00Z", minute + 30),
                "plan": [{"type": "Replicas", "from": 3, "to": 9, "reason": "load"}], "digest": digest,
                "explanation": {"summary": "load"}, "counterfactual": {"replicas": 3, "summary": "plain HPA"},
            },
            "status": {"state": state},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_decision_is_told_with_the_object_of_the_same_plan() {
        let all = || {
            vec![
                made("web-1", "sha256:1", "Pending", 0),
                made("web-2", "sha256:1", "Pending", 5),
                made("web-3", "sha256:1", "Applied", 6),
                made("web-4", "sha256:2", "Pending", 7),
            ]
        };
        let minute = |minute: i64| unix(&all()[0].spec.issued_time) + minute * 60;
        let found = |digest, now| standing(all(), digest, now).map(|it| it.name_any());
        assert_eq!(found("sha256:1", minute(10)), Some("web-2".to_owned()));
        assert_eq!(found("sha256:2", minute(10)), Some("web-4".to_owned()));
        assert_eq!(found("sha256:3", minute(10)), None);
        assert_eq!(found("sha256:1", minute(36)), None, "expired");
    }
}
