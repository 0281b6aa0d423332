//! Has tablets leave that a pool no longer wants.

use std::collections::BTreeMap;
use std::time::Duration;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::vitess::keyspace::{Retention, TabletType};
use foreshard_api::v1alpha1::{TabletPool, Vitess};
use foreshard_controller::call::in_time;
use foreshard_controller::error::{chain, refusal};
use foreshard_vtctld::{Client, Reparent, Replication, TabletAlias, TabletType as Recorded};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::Objects;
use crate::apply::{Owned, trouble};
use crate::cluster::endings::is_kept;
use crate::cluster::identity::uid;
use crate::cluster::reach::{refused, way};
use crate::shared::Shared;
use crate::tablet_pool::build::{self, Source};
use crate::tablet_pool::fill;
use crate::tablet_pool::leave::{ClaimSeen, ShardSeen, Step, TabletSeen, step};
use crate::tablet_pool::plan::{Held, PodSeen, ends};
use crate::tablet_pool::{INDEXES, wanted};

/// On a volume: that its tablet leaves, and what is to become of it.
const LEAVES: &str = "foreshard.dev/leaves";
/// What was asked of a tablet before it went out of service gets this long to end. Gateways send nothing more at once.
const SETTLE: Duration = Duration::from_secs(5);
/// Replicas get this long to catch up with a primary that hands over, before and after.
const CATCH_UP: Duration = Duration::from_secs(30);

/// What a worker remembers of tablets that leave.
#[derive(Default)]
pub(super) struct Leaving {
    /// Who is out of service, and since when.
    drained: Option<(TabletAlias, Instant)>,
    /// Whether it was seen that nothing is left of those that went: an operator before may have been killed half way.
    is_clean: bool,
}

/// One look, while it is the pool's turn.
struct Look<'a> {
    shared: &'a Shared,
    of: &'a Source<'a>,
    vtctld: Client,
    pods: BTreeMap<String, Pod>,
    claims: BTreeMap<String, PersistentVolumeClaim>,
    /// Whether the keyspace goes, with all of its tablets.
    is_dropped: bool,
}

/// Takes one step; none: nobody leaves.
pub(super) async fn pass(
    shared: &Shared,
    of: &Source<'_>,
    objects: &Objects,
    leaving: &mut Leaving,
) -> Result<Option<Step>, Finding> {
    let replicas = wanted(of.pool);
    let beyond = objects.pods.range(replicas..).next().is_some();
    let is_marked = objects.claims.values().any(|it| mark(it).is_some());
    let may_have_left = super::has_data(of.shard) && !leaving.is_clean;
    if !(beyond || is_marked || may_have_left) {
        return Ok(None);
    }
    leaving.is_clean = false;
    let names = &of.wanted.names;
    let shard = (names.namespace.clone(), of.shard.name_any());
    let _turn = shared.turns.of(shard).await;
    let Some(vitess) = unchanged(shared, of).await? else {
        let said = "Its spec has just changed.".to_owned();
        return Ok(Some(Step::Wait(Held {
            reason: "SpecChanged",
            message: said,
        })));
    };
    let selector = of.shard_selector();
    let is_dropped = !is_kept(&vitess, &of.pool.spec.keyspace)
        && nobody_is_wanted(shared, of, &selector).await?;
    let look = Look {
        shared,
        of,
        vtctld: way(shared, names).await?.vtctld,
        pods: list(shared, of, &selector).await?,
        claims: list(shared, of, &selector).await?,
        is_dropped,
    };
    let seen = look.see(replicas).await?;
    let settled = leaving.settled(&seen, of);
    let retention = of.pool.spec.template.persistent_volume_claim_retention;
    let retention = if is_dropped {
        retention.when_deleted
    } else {
        retention.when_scaled
    };
    let step = step(&of.pool.name_any(), retention, &seen, settled);
    leaving.is_clean = step.is_none();
    if let Some(step) = &step {
        look.take(step, retention).await?;
    }
    Ok(step)
}

fn mark(claim: &PersistentVolumeClaim) -> Option<Retention> {
    match claim.annotations().get(LEAVES)?.as_str() {
        "Delete" => Some(Retention::Delete),
        _ => Some(Retention::Retain),
    }
}

/// The Vitess by the API server's own word; none: it, or the pool, is wanted otherwise than the watch says.
async fn unchanged(shared: &Shared, of: &Source<'_>) -> Result<Option<Vitess>, Finding> {
    let namespace = &of.wanted.names.namespace;
    let vitesses: Api<Vitess> = Api::namespaced(shared.client.clone(), namespace);
    let vitess = in_time(vitesses.get_opt(&of.pool.spec.vitess_name)).await;
    let vitess = vitess.map_err(|error| unread("Vitess", &error))?;
    let Some(vitess) = vitess.filter(|it| shared.may_change(it)) else {
        return Ok(None);
    };
    let api: Api<TabletPool> = Api::namespaced(shared.client.clone(), namespace);
    let fresh = in_time(api.get_opt(&of.pool.name_any())).await;
    let fresh = fresh.map_err(|error| unread("TabletPool", &error))?;
    let is_same = fresh.is_some_and(|it| {
        it.spec == of.pool.spec && it.uid() == of.pool.uid() && shared.may_change(&it)
    });
    Ok(is_same.then_some(vitess))
}

/// Whether each pool of the shard is scaled to none, this one among them, by the API server's own word.
async fn nobody_is_wanted(
    shared: &Shared,
    of: &Source<'_>,
    selector: &str,
) -> Result<bool, Finding> {
    let pools = list::<TabletPool>(shared, of, selector).await?;
    let is_none = |it: &TabletPool| it.spec.replicas == Some(0);
    Ok(pools.contains_key(&of.pool.name_any()) && pools.values().all(is_none))
}

fn unread(what: &str, error: &kube::Error) -> Finding {
    let (reason, said) = refusal(error);
    Finding::no(
        kind::PROGRESSING,
        reason,
        format!("{what} cannot be read: {said}"),
    )
}

/// Objects of the shard's tablets by name: no watch is believed before something is taken away.
pub(super) async fn list<K: Owned>(
    shared: &Shared,
    of: &Source<'_>,
    selector: &str,
) -> Result<BTreeMap<String, K>, Finding> {
    let api: Api<K> = Api::namespaced(shared.client.clone(), &of.wanted.names.namespace);
    let all = in_time(api.list(&ListParams::default().labels(selector))).await;
    let all = all.map_err(|error| unread(&K::plural(&()), &error))?;
    Ok(all.into_iter().map(|it| (it.name_any(), it)).collect())
}

impl Leaving {
    /// Who of the pool has been out of service for long enough.
    fn settled(&mut self, seen: &ShardSeen, of: &Source<'_>) -> Option<u32> {
        let pool = of.pool.name_any();
        let drained = seen.tablets.iter().filter(|it| {
            it.pool == pool
                && !it.is_wanted
                && it.pod.is_some()
                && it.record == Some(Recorded::Drained)
        });
        // People may have drained another one.
        let is_marked = |it: &&TabletSeen| it.claim.is_some_and(|it| it.leaves.is_some());
        let Some(tablet) = drained.max_by_key(|it| (is_marked(it), it.index)) else {
            self.drained = None;
            return None;
        };
        match &self.drained {
            Some((alias, since)) if *alias == tablet.alias => {
                (since.elapsed() >= SETTLE).then_some(tablet.index)
            }
            _ => {
                self.drained = Some((tablet.alias.clone(), Instant::now()));
                None
            }
        }
    }
}

impl Look<'_> {
    fn shard_name(&self) -> (&str, String) {
        let spec = &self.of.pool.spec;
        (&spec.keyspace, spec.key_range.to_string())
    }

    fn refused(&self, error: &foreshard_vtctld::Error) -> Finding {
        refused(self.shared, &self.of.wanted.names, error)
    }

    /// The shard with all of its tablets.
    async fn see(&self, replicas: u32) -> Result<ShardSeen, Finding> {
        let (keyspace, shard) = self.shard_name();
        let refused = |error| self.refused(&error);
        let primary = match self.vtctld.shard(keyspace, &shard).await {
            Ok(record) => record.primary,
            // No tablet ever ran.
            Err(error) if self.is_dropped && error.is_not_found() => None,
            Err(error) => return Err(refused(error)),
        };
        let records = match self.vtctld.tablets(keyspace, Some(&shard)).await {
            Err(error) if self.is_dropped && error.is_not_found() => Vec::new(),
            records => records.map_err(refused)?,
        };
        let records = records.into_iter();
        let records = records.map(|it| (it.alias, it.tablet_type)).collect();
        let mut seen = ShardSeen {
            durability: self.of.shard.spec.durability,
            primary,
            tablets: self.tablets(&records),
            workflows: Vec::new(),
            is_dropped: self.is_dropped,
        };
        let name = self.of.pool.name_any();
        let leaves = |it: &TabletSeen| it.claim.is_some_and(|claim| claim.leaves.is_some());
        let beyond = |it: &TabletSeen| {
            it.pool == name && it.index >= replicas && (it.pod.is_some() || leaves(it))
        };
        if seen.tablets.iter().any(beyond) {
            self.see_replication(&mut seen).await?;
            seen.workflows = self.workflows().await?;
        }
        Ok(seen)
    }

    fn tablets(&self, records: &BTreeMap<TabletAlias, Recorded>) -> Vec<TabletSeen> {
        let pools = self
            .shared
            .tablet_pools
            .in_namespace(&self.of.wanted.names.namespace);
        let spec = &self.of.pool.spec;
        let of_shard = pools.iter().filter(|it| {
            it.spec.vitess_name == spec.vitess_name
                && it.spec.keyspace == spec.keyspace
                && it.spec.key_range == spec.key_range
        });
        let mut tablets = Vec::new();
        for pool in of_shard {
            let key = build::key(pool);
            for index in 0..INDEXES {
                let uid = uid(&key, index);
                let name = self.of.wanted.names.tablet(uid);
                let alias = TabletAlias {
                    cell: pool.spec.cell.clone(),
                    uid,
                };
                let (pod, claim) = (self.pods.get(&name), self.claims.get(&name));
                let record = records.get(&alias).copied();
                if pod.is_none() && claim.is_none() && record.is_none() {
                    continue;
                }
                tablets.push(TabletSeen {
                    alias,
                    pool: pool.name_any(),
                    index,
                    kind: pool.spec.kind,
                    is_wanted: index < wanted(pool),
                    pod: pod.map(PodSeen::read),
                    claim: claim.map(|it| ClaimSeen {
                        ends: ends(it, &self.of.wanted.uid),
                        leaves: mark(it),
                        fills: fill::is_marked(it),
                    }),
                    record,
                    replication: None,
                });
            }
        }
        tablets
    }

    /// How tablets follow their primary: by one call, where all of them can be reached, and else by one for each that
    /// stays.
    async fn see_replication(&self, seen: &mut ShardSeen) -> Result<(), Finding> {
        let (keyspace, shard) = self.shard_name();
        let all = match self.vtctld.shard_replication(keyspace, &shard).await {
            Ok(all) => all,
            Err(error) => {
                tracing::debug!(keyspace, shard, error = chain(&error), "asked one by one");
                self.replication_of(seen).await
            }
        };
        for tablet in &mut seen.tablets {
            tablet.replication = all.get(&tablet.alias).copied();
        }
        Ok(())
    }

    async fn replication_of(&self, seen: &ShardSeen) -> BTreeMap<TabletAlias, Replication> {
        let mut all = BTreeMap::new();
        for tablet in seen.tablets.iter().filter(|it| it.is_wanted) {
            // One that cannot be asked is not known to follow.
            if let Ok(Some(replication)) = self.vtctld.replication(&tablet.alias).await {
                all.insert(tablet.alias.clone(), replication);
            }
        }
        all
    }

    /// Workflows that copy from the shard or to it. Those of other keyspaces may copy from it as well.
    async fn workflows(&self) -> Result<Vec<String>, Finding> {
        let (keyspace, shard) = self.shard_name();
        let refused = |error| self.refused(&error);
        let mut found = Vec::new();
        let named = &self.of.wanted.spec.keyspaces;
        let is_named = |keyspace: &str| named.iter().any(|it| it.name == keyspace);
        for of in self.vtctld.keyspaces().await.map_err(refused)? {
            let workflows = match self.vtctld.workflows(&of.name).await {
                Ok(workflows) => workflows,
                // One that was made and has no shard yet.
                Err(error) if error.to_string().contains("no shards found") => continue,
                // Shards of keyspaces that go may have gone already.
                Err(_) if self.is_dropped && !is_named(&of.name) => continue,
                // One without a primary is not to keep everything else from being done.
                Err(error) => {
                    found.push(format!("of keyspace {} ({error})", of.name));
                    continue;
                }
            };
            let touching = workflows.into_iter().filter(|it| {
                [&it.source, &it.target]
                    .iter()
                    .any(|at| at.keyspace == keyspace && at.shards.contains(&shard))
            });
            found.extend(touching.map(|it| format!("{}.{}", of.name, it.name)));
        }
        Ok(found)
    }

    fn alias(&self, index: u32) -> TabletAlias {
        self.of.alias(index)
    }

    async fn take(&self, step: &Step, retention: Retention) -> Result<(), Finding> {
        let writer = &self.shared.writers.tablet_pool;
        writer.leads().map_err(|error| trouble(&error))?;
        match step {
            Step::Wait(_) | Step::Refuse(_) | Step::Settle(_) => Ok(()),
            Step::Mark(index) => {
                let value = match retention {
                    Retention::Retain => "Retain",
                    Retention::Delete => "Delete",
                };
                self.annotate(*index, Some(value)).await
            }
            Step::Unmark(index) => self.annotate(*index, None).await,
            Step::Serve(index) => {
                let kind = match self.of.pool.spec.kind {
                    TabletType::Replica => Recorded::Replica,
                    TabletType::Rdonly => Recorded::Rdonly,
                };
                self.change(*index, kind).await
            }
            Step::Drain(index) => self.change(*index, Recorded::Drained).await,
            Step::Reparent(index, to) => self.reparent(*index, to).await,
            Step::DeletePod(index) => {
                let name = self.of.name(*index);
                let Some(pod) = self.pods.get(&name) else {
                    return Ok(());
                };
                writer.delete(pod).await.map_err(|error| trouble(&error))?;
                let said = format!("Pod {name} is deleted: fewer tablets are wanted.");
                self.tell("TabletDeleted", said).await;
                Ok(())
            }
            Step::MakePod(index) => {
                let claim = self.claims.get(&self.of.name(*index));
                let pod = build::pod(self.of, *index, claim.and_then(|it| self.of.fills(it)));
                let made = writer.apply(&pod, None).await;
                made.map(drop).map_err(|error| trouble(&error))
            }
            Step::Forget(index) => self.forget(*index).await,
            Step::DeleteClaim(index) => {
                let name = self.of.name(*index);
                let Some(claim) = self.claims.get(&name) else {
                    return Ok(());
                };
                self.has_ended(&name).await?;
                writer
                    .delete(claim)
                    .await
                    .map_err(|error| trouble(&error))?;
                let said =
                    format!("Volume {name} is deleted, as persistentVolumeClaimRetention says.");
                self.tell("VolumeDeleted", said).await;
                Ok(())
            }
        }
    }

    async fn annotate(&self, index: u32, value: Option<&str>) -> Result<(), Finding> {
        let Some(claim) = self.claims.get(&self.of.name(index)) else {
            return Ok(());
        };
        let writer = &self.shared.writers.tablet_pool;
        let written = writer.annotate(claim, LEAVES, value).await;
        written.map_err(|error| trouble(&error))
    }

    async fn change(&self, index: u32, to: Recorded) -> Result<(), Finding> {
        let alias = self.alias(index);
        let changed = self.vtctld.change_tablet_type(&alias, to).await;
        changed.map_err(|error| self.refused(&error))?;
        let said = format!("Tablet {alias} is of type {to:?} now.");
        self.tell("TabletTypeChanged", said).await;
        Ok(())
    }

    async fn reparent(&self, index: u32, to: &TabletAlias) -> Result<(), Finding> {
        let (keyspace, shard) = self.shard_name();
        let reparent = Reparent {
            new_primary: Some(to.clone()),
            // Done already by a pass that was killed, or undone by vtorc: then it is looked at again.
            expected_primary: Some(self.alias(index)),
            wait_replicas: CATCH_UP,
            ..Reparent::new(keyspace, &shard)
        };
        let promoted = self.vtctld.reparent(&reparent).await;
        let promoted = promoted.map_err(|error| self.refused(&error))?;
        let said = format!(
            "Tablet {promoted} is primary in the place of {}, which leaves.",
            self.alias(index)
        );
        self.tell("PrimaryMoved", said).await;
        Ok(())
    }

    async fn forget(&self, index: u32) -> Result<(), Finding> {
        let alias = self.alias(index);
        self.has_ended(&self.of.name(index)).await?;
        match self.vtctld.delete_tablet(&alias).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(self.refused(&error)),
        }
        let said = format!("Tablet {alias} is no longer recorded.");
        self.tell("TabletForgotten", said).await;
        Ok(())
    }

    /// Errs if there is a pod of this name, be it without our labels.
    async fn has_ended(&self, name: &str) -> Result<(), Finding> {
        let api: Api<Pod> =
            Api::namespaced(self.shared.client.clone(), &self.of.wanted.names.namespace);
        let pod = in_time(api.get_opt(name)).await;
        match pod.map_err(|error| unread("Pod", &error))? {
            None => Ok(()),
            Some(_) => {
                let said = format!("Pod {name} is there and has other labels than ours.");
                Err(Finding::yes(kind::PROGRESSING, "PodStillThere", said))
            }
        }
    }

    async fn tell(&self, reason: &str, note: String) {
        self.shared
            .tell(self.of.pool, EventType::Normal, reason, note)
            .await;
    }
}
