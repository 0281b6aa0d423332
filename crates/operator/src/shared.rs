//! What all workers share.

use std::sync::Arc;

use foreshard_api::annotation;
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{
    Counterfactual, Explanation, LoadEvent, Pause, ScalingOverride, ScalingPolicy,
    ScalingRecommendation, TargetRef,
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource as _, ResourceExt as _};
use tokio::sync::Semaphore;

use crate::advice::Board;
use crate::breaker::Slots;
use crate::metrics::Metrics;
use crate::modules::Modules;
use crate::publish::Publisher;
use crate::sources::Sources;
use crate::status::Drifts;
use crate::store::Store;
use crate::target::Targets;
use foreshard_controller::call::{Turn, in_time};
use foreshard_controller::error::chain;
use foreshard_controller::index::Index;
use foreshard_controller::lease::Claim;
use foreshard_controller::wakes::Wakes;

/// What all workers share.
pub(crate) struct Shared {
    /// To the API server.
    pub(crate) client: Client,
    /// The operator's own namespace.
    pub(crate) namespace: String,
    /// Who is to look again.
    pub(crate) wakes: Arc<Wakes>,
    /// Objects that are watched.
    pub(crate) indexes: Indexes,
    /// What is scaled.
    pub(crate) targets: Targets,
    /// Where load is asked for.
    pub(crate) sources: Arc<Sources>,
    /// Who decides.
    pub(crate) modules: Arc<Modules>,
    /// Whether this replica writes.
    pub(crate) claim: Claim,
    /// Targets that shrink at the same time.
    pub(crate) slots: Slots,
    /// Writes of drifting numbers.
    pub(crate) drifts: Drifts,
    /// Evaluations at the same time.
    pub(crate) evaluations: Arc<Semaphore>,
    /// Evaluations at the same time that fit models as well; fewer, so that others need not wait for them.
    pub(crate) fits: Arc<Semaphore>,
    /// Events.
    pub(crate) recorder: Recorder,
    /// The HTTP API.
    pub(crate) publisher: Publisher,
    /// The newest decision of each policy, for those who act themselves.
    pub(crate) board: Board,
    /// What outlives the process.
    pub(crate) store: Store,
    /// Our own metrics.
    pub(crate) metrics: Metrics,
}

/// What decisions rest on and is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wait {
    /// It is being read for the first time.
    #[error("{0} were not read yet")]
    NotRead(&'static str),
    /// The API server does not let us read it; its words name verb and resource.
    #[error("{0}; {GRANT}")]
    Forbidden(String),
}

/// What to do about a right that is missing.
pub(crate) const GRANT: &str = "grant it with the ClusterRole that is described in docs/rbac.md";

impl Wait {
    /// The condition's reason.
    #[must_use]
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotRead(_) => "Starting",
            Self::Forbidden(_) => "Forbidden",
        }
    }
}

/// Whether a target is the object of this version, kind and name. A group may serve several versions of one object.
pub(crate) fn is_same(target: &TargetRef, other: (&str, &str, &str)) -> bool {
    fn group(version: &str) -> &str {
        version.split_once('/').map_or("", |(group, _)| group)
    }
    let (version, kind, name) = other;
    target.kind == kind && target.name == name && group(&target.api_version) == group(version)
}

/// Objects that are watched.
pub(crate) struct Indexes {
    /// Policies.
    pub(crate) policies: Arc<Index<ScalingPolicy>>,
    /// Overrides.
    pub(crate) overrides: Arc<Index<ScalingOverride>>,
    /// Events to come.
    pub(crate) events: Arc<Index<LoadEvent>>,
    /// Recommendations, without their explanations.
    pub(crate) recommendations: Arc<Index<ScalingRecommendation>>,
    /// Other autoscalers.
    pub(crate) autoscalers: Arc<Index<HorizontalPodAutoscaler>>,
    /// The kill switch alone.
    pub(crate) kill_switch: Arc<Index<ConfigMap>>,
}

impl Indexes {
    /// Nothing is known yet; whoever something may matter to is woken by `wakes`.
    #[must_use]
    pub(crate) fn new(wakes: &Arc<Wakes>) -> Self {
        let wakes = || Arc::clone(wakes);
        let (own, overrides, events, approvals, others, switch) =
            (wakes(), wakes(), wakes(), wakes(), wakes(), wakes());
        Self {
            policies: Index::new(
                |old, new| {
                    old.spec != new.spec || old.metadata.annotations != new.metadata.annotations
                },
                |_| {},
                move |key, _| own.ring(key),
            ),
            overrides: Index::new(
                |old, new| old.spec != new.spec,
                |_| {},
                move |key, it| overrides.ring(&(key.0.clone(), it.spec.policy_name.clone())),
            ),
            events: Index::new(
                |old, new| old.spec != new.spec,
                |_| {},
                move |key, _| events.namespace(&key.0),
            ),
            recommendations: Index::new(
                |old, new| old.spec.approval != new.spec.approval,
                |object| {
                    object.spec.explanation = Explanation::default();
                    object.spec.counterfactual = Counterfactual::default();
                    if let Some(status) = &mut object.status {
                        status.conditions.clear();
                    }
                },
                move |key, it| {
                    // One that is new was made by ourselves.
                    if it.spec.approval.is_some() {
                        approvals.ring(&(key.0.clone(), it.spec.policy_name.clone()));
                    }
                },
            ),
            autoscalers: Index::new(
                |old, new| old.spec != new.spec,
                |object| {
                    object.status = None;
                    object.metadata.annotations = None;
                },
                move |key, _| others.namespace(&key.0),
            ),
            kill_switch: Index::new(
                |old, new| old.data != new.data,
                |_| {},
                move |_, _| switch.all(),
            ),
        }
    }

    /// What decisions rest on and is not known; a right that is missing comes first.
    #[must_use]
    pub(crate) fn waits_for(&self) -> Option<Wait> {
        let refused = self.refused().map(Wait::Forbidden);
        let all = [
            ("scalingpolicies", self.policies.is_synced()),
            ("scalingoverrides", self.overrides.is_synced()),
            ("loadevents", self.events.is_synced()),
            ("scalingrecommendations", self.recommendations.is_synced()),
            ("horizontalpodautoscalers", self.autoscalers.is_synced()),
            ("the kill switch", self.kill_switch.is_synced()),
        ];
        let unread = || all.into_iter().find(|(_, synced)| !synced);
        refused.or_else(|| unread().map(|(what, _)| Wait::NotRead(what)))
    }

    /// What we may not read, in the API server's words.
    fn refused(&self) -> Option<String> {
        let rest = || {
            self.recommendations
                .refused()
                .or(self.kill_switch.refused())
        };
        let orders = || self.overrides.refused().or(self.events.refused());
        let refused = self.policies.refused().or(self.autoscalers.refused());
        refused.or_else(orders).or_else(rest)
    }

    /// Name of the HorizontalPodAutoscaler that scales the target, and whether KEDA made it.
    #[must_use]
    pub(crate) fn autoscaler_of(&self, namespace: &str, target: &TargetRef) -> Option<String> {
        let all = self.autoscalers.in_namespace(namespace);
        let own = all.iter().find(|it| {
            let Some(spec) = &it.spec else { return false };
            let of = &spec.scale_target_ref;
            is_same(
                target,
                (
                    of.api_version.as_deref().unwrap_or_default(),
                    &of.kind,
                    &of.name,
                ),
            )
        })?;
        Some(own.name_any())
    }

    /// The override that pauses the policy in this direction at `now`, in Unix seconds.
    #[must_use]
    pub(crate) fn pause(
        &self,
        namespace: &str,
        policy: &str,
        grows: bool,
        now: i64,
    ) -> Option<String> {
        let holds = |it: &&Arc<ScalingOverride>| {
            let forbids = match it.spec.pause {
                Pause::None => false,
                Pause::ScaleUp => grows,
                Pause::ScaleDown => !grows,
                Pause::Both => true,
            };
            forbids && it.spec.policy_name == policy && now < unix(&it.spec.expiry_time)
        };
        let all = self.overrides.in_namespace(namespace);
        all.iter().find(holds).map(|it| it.name_any())
    }

    /// Whether acting is stopped for all.
    #[must_use]
    pub(crate) fn is_stopped(&self) -> bool {
        self.kill_switch.all().iter().any(|(_, it)| stops(it))
    }
}

fn stops(kill_switch: &ConfigMap) -> bool {
    let data = kill_switch.data.as_ref();
    let value = data.and_then(|data| data.get("paused"));
    value.is_some_and(|value| value.trim() == "true")
}

/// The API server takes 1024 bytes of a note.
pub(crate) fn short(mut note: String) -> String {
    note.truncate(note.floor_char_boundary(1000));
    note
}

impl Shared {
    /// Whether acting is stopped for all, by the API server's own word: a watch may hang without anybody noticing.
    pub(crate) async fn is_stopped_now(&self, turn: &Turn) -> kube::Result<bool> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = turn.in_time(api.get_opt(annotation::KILL_SWITCH)).await?;
        Ok(found.is_some_and(|it| stops(&it)))
    }

    /// Tells people of a change, on the policy. Events that cannot be written are only logged.
    pub(crate) async fn tell(
        &self,
        policy: &ScalingPolicy,
        kind: EventType,
        reason: &str,
        note: String,
    ) {
        if !self.claim.holds() {
            return;
        }
        let note = short(note);
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            // Events that differ in their note alone would be counted as one, with the note of the first.
            action: format!("Scaling {}", &foreshard_api::sha256(note.as_bytes())[7..15]),
            note: Some(note),
            secondary: None,
        };
        let about = policy.object_ref(&());
        if let Err(error) = in_time(self.recorder.publish(&event, &about)).await {
            tracing::warn!(error = chain(&error), reason, "event not written");
        }
    }
}
