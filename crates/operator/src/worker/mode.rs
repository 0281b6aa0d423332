//! What may be done about a target at this moment, and why not more.

use foreshard_api::annotation;
use foreshard_api::v1alpha1::{Mode, ScalingPolicy};
use foreshard_api::validated::ValidatedPolicy;
use kube::ResourceExt as _;

use super::memory::Memory;
use crate::shared::{Shared, Wait, is_same};
use crate::target::Seen;
use foreshard_controller::index::Key;

/// What may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) mode: Mode,
    /// Why it is not the one that the spec has: a condition's reason, and a sentence.
    pub(super) held: Option<(&'static str, String)>,
}

impl InForce {
    /// As the status shows it.
    pub(super) fn show(&self) -> String {
        match &self.held {
            None => self.mode.name().to_owned(),
            Some((reason, _)) => format!("{} ({reason})", self.mode.name()),
        }
    }
}

/// The mode in force. Conflicts hold only who would act: watching beside another autoscaler is what a policy begins with.
pub(super) fn in_force(
    shared: &Shared,
    key: &Key,
    object: &ScalingPolicy,
    policy: &ValidatedPolicy,
    seen: Option<&Seen>,
    memory: &mut Memory,
    now: i64,
) -> InForce {
    let mode = policy.replicas.mode;
    if mode == Mode::Observe {
        return InForce { mode, held: None };
    }
    let held = held(shared, key, object, policy, seen).or_else(|| {
        let contested = memory.contested(now)?;
        let minutes = (contested - now).max(60) / 60;
        let message = format!(
            "somebody else keeps changing the replicas of {}; nothing is done for {minutes} min: find out who, or set the mode to Observe",
            policy.target.show()
        );
        Some(("ScaledBySomebodyElse", message))
    });
    let held = held.or_else(|| {
        let (until, why) = memory.breaker.open(now)?;
        let message = format!(
            "actions failed, nothing is done for {} s: {why}",
            until - now
        );
        Some(("CircuitBreakerOpen", message))
    });
    InForce { mode, held }
}

fn held(
    shared: &Shared,
    key: &Key,
    object: &ScalingPolicy,
    policy: &ValidatedPolicy,
    seen: Option<&Seen>,
) -> Option<(&'static str, String)> {
    if let Some(wait @ Wait::Forbidden(_)) = shared.indexes.waits_for() {
        return Some((wait.reason(), wait.to_string()));
    }
    if shared.indexes.is_stopped() {
        let message = format!(
            "ConfigMap {} in namespace {} stops all acting",
            annotation::KILL_SWITCH,
            shared.namespace
        );
        return Some(("KillSwitch", message));
    }
    if annotation::is_paused(object.metadata.annotations.as_ref()) {
        return Some((
            "Paused",
            format!(
                "the annotation {} is set on this policy",
                annotation::PAUSED
            ),
        ));
    }
    if seen.is_some_and(|seen| seen.paused) {
        let message = format!(
            "the annotation {} is set on {}",
            annotation::PAUSED,
            policy.target.show()
        );
        return Some(("Paused", message));
    }
    if seen.is_some_and(|seen| seen.wanted == 0) {
        let message = format!(
            "{} was scaled to 0 replicas, and is left there: scale it to 1 or more to go on",
            policy.target.show()
        );
        return Some(("ScalingDisabled", message));
    }
    if let Some(name) = shared.indexes.autoscaler_of(&key.0, &policy.target) {
        let message = format!(
            "HorizontalPodAutoscaler {name} scales {} already: delete it, or set the mode to Observe",
            policy.target.show()
        );
        return Some(("HorizontalPodAutoscalerConflict", message));
    }
    if let Some(other) = older(shared, key, object, policy) {
        let message = format!(
            "ScalingPolicy {other} is older and has the same target: delete one of them, or set this one's mode to Observe"
        );
        return Some(("TargetConflict", message));
    }
    None
}

/// The name of an older policy on the same target that may act as well.
fn older(
    shared: &Shared,
    key: &Key,
    object: &ScalingPolicy,
    policy: &ValidatedPolicy,
) -> Option<String> {
    let age = |it: &ScalingPolicy| {
        let created = it.metadata.creation_timestamp.as_ref().map(|at| at.0);
        (created, it.name_any())
    };
    let own = age(object);
    let all = shared.indexes.policies.in_namespace(&key.0);
    let other = all.iter().find(|it| {
        let acts = it
            .spec
            .actions
            .iter()
            .any(|action| action.mode != Mode::Observe);
        let of = &it.spec.target_ref;
        let other = (of.api_version.as_str(), of.kind.as_str(), of.name.as_str());
        is_same(&policy.target, other) && acts && age(it) < own
    })?;
    Some(other.name_any())
}
