//! Keeps one shard.

use std::sync::Arc;

use foreshard_api::condition::{Finding, is_true, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{KeyspaceShard, KeyspaceShardStatus, TabletPool};
use foreshard_controller::call::unix_now;
use foreshard_controller::error::chain;
use foreshard_controller::index::Key;
use kube::ResourceExt as _;
use serde_json::json;

use crate::apply::{ApplyError, trouble};
use crate::cluster::endings::is_kept;
use crate::cluster::identity::uid;
use crate::cluster::names::ClusterNames;
use crate::cluster::reach::way;
use crate::cluster::wanted::Wanted;
use crate::replicas::{self, Asked};
use crate::shard::build;
use crate::shard::status::{self, Told};
use crate::shard::turndown::{Dropped, Turndown, dropped, turndown};
use crate::shared::Shared;
use crate::tablet_pool::{self, INDEXES, fill};
use crate::worker::{Pass, Passed};

use self::backups::Listed;

mod backups;

/// One shard's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
    listed: Listed,
}

impl Worker {
    pub(crate) fn new(key: Key, shared: Arc<Shared>) -> Self {
        Self {
            key,
            shared,
            listed: Listed::default(),
        }
    }
}

impl Pass for Worker {
    async fn pass(&mut self) -> Passed {
        let shared = &self.shared;
        let Some(shard) = shared.shards.get(&self.key.0, &self.key.1) else {
            return Passed::AsWanted;
        };
        if !shared.may_change(&*shard) || is_paused(shared, &shard) {
            return Passed::AsWanted;
        }
        let names = ClusterNames::new(&self.key.0, &shard.spec.vitess_name);
        let mut told = Told::default();
        let done = reconcile(shared, &names, &shard, (&mut told, &mut self.listed)).await;
        if let Err(trouble) = &done {
            let (namespace, name) = (&self.key.0, &self.key.1);
            tracing::warn!(
                namespace,
                shard = name,
                trouble = trouble.message,
                "pass failed"
            );
        }
        let now = time::from_unix(unix_now());
        let old = shard.status.clone().unwrap_or_default();
        let new = status::status(&names, &shard, &told, done.as_ref().err(), &now);
        let written = old == new || shared.writers.shard.status(&*shard, &new).await;
        if written {
            tell_changes(shared, &shard, &old, &new).await;
        }
        if !written || done.is_err() {
            return Passed::Failed;
        }
        if is_true(&new.conditions, kind::READY) {
            Passed::AsWanted
        } else {
            Passed::Waits
        }
    }
}

/// Whether the cluster is left alone, and with it all of its parts.
fn is_paused(shared: &Shared, shard: &KeyspaceShard) -> bool {
    let namespace = shard.namespace().unwrap_or_default();
    let cluster = shared.clusters.get(&namespace, &shard.spec.vitess_name);
    cluster.is_some_and(|it| !shared.may_change(&*it))
}

async fn reconcile(
    shared: &Shared,
    names: &ClusterNames,
    shard: &KeyspaceShard,
    (told, listed): (&mut Told, &mut Listed),
) -> Result<(), Finding> {
    let pools = pools(shared, shard);
    told.pools(&pools);
    let Some(cluster) = shared.clusters.get(&names.namespace, &names.name) else {
        let said = format!(
            "Vitess {} is not there: nothing is made of its shard.",
            names.name
        );
        told.waits = Some(Finding::no(kind::PROGRESSING, "ClusterMissing", said));
        return Ok(());
    };
    if !is_kept(&cluster, &shard.spec.keyspace) {
        told.keyspace = Some(dropped(&pools));
    }
    let named: Vec<String> = shard
        .spec
        .tablet_pools
        .iter()
        .filter(|_| told.keyspace.is_none())
        .map(|it| names.pool(&build::key(shard, it)))
        .collect();
    let unnamed = pools.iter().filter(|it| !named.contains(&it.name_any()));
    let policy = shard.spec.turndown_policy;
    told.dropped = unnamed
        .map(|it| (it.name_any(), turndown(policy, it)))
        .collect();
    told.has_no_backups = cluster.spec.backups.is_none();
    // Nothing is made before it is known whether Vitess still knows the shard.
    let way = way(shared, names)
        .await
        .inspect_err(|waits| told.waits = Some(waits.clone()))?;
    let asked = way
        .vtctld
        .shard(&shard.spec.keyspace, &shard.spec.key_range.to_string())
        .await;
    match asked {
        Ok(record) => told.record = Some(record),
        Err(error) if error.is_not_found() => {}
        Err(error) => {
            shared.ways.forget(names);
            let said = format!("vtctld cannot be asked: {}", chain(&error));
            told.waits = Some(Finding::yes(kind::PROGRESSING, "VtctldUnreachable", said));
            return Ok(());
        }
    }
    if told.is_lost(&shard.status.clone().unwrap_or_default()) {
        return Ok(());
    }
    if told.keyspace.is_none() {
        put(shared, names, shard)
            .await
            .map_err(|error| trouble(&error))?;
    }
    if matches!(told.keyspace, None | Some(Dropped::MayServe)) {
        put_budget(shared, names, shard)
            .await
            .map_err(|error| trouble(&error))?;
    }
    turn_down(shared, names, shard, &told.dropped)
        .await
        .map_err(|error| trouble(&error))?;
    if matches!(told.keyspace, Some(Dropped::Leaves | Dropped::Gone)) {
        return Ok(());
    }
    match Wanted::parse(&cluster) {
        Ok(wanted) => {
            let pass = backups::pass(shared, &wanted, shard, (&way.vtctld, listed), told);
            Box::pin(pass).await
        }
        Err(invalid) => {
            told.backups = Some(backups::unbuilt(&invalid.to_string()));
            Ok(())
        }
    }
}

/// The pools of a shard that exist.
fn pools(shared: &Shared, shard: &KeyspaceShard) -> Vec<Arc<TabletPool>> {
    let namespace = shard.namespace().unwrap_or_default();
    let is_of = |pool: &TabletPool| {
        let (pool, shard) = (&pool.spec, &shard.spec);
        pool.vitess_name == shard.vitess_name
            && pool.keyspace == shard.keyspace
            && pool.key_range == shard.key_range
    };
    let all = shared.tablet_pools.in_namespace(&namespace);
    all.into_iter().filter(|it| is_of(it)).collect()
}

/// Takes away what the spec no longer names, once nothing is left of it.
async fn turn_down(
    shared: &Shared,
    names: &ClusterNames,
    shard: &KeyspaceShard,
    dropped: &[(String, Turndown)],
) -> Result<(), ApplyError> {
    let writers = &shared.writers;
    for (name, turndown) in dropped {
        let Some(pool) = shared.tablet_pools.get(&names.namespace, name) else {
            continue;
        };
        match turndown {
            Turndown::Stays | Turndown::Leaves => release(shared, names, shard, &pool).await?,
            Turndown::ScalesToNone => {
                release(shared, names, shard, &pool).await?;
                let none = json!({"replicas": 0});
                writers.initial.apply_part(&*pool, none).await?;
            }
            Turndown::Goes => writers.shard.delete(&*pool).await?,
        }
    }
    Ok(())
}

/// Has a pool that the spec no longer names be anyone's to scale, also to none: whether the shard can do without its tablets
/// is looked at as they leave.
async fn release(
    shared: &Shared,
    names: &ClusterNames,
    shard: &KeyspaceShard,
    live: &TabletPool,
) -> Result<(), ApplyError> {
    let writers = &shared.writers;
    let wanted = build::released(names, shard, live);
    // Nobody has said how many it has: that is not made none by the way.
    if live.spec.replicas.is_none() {
        return writers.shard.apply(&wanted, Some(live)).await;
    }
    let asked = Asked {
        named: None,
        first: 0,
    };
    replicas::put(&writers.shard, &writers.initial, wanted, asked, Some(live)).await
}

async fn put(
    shared: &Shared,
    names: &ClusterNames,
    shard: &KeyspaceShard,
) -> Result<(), ApplyError> {
    let writers = &shared.writers;
    for template in &shard.spec.tablet_pools {
        let wanted = build::pool(names, shard, template);
        let live = shared
            .tablet_pools
            .get(&names.namespace, &wanted.name_any());
        let asked = Asked {
            named: template.replicas,
            first: template.initial_replicas,
        };
        let live = live.as_deref();
        let fewest = wanted.spec.min_replicas;
        // It was dropped and scaled to none, and is named again.
        if let Some(live) = live
            && template.replicas.is_none()
            && live.spec.replicas.is_some_and(|it| it < fewest)
        {
            let first = json!({"replicas": template.initial_replicas.max(fewest)});
            writers.initial.apply_part(live, first).await?;
        }
        replicas::put(&writers.shard, &writers.initial, wanted, asked, live).await?;
    }
    Ok(())
}

async fn put_budget(
    shared: &Shared,
    names: &ClusterNames,
    shard: &KeyspaceShard,
) -> Result<(), ApplyError> {
    let writers = &shared.writers;
    let wanted = build::budget(names, shard, tablets(shared, names, shard));
    let live = shared.budgets.get(&names.namespace, &wanted.name_any());
    writers.shard.apply(&wanted, live.as_deref()).await
}

/// Tablets that there are: those wanted that have a volume with rows, and those that leave, as long as their pods are there.
fn tablets(shared: &Shared, names: &ClusterNames, shard: &KeyspaceShard) -> i32 {
    let namespace = &names.namespace;
    let of_pool = |pool: &Arc<TabletPool>| {
        let (key, wanted) = (tablet_pool::build::key(pool), tablet_pool::wanted(pool));
        let is_there = |index: &u32| {
            let name = names.tablet(uid(&key, *index));
            if *index < wanted {
                let claim = shared.claims.get(namespace, &name);
                claim.is_some_and(|it| !fill::is_marked(&it))
            } else {
                shared.pods.get(namespace, &name).is_some()
            }
        };
        (0..INDEXES).filter(is_there).count()
    };
    let all: usize = pools(shared, shard).iter().map(of_pool).sum();
    i32::try_from(all).unwrap_or(i32::MAX)
}

async fn tell_changes(
    shared: &Shared,
    shard: &KeyspaceShard,
    old: &KeyspaceShardStatus,
    new: &KeyspaceShardStatus,
) {
    let kinds = [
        kind::READY,
        kind::SERVING,
        kind::STALLED,
        kind::BACKUPS_HEALTHY,
    ];
    let (old, new) = (&old.conditions, &new.conditions);
    shared.tell_changes(shard, &kinds, old, new).await;
}
