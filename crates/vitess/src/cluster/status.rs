//! What is told of a cluster. It follows from what was observed and what was planned, and from nothing else.

use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::v1alpha1::vitess::Orphan;
use foreshard_api::v1alpha1::{KeyspaceShard, VTGatePool, VitessStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use crate::cluster::wanted::Wanted;

/// What a status is told from.
#[derive(Default)]
pub(crate) struct Told {
    /// Of the topology; none: it was not asked.
    pub(crate) topology: Option<Finding>,
    /// Cells and keyspaces that are recorded.
    pub(crate) recorded: Option<(usize, usize)>,
    /// Keyspaces whose first shards were made.
    pub(crate) begun: Vec<String>,
    /// Keyspaces that are being forgotten.
    pub(crate) ending: Vec<String>,
    /// Those of which this pass took away the last.
    pub(crate) forgotten: Vec<String>,
    /// Shards that exist, without those that go with their keyspace.
    pub(crate) shards: Vec<ShardSeen>,
    /// Pools of gateways.
    pub(crate) gates: Vec<GatesSeen>,
    /// Of queries through a gateway: shard and why it did not answer. None: nothing was asked.
    pub(crate) unanswered: Option<Vec<(String, String)>>,
    /// What is no longer wanted.
    pub(crate) orphaned: Vec<Orphan>,
    /// What was waited for, as the rest was done.
    pub(crate) waits: Option<Finding>,
}

/// A shard as its own controller tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardSeen {
    pub(crate) name: String,
    /// Ready and wanted tablets.
    pub(crate) tablets: (i32, i32),
    /// Whether it had a primary, and all its volumes, once.
    pub(crate) initialized: bool,
    pub(crate) is_ready: bool,
    /// Why not.
    pub(crate) message: String,
    /// Whether other shards hold its rows, so that nobody asks it.
    pub(crate) is_idle: bool,
    /// Whether its backups are as they should be, and what is told of them; none: nothing is.
    pub(crate) backups: Option<(bool, String)>,
}

/// A cell's gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatesSeen {
    pub(crate) cell: String,
    pub(crate) is_ready: bool,
    pub(crate) message: String,
}

/// Reason of a shard that serves nothing as others do in its place.
pub(crate) const OTHERS_SERVE: &str = "OthersServe";

impl ShardSeen {
    pub(crate) fn read(shard: &KeyspaceShard) -> Self {
        let status = shard.status.clone().unwrap_or_default();
        let ready = find(&status.conditions, kind::READY);
        let serving = find(&status.conditions, kind::SERVING);
        let tablets = status.tablets_ready.as_deref().unwrap_or("0/0");
        let tablets = tablets.split_once('/');
        let count = |text: &str| text.parse().unwrap_or(0);
        let backups = find(&status.conditions, kind::BACKUPS_HEALTHY);
        Self {
            name: shard.name_any(),
            backups: backups.map(|it| (it.status == "True", it.message.clone())),
            tablets: tablets.map_or((0, 0), |(ready, all)| (count(ready), count(all))),
            initialized: status.initialized == Some(true),
            is_ready: ready.is_some_and(|it| it.status == "True"),
            message: ready.map_or_else(|| "not looked at yet".to_owned(), |it| it.message.clone()),
            is_idle: serving.is_some_and(|it| it.status == "False" && it.reason == OTHERS_SERVE),
        }
    }
}

impl GatesSeen {
    pub(crate) fn read(pool: &VTGatePool) -> Self {
        let conditions = pool.status.as_ref().map(|it| it.conditions.as_slice());
        let ready = find(conditions.unwrap_or_default(), kind::READY);
        Self {
            cell: pool.spec.cell.clone(),
            is_ready: ready.is_some_and(|it| it.status == "True"),
            message: ready.map_or_else(|| "not looked at yet".to_owned(), |it| it.message.clone()),
        }
    }
}

fn find<'a>(all: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    all.iter().find(|it| it.type_ == kind)
}

/// The status after a pass; `trouble` is why something could not be carried out.
pub(crate) fn status(
    old: &VitessStatus,
    wanted: &Wanted,
    told: &Told,
    trouble: Option<&Finding>,
    now: &Time,
) -> VitessStatus {
    let shards = shards_ready(told);
    let gates = gates_ready(old, told);
    let is_initialized = !told.shards.is_empty() && told.shards.iter().all(|it| it.initialized);
    let mut findings = vec![ready(old, told, &gates), shards, gates];
    findings.extend(told.topology.clone());
    findings.push(supported(wanted));
    findings.extend(wanted.spec.backups.as_ref().map(|_| backups_healthy(told)));
    findings.push(stalled(told));
    findings.push(
        trouble
            .or(told.waits.as_ref())
            .cloned()
            .unwrap_or_else(as_wanted),
    );
    let (ready_tablets, all_tablets) = told.shards.iter().fold((0, 0), |(ready, all), it| {
        (ready + it.tablets.0, all + it.tablets.1)
    });
    let mut conditions = condition::merge(&old.conditions, &findings, wanted.generation, now);
    let has_backups = wanted.spec.backups.is_some();
    conditions.retain(|it| has_backups || it.type_ != kind::BACKUPS_HEALTHY);
    let count = |number: usize| i32::try_from(number).ok();
    VitessStatus {
        observed_generation: Some(wanted.generation),
        cells: told.recorded.map_or(old.cells, |(cells, _)| count(cells)),
        keyspaces: told
            .recorded
            .map_or(old.keyspaces, |(_, keyspaces)| count(keyspaces)),
        shards: count(told.shards.len()),
        tablets_ready: Some(format!("{ready_tablets}/{all_tablets}")),
        initialized: (old.initialized == Some(true) || is_initialized).then_some(true),
        begun_keyspaces: told.begun.clone(),
        ending_keyspaces: told.ending.clone(),
        orphaned: told.orphaned.clone(),
        conditions,
    }
}

/// The status of an object that cannot be built.
pub(crate) fn invalid(
    old: &VitessStatus,
    generation: i64,
    message: &str,
    now: &Time,
) -> VitessStatus {
    let findings = [
        Finding::no(kind::READY, "InvalidSpec", message),
        Finding::yes(kind::STALLED, "InvalidSpec", message),
    ];
    VitessStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &findings, generation, now),
        ..old.clone()
    }
}

/// Whether a query is answered: a rollout, or a tablet that is away, does not matter to that.
fn ready(old: &VitessStatus, told: &Told, gates: &Finding) -> Finding {
    if let Some(topology) = told.topology.as_ref().filter(|it| is_lost(it)) {
        return Finding::no(kind::READY, topology.reason, topology.message.clone());
    }
    match &told.unanswered {
        Some(none) if none.is_empty() => Finding::yes(
            kind::READY,
            "Serves",
            "Every serving shard has a primary that answers a query through a gateway.",
        ),
        Some(_) => Finding::no(kind::READY, "QueryNotAnswered", gates.message.clone()),
        None if old.initialized == Some(true) => not_asked(kind::READY),
        None => {
            let said = "The cluster is being made: see Progressing.";
            Finding::no(kind::READY, "Starting", said)
        }
    }
}

fn not_asked(kind: &'static str) -> Finding {
    let said = "Nobody was asked for a query: see Progressing.";
    Finding::unknown(kind, "NotAsked", said)
}

fn is_lost(topology: &Finding) -> bool {
    topology.reason == "TopologyLost"
}

fn shards_ready(told: &Told) -> Finding {
    let not_ready: Vec<_> = told.shards.iter().filter(|it| !it.is_ready).collect();
    match not_ready.first() {
        None if told.shards.is_empty() => {
            Finding::no(kind::SHARDS_READY, "Starting", "No shard was made yet.")
        }
        None => {
            let said = format!("{} of {0} shards are.", told.shards.len());
            Finding::yes(kind::SHARDS_READY, "AllReady", said)
        }
        Some(first) => {
            let more = match not_ready.len() - 1 {
                0 => String::new(),
                more => format!(" {more} more are not either."),
            };
            let said = format!(
                "KeyspaceShard {} is not: {}{more}",
                first.name, first.message
            );
            Finding::no(kind::SHARDS_READY, "ShardNotReady", said)
        }
    }
}

fn gates_ready(old: &VitessStatus, told: &Told) -> Finding {
    if let Some(pool) = told.gates.iter().find(|it| !it.is_ready) {
        let said = format!("Gateways of cell {}: {}", pool.cell, pool.message);
        return Finding::no(kind::VTGATES_READY, "GatewaysNotReady", said);
    }
    match &told.unanswered {
        Some(shards) => match shards.first() {
            Some((shard, why)) => {
                let said = format!("A query to the primary of {shard} was not answered: {why}");
                Finding::no(kind::VTGATES_READY, "QueryNotAnswered", said)
            }
            None => Finding::yes(
                kind::VTGATES_READY,
                "QueriesAnswered",
                "Gateways run in every cell, and queries are answered through them.",
            ),
        },
        None if old.initialized == Some(true) => not_asked(kind::VTGATES_READY),
        None => {
            let said = "Gateways come once every shard has a primary.";
            Finding::no(kind::VTGATES_READY, "Starting", said)
        }
    }
}

fn backups_healthy(told: &Told) -> Finding {
    let mut shards = told.shards.iter();
    let bad = shards.find(|it| !it.backups.as_ref().is_some_and(|(are, _)| *are));
    match bad {
        None if told.shards.is_empty() => {
            let said = "The first backups are made once there are shards.";
            Finding::no(kind::BACKUPS_HEALTHY, "NoBackupYet", said)
        }
        None => {
            let said = "The last backup that was due of each shard was made.";
            Finding::yes(kind::BACKUPS_HEALTHY, "BackedUp", said)
        }
        Some(shard) => {
            let why = shard
                .backups
                .as_ref()
                .map_or("not looked at yet", |(_, why)| why);
            let said = format!("KeyspaceShard {}: {why}", shard.name);
            Finding::no(kind::BACKUPS_HEALTHY, "ShardNotBackedUp", said)
        }
    }
}

fn supported(wanted: &Wanted) -> Finding {
    let fields = wanted.unsupported();
    if fields.is_empty() {
        Finding::yes(
            kind::SUPPORTED,
            "AllCarriedOut",
            "Everything that is named is carried out.",
        )
    } else {
        let said = format!("Not carried out by this version: {}.", fields.join(", "));
        Finding::no(kind::SUPPORTED, "PartsIgnored", said)
    }
}

fn stalled(told: &Told) -> Finding {
    if let Some(topology) = told.topology.as_ref().filter(|it| is_lost(it)) {
        return Finding::yes(kind::STALLED, topology.reason, topology.message.clone());
    }
    match told.orphaned.first() {
        Some(orphan) => {
            let said = format!("{} {}: {}", orphan.kind, orphan.name, orphan.message);
            Finding::yes(kind::STALLED, "PartsOrphaned", said)
        }
        None => Finding::no(
            kind::STALLED,
            "NotStalled",
            "Nothing has to be done by hand.",
        ),
    }
}

fn as_wanted() -> Finding {
    Finding::no(
        kind::PROGRESSING,
        "AsWanted",
        "Everything is as it is wanted.",
    )
}
