//! What all workers share.

use std::sync::Arc;

use foreshard_api::v1alpha1::TopoServer;
use foreshard_controller::call::in_time;
use foreshard_controller::error::chain;
use foreshard_controller::index::Index;
use foreshard_controller::lease::Claim;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource as _, ResourceExt as _};

use crate::apply::Writer;
use crate::names::{Addresses, TOPO_SERVER};
use foreshard_controller::wakes::Wakes;

/// What all workers share.
pub(crate) struct Shared {
    /// To the API server.
    pub(crate) client: Client,
    /// Whether this replica writes.
    pub(crate) claim: Claim,
    /// The only way by which objects are written.
    pub(crate) writer: Writer,
    /// How members are reached.
    pub(crate) addresses: Arc<dyn Addresses>,
    /// Events.
    pub(crate) recorder: Recorder,
    /// Who is to look again.
    pub(crate) wakes: Arc<Wakes>,
    /// Objects that say what is wanted.
    pub(crate) topo_servers: Arc<Index<TopoServer>>,
    /// Pods of members.
    pub(crate) pods: Arc<Index<Pod>>,
    /// Volumes of members.
    pub(crate) claims: Arc<Index<PersistentVolumeClaim>>,
    /// Services.
    pub(crate) services: Arc<Index<Service>>,
    /// Disruption budgets.
    pub(crate) budgets: Arc<Index<PodDisruptionBudget>>,
}

impl Shared {
    /// What was not read yet: nothing is decided before it was.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        let all = [
            ("toposervers", self.topo_servers.is_synced()),
            ("pods", self.pods.is_synced()),
            ("persistentvolumeclaims", self.claims.is_synced()),
            ("services", self.services.is_synced()),
            ("poddisruptionbudgets", self.budgets.is_synced()),
        ];
        let waiting = all.into_iter().find(|(_, synced)| !synced);
        waiting.map(|(what, _)| what)
    }

    /// Tells people of a change. Events that cannot be written are only logged.
    pub(crate) async fn tell(
        &self,
        about: &TopoServer,
        kind: EventType,
        reason: &str,
        note: String,
    ) {
        if !self.claim.holds() {
            return;
        }
        tracing::info!(
            namespace = about.namespace(),
            toposerver = about.name_any(),
            reason,
            note
        );
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = in_time(self.recorder.publish(&event, &about.object_ref(&()))).await {
            tracing::warn!(error = chain(&error), reason, "event not written");
        }
    }
}

/// An index of what members are made of; changes ring the cluster that they belong to.
pub(crate) fn members<K>(wakes: &Arc<Wakes>, differ: fn(&K, &K) -> bool) -> Arc<Index<K>>
where
    K: foreshard_controller::index::Watched,
{
    let wakes = Arc::clone(wakes);
    Index::new(
        differ,
        |_| {},
        move |key, object: &K| {
            if let Some(of) = object.labels().get(TOPO_SERVER) {
                wakes.ring(&(key.0.clone(), of.clone()));
            }
        },
    )
}
