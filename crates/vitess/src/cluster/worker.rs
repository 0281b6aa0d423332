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
use tokio::time::Instant;

use crate::apply::trouble;
use crate::cluster::certificates::Secrets;
use crate::cluster::status::{self, GatesSeen, ShardSeen, Told};
use crate::cluster::wanted::Wanted;
use crate::shared::Shared;
use crate::worker::{Pass, Passed};
use crate::workload;

mod gates;
mod keyspaces;
mod monitoring;
mod topology;

/// Secrets are not watched; they are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// One cluster's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
    /// Once a keyspace is latched it stays so, also while a watch is behind.
    begun: Vec<String>,
    secrets_looked: Option<Instant>,
    /// Of which generation its Prometheus was looked at, and when.
    monitored: Option<(i64, Instant)>,
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
            monitored: None,
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
        if done.is_err() {
            return Passed::Failed;
        }
        // Only what is written is relied on.
        self.begun.clone_from(&new.begun_keyspaces);
        let settled = [kind::READY, kind::SHARDS_READY, kind::VTGATES_READY];
        let settled = settled.iter().all(|kind| is_true(&new.conditions, kind));
        if settled && told.waits.is_none() {
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
        told.begun.clone_from(&self.begun);
        for name in &old.begun_keyspaces {
            if !told.begun.contains(name) {
                told.begun.push(name.clone());
            }
        }
        told.shards = shards.iter().map(|it| ShardSeen::read(it)).collect();
        told.gates = round
            .gate_pools()
            .iter()
            .map(|it| GatesSeen::read(it))
            .collect();
        told.orphaned = orphaned(&round);
        let has_data = told.shards.iter().any(|it| it.initialized);
        let step = self.steps(&round, old, told, has_data).await;
        // Whatever the rest waits for, and nothing waits for it.
        let monitored = self.monitor(&round).await;
        let step = step?;
        monitored?;
        if let Step::Waits(reason, said) = step {
            told.waits = Some(Finding::yes(kind::PROGRESSING, reason, said));
        }
        Ok(())
    }

    async fn monitor(&mut self, round: &Round<'_>) -> Result<(), Finding> {
        let generation = round.wanted.generation;
        let is_known = self
            .monitored
            .is_some_and(|(of, since)| of == generation && since.elapsed() < LOOK_EVERY);
        if is_known {
            return Ok(());
        }
        round.monitor().await?;
        self.monitored = Some((generation, Instant::now()));
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
        let looked = self
            .secrets_looked
            .is_some_and(|it| it.elapsed() < LOOK_EVERY);
        if !looked {
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
            self.secrets_looked = Some(Instant::now());
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
        round.put_gates().await.map_err(|error| trouble(&error))?;
        round.drop_gates().await.map_err(|error| trouble(&error))?;
        round.ask_gates(told).await?;
        Ok(Step::Done)
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
    let orphan = |kind: &str, name: String, what: String| Orphan {
        kind: kind.to_owned(),
        name,
        reason: "StillThere".to_owned(),
        message: format!(
            "{what} is no longer in the spec, and is not taken away by this version. Name it again, or keep it."
        ),
    };
    let shards = round.shards.iter().filter_map(|it| {
        let keyspace = &it.spec.keyspace;
        let is_named = spec.keyspaces.iter().any(|named| named.name == *keyspace);
        let what = format!("Keyspace {keyspace}");
        (!is_named).then(|| orphan("KeyspaceShard", it.name_any(), what))
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
