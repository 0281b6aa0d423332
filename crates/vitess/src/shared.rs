//! What all workers share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use foreshard_api::annotation;
use foreshard_api::v1alpha1::{KeyspaceShard, TabletPool, TopoServer, VTGatePool, Vitess};
use foreshard_controller::call::in_time;
use foreshard_controller::error::{chain, refusal};
use foreshard_controller::index::{Index, Key};
use foreshard_controller::lease::Claim;
use foreshard_controller::wakes::Wakes;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Api;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource, ResourceExt as _};

use crate::apply::Writer;
use crate::cluster::reach::Ways;
use crate::metrics::Metrics;
use crate::names::Addresses;

/// What all workers share.
pub(crate) struct Shared {
    /// To the API server.
    pub(crate) client: Client,
    /// The operator's own namespace.
    pub(crate) namespace: String,
    /// Whether this replica writes.
    pub(crate) claim: Claim,
    /// The only way by which objects of TopoServers are written.
    pub(crate) writer: Writer,
    /// The same for the other kinds.
    pub(crate) writers: Writers,
    /// How members of etcd are reached.
    pub(crate) addresses: Arc<dyn Addresses>,
    /// How vtctlds and gateways are reached.
    pub(crate) ways: Ways,
    /// Whose turn it is in a shard.
    pub(crate) turns: Turns,
    /// Events.
    pub(crate) recorder: Recorder,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Who is to look again.
    pub(crate) wakes: AllWakes,
    /// Objects that say what is wanted.
    pub(crate) topo_servers: Arc<Index<TopoServer>>,
    /// Whole clusters.
    pub(crate) clusters: Arc<Index<Vitess>>,
    /// Shards that exist.
    pub(crate) shards: Arc<Index<KeyspaceShard>>,
    /// Pools of tablets.
    pub(crate) tablet_pools: Arc<Index<TabletPool>>,
    /// Pools of gateways.
    pub(crate) gate_pools: Arc<Index<VTGatePool>>,
    /// Pods of members and tablets.
    pub(crate) pods: Arc<Index<Pod>>,
    /// Volumes of members and tablets.
    pub(crate) claims: Arc<Index<PersistentVolumeClaim>>,
    /// What runs beside tablets.
    pub(crate) deployments: Arc<Index<Deployment>>,
    /// Those that make backups.
    pub(crate) jobs: Arc<Index<Job>>,
    /// Services.
    pub(crate) services: Arc<Index<Service>>,
    /// Disruption budgets.
    pub(crate) budgets: Arc<Index<PodDisruptionBudget>>,
    /// Who may reach whom.
    pub(crate) policies: Arc<Index<NetworkPolicy>>,
}

/// One pool of a shard at a time looks whether a tablet may go, and has it go.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<Key, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn of a pool of this shard, which ends with the guard.
    pub(crate) async fn of(&self, shard: Key) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(all.entry(shard).or_default())
        };
        turn.lock_owned().await
    }
}

/// One for each controller: each owns the fields that it writes.
pub(crate) struct Writers {
    pub(crate) cluster: Writer,
    pub(crate) shard: Writer,
    pub(crate) tablet_pool: Writer,
    pub(crate) gate_pool: Writer,
    /// Replicas that a pool starts with: set once, and then left to whoever scales.
    pub(crate) initial: Writer,
}

/// Bells by kind.
#[derive(Clone, Default)]
pub(crate) struct AllWakes {
    pub(crate) topo_servers: Arc<Wakes>,
    pub(crate) clusters: Arc<Wakes>,
    pub(crate) shards: Arc<Wakes>,
    pub(crate) tablet_pools: Arc<Wakes>,
    pub(crate) gate_pools: Arc<Wakes>,
}

impl AllWakes {
    /// Everyone looks again.
    pub(crate) fn all(&self) {
        for wakes in [
            &self.topo_servers,
            &self.clusters,
            &self.shards,
            &self.tablet_pools,
            &self.gate_pools,
        ] {
            wakes.all();
        }
    }
}

impl Shared {
    /// What was not read yet: nothing is decided before it was.
    pub(crate) fn waits_for(&self) -> Option<&'static str> {
        let all = [
            ("toposervers", self.topo_servers.is_synced()),
            ("vitesses", self.clusters.is_synced()),
            ("keyspaceshards", self.shards.is_synced()),
            ("tabletpools", self.tablet_pools.is_synced()),
            ("vtgatepools", self.gate_pools.is_synced()),
            ("pods", self.pods.is_synced()),
            ("persistentvolumeclaims", self.claims.is_synced()),
            ("deployments", self.deployments.is_synced()),
            ("jobs", self.jobs.is_synced()),
            ("services", self.services.is_synced()),
            ("poddisruptionbudgets", self.budgets.is_synced()),
            ("networkpolicies", self.policies.is_synced()),
        ];
        let waiting = all.into_iter().find(|(_, synced)| !synced);
        waiting.map(|(what, _)| what)
    }

    /// Whether anything may be done for an object: it is not being deleted nor paused, and this replica writes.
    pub(crate) fn may_change<K: Resource>(&self, object: &K) -> bool {
        let meta = object.meta();
        meta.deletion_timestamp.is_none()
            && self.claim.holds()
            && !annotation::is_paused(meta.annotations.as_ref())
    }

    /// A Secret by its name; Secrets are never listed. The error says what was refused.
    pub(crate) async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Secret>, String> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        in_time(api.get_opt(name)).await.map_err(|error| {
            let (_, said) = refusal(&error);
            format!("Secret {name} cannot be read: {said}")
        })
    }

    /// Tells people of a change. Events that cannot be written are only logged.
    pub(crate) async fn tell<K>(&self, about: &K, kind: EventType, reason: &str, note: String)
    where
        K: Resource<DynamicType = ()>,
    {
        if !self.claim.holds() {
            return;
        }
        tracing::info!(
            namespace = about.namespace(),
            kind = %K::kind(&()),
            name = about.name_any(),
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

    /// Events on those of some types of conditions that flipped.
    pub(crate) async fn tell_changes<K>(
        &self,
        about: &K,
        kinds: &[&'static str],
        old: &[Condition],
        new: &[Condition],
    ) where
        K: Resource<DynamicType = ()>,
    {
        for kind in kinds {
            let find = |all: &[Condition]| all.iter().find(|it| it.type_ == *kind).cloned();
            let Some(now) = find(new) else { continue };
            let before = find(old);
            let flipped = before
                .as_ref()
                .is_none_or(|it| (&it.status, &it.reason) != (&now.status, &now.reason));
            // The first "not yet" is no news.
            let is_news = before.is_some() || now.status == "True";
            let is_stalled = *kind == foreshard_api::condition::kind::STALLED;
            let is_bad = is_stalled == (now.status == "True");
            if !flipped || !is_news || (is_stalled && before.is_none() && !is_bad) {
                continue;
            }
            let event = if is_bad {
                EventType::Warning
            } else {
                EventType::Normal
            };
            self.tell(about, event, &now.reason, now.message.clone())
                .await;
        }
    }
}
