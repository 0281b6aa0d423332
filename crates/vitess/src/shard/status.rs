//! What is told of a shard.

use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{KeyspaceShard, KeyspaceShardStatus, TabletPool};
use foreshard_vtctld::Shard;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::cluster::endings::{KEYSPACE_LEAVES, NOTHING_LEFT};
use crate::cluster::names::{ClusterNames, KEYSPACE, VITESS};
use crate::cluster::status::OTHERS_SERVE;
use crate::shard::turndown::{Dropped, Turndown};

/// What a status is told from.
#[derive(Default)]
pub(crate) struct Told {
    /// The shard's record; none: Vitess has none.
    pub(crate) record: Option<Shard>,
    /// Ready and wanted tablets.
    pub(crate) tablets: (i32, i32),
    /// Whether every pool has the pods that it should.
    pub(crate) is_complete: bool,
    /// The first pool that waits or is held, and why.
    pub(crate) pool: Option<String>,
    /// Pools that the spec no longer names.
    pub(crate) dropped: Vec<(String, Turndown)>,
    /// How far it has come, where the spec no longer names its keyspace.
    pub(crate) keyspace: Option<Dropped>,
    /// What is told of backups; none: there are none, or nobody could be asked.
    pub(crate) backups: Option<Finding>,
    /// Whether none are wanted.
    pub(crate) has_no_backups: bool,
    /// When the last backup was finished.
    pub(crate) last_backup: Option<i64>,
    /// Why nothing was asked.
    pub(crate) waits: Option<Finding>,
}

impl Told {
    /// Takes in the shard's pools.
    pub(crate) fn pools(&mut self, pools: &[impl AsRef<TabletPool>]) {
        self.is_complete = !pools.is_empty();
        for pool in pools.iter().map(AsRef::as_ref) {
            let status = pool.status.clone().unwrap_or_default();
            let wanted = pool.spec.replicas.unwrap_or(0);
            self.tablets.0 += status.ready_replicas.unwrap_or(0);
            self.tablets.1 += wanted;
            self.is_complete &= pool.spec.replicas.is_some() && status.replicas >= Some(wanted);
            let ready = status.conditions.iter().find(|it| it.type_ == kind::READY);
            let why = match ready {
                Some(ready) if ready.status == "True" => continue,
                Some(ready) => ready.message.clone(),
                None => "not looked at yet".to_owned(),
            };
            self.pool
                .get_or_insert(format!("TabletPool {}: {why}", pool.name_any()));
        }
    }

    /// Whether Vitess has lost what it knew.
    pub(crate) fn is_lost(&self, old: &KeyspaceShardStatus) -> bool {
        old.initialized == Some(true) && self.record.is_none() && self.waits.is_none()
    }
}

/// The status after a pass; `trouble` is why something could not be carried out.
pub(crate) fn status(
    names: &ClusterNames,
    shard: &KeyspaceShard,
    told: &Told,
    trouble: Option<&Finding>,
    now: &Time,
) -> KeyspaceShardStatus {
    let old = shard.status.clone().unwrap_or_default();
    let generation = shard.metadata.generation.unwrap_or(0);
    let goes = |of| leaves(shard, told, of);
    let ready = goes(kind::READY).unwrap_or_else(|| ready(&old, told));
    let mut findings = vec![ready, stalled(&old, shard, told)];
    if told.waits.is_none() {
        findings.push(goes(kind::SERVING).unwrap_or_else(|| serving(&old, told)));
    }
    findings.extend(told.backups.clone());
    findings.push(
        trouble
            .or(told.waits.as_ref())
            .cloned()
            .unwrap_or_else(|| progressing(shard, told)),
    );
    let mut conditions = condition::merge(&old.conditions, &findings, generation, now);
    conditions.retain(|it| !(told.has_no_backups && it.type_ == kind::BACKUPS_HEALTHY));
    let primary = told.record.as_ref().and_then(|it| it.primary.as_ref());
    let is_initialized = primary.is_some() && told.is_complete;
    KeyspaceShardStatus {
        observed_generation: Some(generation),
        shard: Some(shard.spec.key_range.to_string()),
        primary: match &told.waits {
            None => primary.map(|it| names.tablet(it.uid)),
            // What nobody can tell now is as it was told last.
            Some(_) => old.primary.clone(),
        },
        tablets_ready: Some(format!("{}/{}", told.tablets.0, told.tablets.1)),
        last_backup_time: match told.last_backup {
            Some(finished) => Some(time::from_unix(finished)),
            None => old.last_backup_time,
        },
        initialized: (old.initialized == Some(true) || is_initialized).then_some(true),
        conditions,
    }
}

fn progressing(shard: &KeyspaceShard, told: &Told) -> Finding {
    if let Some(leaves) = leaves(shard, told, kind::PROGRESSING) {
        return leaves;
    }
    let mut dropped = told.dropped.iter();
    let leaving = dropped.find(|(_, turndown)| *turndown != Turndown::Stays);
    match leaving {
        Some((pool, _)) => {
            let said = format!(
                "TabletPool {pool} is no longer in the spec: its tablets leave, and then it goes."
            );
            Finding::yes(kind::PROGRESSING, "PoolLeaves", said)
        }
        None => {
            let said = "Everything is as it is wanted.";
            Finding::no(kind::PROGRESSING, "AsWanted", said)
        }
    }
}

/// What is told of a shard that goes with its keyspace, once nobody is to serve in it.
fn leaves(shard: &KeyspaceShard, told: &Told, of: &'static str) -> Option<Finding> {
    let keyspace = &shard.spec.keyspace;
    let (reason, said) = match told.keyspace? {
        Dropped::MayServe => return None,
        Dropped::Leaves => {
            let pool = told.pool.as_deref().unwrap_or_default();
            let said = format!(
                "Keyspace {keyspace} is no longer in the spec, and nobody wants its tablets: they leave, the primary last. {pool}"
            );
            (KEYSPACE_LEAVES, said)
        }
        Dropped::Gone => {
            let said = format!("Nothing is left of it: keyspace {keyspace} is forgotten.");
            (NOTHING_LEFT, said)
        }
    };
    let said = said.trim().to_owned();
    Some(if of == kind::PROGRESSING {
        Finding::yes(of, reason, said)
    } else {
        Finding::no(of, reason, said)
    })
}

fn lost() -> String {
    "The topology does not know this shard any more, which had a primary. Nothing is made anew: bring the topology's \
     data back."
        .to_owned()
}

/// Why a keyspace stays that the spec no longer names, and what people can do.
pub(crate) fn may_serve(vitess: &str, keyspace: &str) -> String {
    format!(
        "Keyspace {keyspace} is no longer in the spec, and may serve: by turndownPolicy it is taken away once all of its \
         TabletPools are scaled to 0. Name it again, or scale them: kubectl scale tabletpools --replicas=0 \
         --selector={VITESS}={vitess},{KEYSPACE}={keyspace}"
    )
}

fn ready(old: &KeyspaceShardStatus, told: &Told) -> Finding {
    if told.is_lost(old) {
        return Finding::no(kind::READY, "TopologyLost", lost());
    }
    if let Some(waits) = &told.waits {
        return Finding::unknown(kind::READY, waits.reason, waits.message.clone());
    }
    let primary = told.record.as_ref().and_then(|it| it.primary.as_ref());
    if primary.is_none() {
        let said = "It has no primary yet: vtorc elects one among tablets that run.";
        let said = match &told.pool {
            Some(pool) => format!("{said} {pool}"),
            None => said.to_owned(),
        };
        return Finding::no(kind::READY, "NoPrimary", said);
    }
    match &told.pool {
        Some(pool) => Finding::no(kind::READY, "TabletsNotReady", pool.clone()),
        None => {
            let said = "It has a primary, and all of its tablets serve.";
            Finding::yes(kind::READY, "AllServe", said)
        }
    }
}

fn serving(old: &KeyspaceShardStatus, told: &Told) -> Finding {
    match &told.record {
        Some(record) if record.primary.is_none() => {
            Finding::no(kind::SERVING, "NoPrimary", "It has no primary.")
        }
        Some(record) if record.is_primary_serving => {
            Finding::yes(kind::SERVING, "Serves", "Its primary takes traffic.")
        }
        Some(_) => {
            let said = "Other shards hold its rows now, or still.";
            Finding::no(kind::SERVING, OTHERS_SERVE, said)
        }
        None if told.is_lost(old) => Finding::no(kind::SERVING, "TopologyLost", lost()),
        None => Finding::no(kind::SERVING, "NoPrimary", "No tablet has come up yet."),
    }
}

fn stalled(old: &KeyspaceShardStatus, shard: &KeyspaceShard, told: &Told) -> Finding {
    if told.is_lost(old) {
        return Finding::yes(kind::STALLED, "TopologyLost", lost());
    }
    if told.keyspace == Some(Dropped::MayServe) {
        let said = may_serve(&shard.spec.vitess_name, &shard.spec.keyspace);
        return Finding::yes(kind::STALLED, "KeyspaceOrphaned", said);
    }
    let mut dropped = told.dropped.iter();
    match dropped.find(|(_, turndown)| *turndown == Turndown::Stays) {
        Some((pool, _)) => {
            let said = format!(
                "TabletPool {pool} is no longer in the spec, and may serve: by turndownPolicy it is taken away once it is \
                 scaled to 0. Scale it, or name it again."
            );
            Finding::yes(kind::STALLED, "PoolOrphaned", said)
        }
        None => Finding::no(
            kind::STALLED,
            "NotStalled",
            "Nothing has to be done by hand.",
        ),
    }
}
