//! Keeps the tablets of one pool.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use foreshard_api::condition::{Finding, is_true, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{KeyspaceShard, TabletPool};
use foreshard_controller::call::{in_time, unix_now};
use foreshard_controller::error::{chain, refusal};
use foreshard_controller::index::Key;
use foreshard_vtctld::{Client, TabletAlias};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::events::EventType;

use crate::apply::{ApplyError, trouble};
use crate::backup::schedule::{self, Begins};
use crate::cluster::identity::uid;
use crate::cluster::reach::{refused, way};
use crate::cluster::wanted::Wanted;
use crate::pods;
use crate::shared::Shared;
use crate::tablet_pool::build::{self, Source, TEMPLATE};
use crate::tablet_pool::fill::{self, Fills};
use crate::tablet_pool::leave::Step;
use crate::tablet_pool::plan::{Held, Plan, PodSeen, Seen, ends, fills_another, plan};
use crate::tablet_pool::status::{self, Told};
use crate::tablet_pool::storage::Storage;
use crate::tablet_pool::{INDEXES, wanted};
use crate::worker::{Pass, Passed};

use self::leave::Leaving;
use self::volumes::Growing;

mod leave;
mod volumes;

/// One pool's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
    memory: Memory,
}

/// What is remembered between passes; without it something is only looked at, or tried, once more.
#[derive(Default)]
struct Memory {
    leaving: Leaving,
    growing: Growing,
}

/// Pods and volumes of a pool by number.
#[derive(Default)]
struct Objects {
    pods: BTreeMap<u32, Arc<Pod>>,
    claims: BTreeMap<u32, Arc<PersistentVolumeClaim>>,
}

impl Worker {
    pub(crate) fn new(key: Key, shared: Arc<Shared>) -> Self {
        Self {
            key,
            shared,
            memory: Memory::default(),
        }
    }
}

impl Pass for Worker {
    async fn pass(&mut self) -> Passed {
        let shared = &self.shared;
        let Some(pool) = shared.tablet_pools.get(&self.key.0, &self.key.1) else {
            return Passed::AsWanted;
        };
        let cluster = shared.clusters.get(&self.key.0, &pool.spec.vitess_name);
        let is_paused = cluster.as_deref().is_some_and(|it| !shared.may_change(it));
        if !shared.may_change(&*pool) || is_paused {
            return Passed::AsWanted;
        }
        let mut told = Told::default();
        let wanted = cluster.as_deref().map(Wanted::parse);
        let shard = shard(shared, &pool);
        let done = match (&wanted, &shard) {
            (Some(Ok(wanted)), Some(shard)) => {
                let pool = &pool;
                reconcile(
                    shared,
                    &Source {
                        wanted,
                        shard,
                        pool,
                    },
                    &mut self.memory,
                    &mut told,
                )
                .await
            }
            _ => {
                let said = "Its Vitess or its KeyspaceShard is not there, or cannot be built: nothing is changed.";
                told.waits = Some(Finding::no(kind::PROGRESSING, "ClusterMissing", said));
                Ok(())
            }
        };
        if let Err(trouble) = &done {
            let (namespace, name) = (&self.key.0, &self.key.1);
            tracing::warn!(
                namespace,
                pool = name,
                trouble = trouble.message,
                "pass failed"
            );
        }
        let now = time::from_unix(unix_now());
        let new = status::status(&pool, &told, done.as_ref().err(), &now);
        let old = pool.status.clone().unwrap_or_default();
        let (before, after) = (&old.conditions, &new.conditions);
        let kinds = [kind::READY, kind::STALLED];
        let written = old == new || shared.writers.tablet_pool.status(&*pool, &new).await;
        if written {
            shared.tell_changes(&*pool, &kinds, before, after).await;
        }
        if !written || done.is_err() {
            Passed::Failed
        } else if is_true(&new.conditions, kind::READY)
            && told.plan.held.is_none()
            && told.plan.waits.is_none()
            && told.seen.fills.range(..told.wanted).next().is_none()
            && !told.leaves.as_ref().is_some_and(Step::goes_on)
            && told.storage == Storage::default()
        {
            Passed::AsWanted
        } else {
            Passed::Waits
        }
    }
}

/// The shard that a pool is of.
fn shard(shared: &Shared, pool: &TabletPool) -> Option<Arc<KeyspaceShard>> {
    let namespace = pool.namespace().unwrap_or_default();
    let names = crate::cluster::names::ClusterNames::new(&namespace, &pool.spec.vitess_name);
    let name = names.shard(&pool.spec.keyspace, &pool.spec.key_range);
    shared.shards.get(&namespace, &name)
}

async fn reconcile(
    shared: &Shared,
    of: &Source<'_>,
    memory: &mut Memory,
    told: &mut Told,
) -> Result<(), Finding> {
    told.selector = of.wanted.names.pool_selector(&of.key());
    let objects = Objects::watched(shared, of);
    told.seen = objects.seen(of);
    let claim = |name: &str| shared.claims.get(&of.wanted.names.namespace, name);
    told.seen.fills_elsewhere = fills_elsewhere(shared, of, |name| claim(name));
    let Some(replicas) = of.pool.spec.replicas.and_then(|it| u32::try_from(it).ok()) else {
        let said = "Nobody has said how many tablets there are to be: set spec.replicas.";
        told.waits = Some(Finding::yes(kind::PROGRESSING, "ReplicasNotSet", said));
        return Ok(());
    };
    told.wanted = replicas;
    told.trouble = objects.trouble(replicas);
    if let Some(taken) = taken(shared, of, replicas, &objects) {
        told.waits = Some(taken);
        return Ok(());
    }
    told.plan = plan(replicas, &told.seen);
    if !told.plan.claims.is_empty() && has_data_now(shared, of.shard).await? {
        told.seen.has_data = true;
        told.plan = plan(replicas, &told.seen);
    }
    if let Some(index) = restores_from_nowhere(of, &told.seen, replicas) {
        told.plan.pods.remove(&index);
        told.plan.held = Some(Held {
            reason: "NoProvisioningSource",
            message: format!(
                "Tablet {} is to be restored from a backup, and spec.backups is not named any more: name it again.",
                of.name(index)
            ),
        });
    }
    // Vitess is asked only for this, and all else is done also where it does not answer.
    let unasked = match told.plan.fill {
        None => None,
        Some(index) => {
            let made = begin_to_fill(shared, of, index, told).await;
            told.plan.fill = told.plan.fill.filter(|_| made.is_ok());
            made.err()
        }
    };
    let pods = objects.pods.iter().filter(|(index, _)| **index < replicas);
    let outdated = pods.filter(|(index, pod)| {
        let wanted = build::pod(of, **index, None);
        pod.annotations().get(TEMPLATE) != wanted.annotations().get(TEMPLATE)
    });
    told.outdated = outdated.count();
    let todo = told.plan.clone();
    carry_out(shared, of, &objects, &todo)
        .await
        .map_err(|error| trouble(&error))?;
    (told.storage, told.filled_seconds) = volumes::keep(shared, of, &objects, &mut memory.growing)
        .await
        .map_err(|error| trouble(&error))?;
    told.leaves = Box::pin(leave::pass(shared, of, &objects, &mut memory.leaving)).await?;
    unasked.map_or(Ok(()), Err)
}

/// A tablet without rows that are to come from a backup, where nobody says any more where backups are.
fn restores_from_nowhere(of: &Source<'_>, seen: &Seen, replicas: u32) -> Option<u32> {
    if of.wanted.store().is_some() {
        return None;
    }
    let mut fills = seen.fills.range(..replicas);
    fills
        .find(|(_, fills)| **fills == Fills::Restore)
        .map(|(index, _)| *index)
}

/// Makes a volume that is filled, if there is somebody to copy, and nobody else of the shard copies.
async fn begin_to_fill(
    shared: &Shared,
    of: &Source<'_>,
    index: u32,
    told: &mut Told,
) -> Result<(), Finding> {
    let shard = (of.wanted.names.namespace.clone(), of.shard.name_any());
    let _turn = shared.turns.of(shard).await;
    let claims: BTreeMap<String, PersistentVolumeClaim> =
        leave::list(shared, of, &of.shard_selector()).await?;
    if let Some(other) = fills_elsewhere(shared, of, |name| claims.get(name).cloned()) {
        (told.plan.fill, told.plan.waits) = (None, Some(fills_another(index, &other)));
        return Ok(());
    }
    let vtctld = way(shared, &of.wanted.names).await?.vtctld;
    let primary = primary(shared, of, &vtctld).await?;
    if let Some(held) = fill::obstacle(&of.alias(index), primary.as_ref()) {
        (told.plan.fill, told.plan.held) = (None, Some(held));
        return Ok(());
    }
    let volume = primary.and_then(|it| claims.get(&of.wanted.names.tablet(it.uid)));
    let fills = source(of, &vtctld, volume).await;
    let claim = build::claim(of, index, Some(fills));
    let made = shared.writers.tablet_pool.apply(&claim, None).await;
    made.map_err(|error| trouble(&error))?;
    let said = format!(
        "Tablet {} is made, and {} before it serves.",
        of.name(index),
        fills.what()
    );
    shared
        .tell(of.pool, EventType::Normal, "TabletFills", said)
        .await;
    Ok(())
}

/// Whether the shard has data, by the API server's own word: no watch is believed before an empty volume is made.
async fn has_data_now(shared: &Shared, shard: &KeyspaceShard) -> Result<bool, Finding> {
    let namespace = shard.namespace().unwrap_or_default();
    let api: Api<KeyspaceShard> = Api::namespaced(shared.client.clone(), &namespace);
    let asked = in_time(api.get(&shard.name_any())).await;
    let fresh = asked.map_err(|error| {
        let (reason, said) = refusal(&error);
        let said = format!("KeyspaceShard {} cannot be read: {said}", shard.name_any());
        Finding::no(kind::PROGRESSING, reason, said)
    })?;
    Ok(has_data(&fresh))
}

fn has_data(shard: &KeyspaceShard) -> bool {
    shard
        .status
        .as_ref()
        .is_some_and(|it| it.initialized == Some(true))
}

/// The primary, by the shard's record.
async fn primary(
    shared: &Shared,
    of: &Source<'_>,
    vtctld: &Client,
) -> Result<Option<TabletAlias>, Finding> {
    let (names, spec) = (&of.wanted.names, &of.pool.spec);
    let shard = spec.key_range.to_string();
    let record = vtctld.shard(&spec.keyspace, &shard).await;
    let record = record.map_err(|error| refused(shared, names, &error))?;
    Ok(record.primary)
}

/// From what a new tablet gets its rows: a backup that it can catch up from, else the primary, which has this volume.
async fn source(of: &Source<'_>, vtctld: &Client, volume: Option<&PersistentVolumeClaim>) -> Fills {
    if of.wanted.spec.backups.is_none() {
        return Fills::Clone;
    }
    let spec = &of.pool.spec;
    let shard = spec.key_range.to_string();
    let listed = vtctld.backups(&spec.keyspace, &shard).await;
    let status = of.shard.status.as_ref();
    let made = of.shard.metadata.creation_timestamp.as_ref();
    let seen = schedule::Seen {
        now: unix_now(),
        shard_made: made.map_or(i64::MAX, time::unix),
        last: status
            .and_then(|it| it.last_backup_time.as_ref())
            .map(time::unix),
        primary_made: volume
            .and_then(|it| it.metadata.creation_timestamp.as_ref())
            .map(time::unix),
        listed: Some(
            listed
                .map(|it| schedule::taken(&it))
                .map_err(|error| chain(&error)),
        ),
        jobs: Vec::new(),
    };
    match seen.begins() {
        Begins::Backup => Fills::Backup,
        Begins::Clone => Fills::Clone,
    }
}

/// The tablet of another pool of the shard that is being filled: its pool wants it, and its volume is marked.
fn fills_elsewhere<C: Borrow<PersistentVolumeClaim>>(
    shared: &Shared,
    of: &Source<'_>,
    claim: impl Fn(&str) -> Option<C>,
) -> Option<String> {
    let (names, spec) = (&of.wanted.names, &of.pool.spec);
    let pools = shared.tablet_pools.in_namespace(&names.namespace);
    let others = pools.iter().filter(|it| {
        it.spec.vitess_name == spec.vitess_name
            && it.spec.keyspace == spec.keyspace
            && it.spec.key_range == spec.key_range
            && it.name_any() != of.pool.name_any()
    });
    let tablets = others.flat_map(|pool| {
        let key = build::key(pool);
        (0..wanted(pool)).map(move |index| names.tablet(uid(&key, index)))
    });
    let mut filling =
        tablets.filter(|name| claim(name).is_some_and(|it| fill::is_marked(it.borrow())));
    filling.next().map(|it| format!("tablet {it}"))
}

/// Whether another tablet has the number of one of these: two would be one to Vitess.
fn taken(shared: &Shared, of: &Source<'_>, replicas: u32, objects: &Objects) -> Option<Finding> {
    let namespace = &of.wanted.names.namespace;
    let index = (0..replicas).find(|index| {
        let (name, labels) = (of.name(*index), of.labels(*index));
        let is_ours = |live: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(key, value)| live.get(key).is_none_or(|it| it == value))
        };
        let pod = shared.pods.get(namespace, &name);
        let claim = shared.claims.get(namespace, &name);
        pod.is_some_and(|it| !is_ours(it.labels())) || claim.is_some_and(|it| !is_ours(it.labels()))
    })?;
    let others = shared.tablet_pools.in_namespace(namespace);
    let number = uid(&of.key(), index);
    let other = others.iter().find(|it| {
        let key = build::key(it);
        key != of.key() && (0..INDEXES).any(|index| uid(&key, index) == number)
    });
    let other = other.map_or_else(|| "another pool".to_owned(), |it| it.name_any());
    // What is there already goes on.
    let there = objects.pods.len();
    let said = format!(
        "Tablet {index} would have the number {number}, which a tablet of {other} has: give the pool another name. \
         {there} pods are left as they are."
    );
    Some(Finding::no(kind::PROGRESSING, "IdentityCollision", said))
}

async fn carry_out(
    shared: &Shared,
    of: &Source<'_>,
    objects: &Objects,
    todo: &Plan,
) -> Result<(), ApplyError> {
    let writer = &shared.writers.tablet_pool;
    for index in &todo.claims {
        let restores = of.shard.spec.restore_from.as_ref();
        let fills = restores.map(|_| Fills::Restore);
        writer.apply(&build::claim(of, *index, fills), None).await?;
    }
    for index in &todo.pods {
        let claim = objects.claims.get(index);
        let fills = claim.and_then(|it| of.fills(it));
        writer.apply(&build::pod(of, *index, fills), None).await?;
    }
    for (index, live) in &objects.pods {
        writer.label(&**live, &of.labels(*index)).await?;
    }
    for index in &todo.over {
        if let Some(live) = objects.pods.get(index) {
            writer.delete(&**live).await?;
            let said = format!(
                "Pod {} ran to its end, or its volume is not the one that it was made for: it is made anew.",
                live.name_any()
            );
            shared
                .tell(of.pool, EventType::Warning, "PodOver", said)
                .await;
        }
    }
    Ok(())
}

impl Objects {
    fn watched(shared: &Shared, of: &Source<'_>) -> Self {
        let namespace = &of.wanted.names.namespace;
        let mut all = Self::default();
        for index in 0..INDEXES {
            let name = of.name(index);
            if let Some(pod) = shared.pods.get(namespace, &name) {
                all.pods.insert(index, pod);
            }
            if let Some(claim) = shared.claims.get(namespace, &name) {
                all.claims.insert(index, claim);
            }
        }
        all
    }

    fn seen(&self, of: &Source<'_>) -> Seen {
        let pods = self.pods.iter();
        let claims = self.claims.iter();
        Seen {
            pods: pods
                .map(|(index, pod)| (*index, PodSeen::read(pod)))
                .collect(),
            claims: claims
                .map(|(index, claim)| (*index, ends(claim, &of.wanted.uid)))
                .collect(),
            has_data: has_data(of.shard),
            fills: self.filling(),
            fills_elsewhere: None,
        }
    }

    /// Volumes that are still to be filled.
    fn filling(&self) -> BTreeMap<u32, Fills> {
        let claims = self.claims.iter();
        let fills = claims.filter_map(|(index, it)| Some((*index, Fills::read(it)?)));
        fills.collect()
    }

    /// What the first of so many tablets that is not ready says of itself: one that says something is wrong before one that
    /// may only be starting.
    fn trouble(&self, wanted: u32) -> Option<String> {
        let not_ready = || {
            let pods = self.pods.range(..wanted).map(|(_, pod)| pod);
            pods.filter(|it| !PodSeen::read(it).is_ready)
        };
        let ill = not_ready().find(|it| pods::trouble(it).is_some());
        let pod = ill.or_else(|| not_ready().next())?;
        Some(format!("Pod {}: {}.", pod.name_any(), pods::unready(pod)))
    }
}
