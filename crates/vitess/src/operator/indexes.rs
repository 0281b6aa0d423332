//! What is kept by watches, and whose bell a change rings.

use std::sync::Arc;

use foreshard_api::v1alpha1::{KeyspaceShard, TabletPool, TopoServer, VTGatePool, Vitess};
use foreshard_controller::index::{Index, Key, Watched};
use k8s_openapi::api::batch::v1::Job;
use kube::{Resource, ResourceExt as _};

use crate::cluster::names::{CELL, ClusterNames, VITESS, pool_of, shard_of};
use crate::names::TOPO_SERVER;
use crate::shared::AllWakes;

/// Makes indexes whose changes ring the same bells.
#[derive(Default)]
pub(super) struct Indexes {
    pub(super) wakes: AllWakes,
}

/// Whether anything but a status has changed.
fn asks_otherwise<K: Resource>(old: &K, new: &K) -> bool {
    let (old, new) = (old.meta(), new.meta());
    old.annotations != new.annotations || old.deletion_timestamp != new.deletion_timestamp
}

impl Indexes {
    pub(super) fn topo_servers(&self) -> Arc<Index<TopoServer>> {
        let wakes = self.wakes.clone();
        Index::new(
            |old, new| old != new,
            |_| {},
            move |key, _| {
                wakes.topo_servers.ring(key);
                wakes.clusters.ring(key);
            },
        )
    }

    pub(super) fn clusters(&self) -> Arc<Index<Vitess>> {
        let wakes = self.wakes.clone();
        Index::new(
            |old: &Vitess, new| old.spec != new.spec || asks_otherwise(old, new),
            |_| {},
            move |key, _| wakes.clusters.ring(key),
        )
    }

    pub(super) fn shards(&self) -> Arc<Index<KeyspaceShard>> {
        let wakes = self.wakes.clone();
        Index::new(
            |old, new| old != new,
            |_| {},
            move |key, shard: &KeyspaceShard| {
                wakes.shards.ring(key);
                let cluster = (key.0.clone(), shard.spec.vitess_name.clone());
                wakes.clusters.ring(&cluster);
            },
        )
    }

    pub(super) fn tablet_pools(&self) -> Arc<Index<TabletPool>> {
        let wakes = self.wakes.clone();
        Index::new(
            |old, new| old != new,
            |_| {},
            move |key, pool: &TabletPool| {
                wakes.tablet_pools.ring(key);
                let names = ClusterNames::new(&key.0, &pool.spec.vitess_name);
                let shard = names.shard(&pool.spec.keyspace, &pool.spec.key_range);
                wakes.shards.ring(&(key.0.clone(), shard));
            },
        )
    }

    pub(super) fn gate_pools(&self) -> Arc<Index<VTGatePool>> {
        let wakes = self.wakes.clone();
        Index::new(
            |old, new| old != new,
            |_| {},
            move |key, pool: &VTGatePool| {
                wakes.gate_pools.ring(key);
                let cluster = (key.0.clone(), pool.spec.vitess_name.clone());
                wakes.clusters.ring(&cluster);
            },
        )
    }

    /// Of what members of etcd, and tablets, are made of.
    pub(super) fn members<K: Watched>(&self, differ: fn(&K, &K) -> bool) -> Arc<Index<K>> {
        let wakes = self.wakes.clone();
        let ring = move |key: &Key, object: &K| {
            let labels = object.labels();
            if let Some(of) = labels.get(TOPO_SERVER) {
                wakes.topo_servers.ring(&(key.0.clone(), of.clone()));
            }
            if let Some(pool) = pool_of(labels) {
                wakes.tablet_pools.ring(&(key.0.clone(), pool));
            }
        };
        Index::new(differ, |_| {}, ring)
    }

    /// Of what makes backups.
    pub(super) fn jobs(&self) -> Arc<Index<Job>> {
        let wakes = self.wakes.clone();
        Index::new(
            |old, new| old != new,
            |_| {},
            move |key, job: &Job| {
                if let Some(shard) = shard_of(job.labels()) {
                    wakes.shards.ring(&(key.0.clone(), shard));
                }
            },
        )
    }

    /// Of what runs beside tablets.
    pub(super) fn parts<K: Watched>(&self, differ: fn(&K, &K) -> bool) -> Arc<Index<K>> {
        let wakes = self.wakes.clone();
        let ring = move |key: &Key, object: &K| {
            let Some(name) = object.labels().get(VITESS) else {
                return;
            };
            wakes.clusters.ring(&(key.0.clone(), name.clone()));
            if let Some(cell) = object.labels().get(CELL) {
                let names = ClusterNames::new(&key.0, name);
                let pool = (key.0.clone(), names.gate_pool(cell));
                wakes.gate_pools.ring(&pool);
            }
        };
        Index::new(differ, |_| {}, ring)
    }
}
