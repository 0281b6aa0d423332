//! Keeps one cluster: what all shards share, in the order in which Vitess needs it.

use std::sync::Arc;
use std::time::Duration;

use foreshard_api::condition::{Finding, is_true, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::vitess::Orphan;
use foreshard_api::v1alpha1::{KeyspaceShard, Vitess, VitessStatus};
use foreshard_controller::call::unix_now;
use foreshard_controller::index::Key;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use crate::apply::trouble;
use crate::cluster::certificates::Secrets;
use crate::cluster::endings::{KEYSPACE_LEAVES, leaves};
use crate::cluster::names::{PROMETHEUS, VTADMIN};
use crate::cluster::status::{self, GatesSeen, ShardSeen, Told};
use crate::cluster::wanted::Wanted;
use crate::shard::status::may_serve;
use crate::shared::Shared;
use crate::worker::{Pass, Passed};
use crate::workload;

mod beside;
mod endings;
mod gates;
mod keyspaces;
mod monitoring;
mod topology;
mod vtadmin;

/// Secrets are not watched; they are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// The same while something is not as it is wanted: a pod may wait for one that was deleted.
const LOOK_SOON: Duration = Duration::from_secs(20);

/// One cluster's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
    /// Once a keyspace is latched it stays so, also while a watch is behind.
    begun: Vec<String>,
    /// Of which generation Secrets were looked at, and when.
    secrets_looked: Option<(i64, Instant)>,
    /// Whether all was well after the last pass.
    is_settled: bool,
    /// The same of which cells know which keyspaces.
    spread_looked: Option<(i64, Instant)>,
    /// Of which generation what runs beside it was looked at, and when.
    beside_looked: Option<(i64, Instant)>,
}

/// What one pass is about.
struct Round<'a> {
    shared: &'a Shared,
    object: &'a Vitess,
    wanted: &'a Wanted,
    owner: &'a OwnerReference,
    /// Shards of the cluster, by the watch.
    shards: &'a [Arc<KeyspaceShard>],
}

/// What is waited for, before the rest can be done.
enum Step {
    Done,
    Waits(&'static str, String),
}

impl Worker {
    pub(crate) fn new(key: Key, shared: Arc<Shared>) -> Self {
        Self {
            key,
            shared,
            begun: Vec::new(),
            secrets_looked: None,
            is_settled: false,
            spread_looked: None,
            beside_looked: None,
        }
    }
}

impl Pass for Worker {
    async fn pass(&mut self) -> Passed {
        let shared = Arc::clone(&self.shared);
        let Some(object) = shared.clusters.get(&self.key.0, &self.key.1) else {
            return Passed::AsWanted;
        };
        if !shared.may_change(&*object) {
            return Passed::AsWanted;
        }
        let old = object.status.clone().unwrap_or_default();
        let now = time::from_unix(unix_now());
        let wanted = match Wanted::parse(&object) {
            Ok(wanted) => wanted,
            Err(invalid) => {
                let generation = object.metadata.generation.unwrap_or(0);
                let new = status::invalid(&old, generation, &invalid.to_string(), &now);
                self.write(&object, &old, &new).await;
                return Passed::AsWanted;
            }
        };
        let mut told = Told::default();
        let done = self.reconcile(&object, &wanted, &old, &mut told).await;
        if let Err(trouble) = &done {
            let (namespace, name) = (&self.key.0, &self.key.1);
            tracing::warn!(
                namespace,
                vitess = name,
                trouble = trouble.message,
                "pass failed"
            );
        }
        let new = status::status(&old, &wanted, &told, done.as_ref().err(), &now);
        if !self.write(&object, &old, &new).await {
            return Passed::Failed;
        }
        // After it is known: who is killed in between says nothing twice.
        self.tell_changes(&object, &old, &new).await;
        for keyspace in &told.forgotten {
            let said = format!(
                "Keyspace {keyspace} is no longer recorded. Volumes that are kept, and backups, stay."
            );
            shared
                .tell(&*object, EventType::Normal, "KeyspaceForgotten", said)
                .await;
        }
        if done.is_err() {
            self.is_settled = false;
            return Passed::Failed;
        }
        // Only what is written is relied on.
        self.begun.clone_from(&new.begun_keyspaces);
        let settled = [kind::READY, kind::SHARDS_READY, kind::VTGATES_READY];
        let settled = settled.iter().all(|kind| is_true(&new.conditions, kind));
        self.is_settled = settled && told.waits.is_none();
        if self.is_settled {
            Passed::AsWanted
        } else {
            Passed::Waits
        }
    }
}

impl Worker {
    async fn reconcile(
        &mut self,
        object: &Vitess,
        wanted: &Wanted,
        old: &VitessStatus,
        told: &mut Told,
    ) -> Result<(), Finding> {
        let shared = Arc::clone(&self.shared);
        let owner = workload::owner(object);
        let shards = shards(&shared, wanted);
        let round = Round {
            shared: &shared,
            object,
            wanted,
            owner: &owner,
            shards: &shards,
        };
        told.begun = union(&self.begun, &old.begun_keyspaces);
        told.ending.clone_from(&old.ending_keyspaces);
        let stay = shards.iter().filter(|it| !leaves(it));
        told.shards = stay.map(|it| ShardSeen::read(it)).collect();
        told.gates = round
            .gate_pools()
            .iter()
            .map(|it| GatesSeen::read(it))
            .collect();
        told.orphaned = orphaned(&round);
        let has_data = shards.iter().any(|it| ShardSeen::read(it).initialized);
        let step = self.steps(&round, old, told, has_data).await;
        if old.initialized == Some(true) && told.unanswered.is_none() {
            // Queries need neither etcd nor vtctld. Who cannot ask has said why already.
            let _ = round.ask_gates(told).await;
        }
        // Whatever the rest waits for, and nothing waits for it.
        let beside = self.beside(&round).await;
        let step = step?;
        beside?;
        let names = &wanted.names;
        told.waits = match step {
            Step::Waits(reason, said) => Some(Finding::yes(kind::PROGRESSING, reason, said)),
            Step::Done => round
                .beside(&names.prometheus(), PROMETHEUS)
                .or_else(|| round.beside(&names.vtadmin(), VTADMIN)),
        };
        Ok(())
    }

    /// Most of what runs beside is not watched: it is looked at now and then.
    async fn beside(&mut self, round: &Round<'_>) -> Result<(), Finding> {
        let generation = round.wanted.generation;
        if is_known(self.beside_looked, generation, LOOK_EVERY) {
            return Ok(());
        }
        round.monitor().await?;
        round.show().await?;
        self.beside_looked = Some((generation, Instant::now()));
        Ok(())
    }

    async fn steps(
        &mut self,
        round: &Round<'_>,
        old: &VitessStatus,
        told: &mut Told,
        has_data: bool,
    ) -> Result<Step, Finding> {
        if let Step::Waits(reason, said) = round.topology(told).await? {
            return Ok(Step::Waits(reason, said));
        }
        let every = if self.is_settled {
            LOOK_EVERY
        } else {
            LOOK_SOON
        };
        let generation = round.wanted.generation;
        if !is_known(self.secrets_looked, generation, every) {
            let secrets = Secrets {
                shared: round.shared,
                wanted: round.wanted,
                owner: round.owner,
                has_data,
            };
            if secrets.ensure().await?.is_none() {
                let name = round.wanted.names.authority();
                let said = format!("The TopoServer makes Secret {name}.");
                return Ok(Step::Waits("WaitsForAuthority", said));
            }
            self.secrets_looked = Some((generation, Instant::now()));
        }
        round
            .apply_shared()
            .await
            .map_err(|error| trouble(&error))?;
        if let Step::Waits(reason, said) = round.record(told).await? {
            return Ok(Step::Waits(reason, said));
        }
        if told
            .topology
            .as_ref()
            .is_some_and(|it| it.holds != Some(true))
        {
            return Ok(Step::Done);
        }
        // What keeps one from being forgotten keeps nothing else from being done.
        let ends = round.endings(told).await;
        round
            .keyspaces(told)
            .await
            .map_err(|error| trouble(&error))?;
        let all_initialized =
            !told.shards.is_empty() && told.shards.iter().all(|it| it.initialized);
        let all_seen = told.shards.len() >= round.wanted.spec.keyspaces.len();
        let has_served = old.initialized == Some(true);
        if !(has_served || all_initialized && all_seen) {
            let said = "Tablets start, and vtorc elects a primary for each shard.";
            return Ok(Step::Waits("WaitsForPrimaries", said.to_owned()));
        }
        if !(self.is_settled && is_known(self.spread_looked, generation, LOOK_EVERY)) {
            round.spread(told).await?;
            self.spread_looked = Some((generation, Instant::now()));
        }
        round.put_gates().await.map_err(|error| trouble(&error))?;
        round.drop_gates().await.map_err(|error| trouble(&error))?;
        round.ask_gates(told).await?;
        Ok(ends?.map_or(Step::Done, |said| Step::Waits(KEYSPACE_LEAVES, said)))
    }

    /// Writes a status that differs; answers whether it is there now.
    async fn write(&self, object: &Vitess, old: &VitessStatus, new: &VitessStatus) -> bool {
        old == new || self.shared.writers.cluster.status(object, new).await
    }

    async fn tell_changes(&self, object: &Vitess, old: &VitessStatus, new: &VitessStatus) {
        let kinds = [
            kind::READY,
            kind::TOPOLOGY_READY,
            kind::SHARDS_READY,
            kind::VTGATES_READY,
            kind::BACKUPS_HEALTHY,
            kind::STALLED,
        ];
        let (old, new) = (&old.conditions, &new.conditions);
        self.shared.tell_changes(object, &kinds, old, new).await;
    }
}

/// Whether something was looked at for this generation, and lately.
fn is_known(looked: Option<(i64, Instant)>, generation: i64, every: Duration) -> bool {
    looked.is_some_and(|(of, since)| of == generation && since.elapsed() < every)
}

fn union(one: &[String], other: &[String]) -> Vec<String> {
    let more = other.iter().filter(|it| !one.contains(it));
    one.iter().chain(more).cloned().collect()
}

/// The shards of a cluster, in the order of their names.
fn shards(shared: &Shared, wanted: &Wanted) -> Vec<Arc<KeyspaceShard>> {
    let all = shared.shards.in_namespace(&wanted.names.namespace);
    all.into_iter()
        .filter(|it| it.spec.vitess_name == wanted.names.name)
        .collect()
}

/// What the spec no longer names, and stays: nothing is taken away that may serve.
fn orphaned(round: &Round<'_>) -> Vec<Orphan> {
    let spec = &round.wanted.spec;
    let shards = round.shards.iter().filter(|it| !leaves(it));
    let shards = shards.filter_map(|it| {
        let keyspace = &it.spec.keyspace;
        let is_named = spec.keyspaces.iter().any(|named| named.name == *keyspace);
        (!is_named).then(|| Orphan {
            kind: "KeyspaceShard".to_owned(),
            name: it.name_any(),
            reason: "MayServe".to_owned(),
            message: may_serve(&round.wanted.names.name, keyspace),
        })
    });
    let pools = round.dropped_gates();
    let pools = pools.iter().filter(|it| it.spec.replicas != Some(0)).map(|it| Orphan {
        kind: "VTGatePool".to_owned(),
        name: it.name_any(),
        reason: "MayServe".to_owned(),
        message: format!(
            "Cell {} is no longer in the spec, and its gateways may serve: they are taken away once the pool is scaled to \
             0. Scale it, or name the cell again.",
            it.spec.cell
        ),
    });
    // As many as the status takes.
    shards.chain(pools).take(64).collect()
}
