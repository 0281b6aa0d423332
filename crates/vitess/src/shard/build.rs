//! The objects of a shard, from what is wanted. Nothing is asked here.

use foreshard_api::v1alpha1::vitess::keyspace::{Durability, TabletPoolTemplate, TabletType};
use foreshard_api::v1alpha1::{KeyspaceShard, TabletPool, TabletPoolSpec};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;

use crate::cluster::names::{ClusterNames, PoolKey, VTTABLET};
use crate::tablet_pool;
use crate::workload;

/// Fewest tablets of a shard of which two have every write, with one away.
const DURABLE_TABLETS: i32 = 3;

/// The key of a shard's pool.
#[must_use]
pub fn key<'a>(shard: &'a KeyspaceShard, template: &'a TabletPoolTemplate) -> PoolKey<'a> {
    PoolKey {
        keyspace: &shard.spec.keyspace,
        range: &shard.spec.key_range,
        cell: &template.cell,
        kind: template.kind,
        pool: &template.name,
    }
}

/// A pool of a shard, without its replicas.
#[must_use]
pub fn pool(
    names: &ClusterNames,
    shard: &KeyspaceShard,
    template: &TabletPoolTemplate,
) -> TabletPool {
    let key = key(shard, template);
    let name = names.pool(&key);
    let spec = TabletPoolSpec {
        vitess_name: names.name.clone(),
        keyspace: shard.spec.keyspace.clone(),
        key_range: shard.spec.key_range.clone(),
        cell: template.cell.clone(),
        kind: template.kind,
        pool_name: template.name.clone(),
        replicas: None,
        min_replicas: fewest(shard, template),
        template: template.tablet.clone(),
    };
    let mut labels = names.pool_selector(&key);
    labels.extend(names.labels());
    let mut object = TabletPool::new(&name, spec);
    object.metadata = workload::meta(&workload::owner(shard), &names.namespace, name, labels);
    object
}

/// A pool that is no longer named, as it was, for whoever scales it.
#[must_use]
pub fn released(names: &ClusterNames, shard: &KeyspaceShard, live: &TabletPool) -> TabletPool {
    let mut labels = names.pool_selector(&tablet_pool::build::key(live));
    labels.extend(names.labels());
    let spec = TabletPoolSpec {
        replicas: None,
        min_replicas: 0,
        ..live.spec.clone()
    };
    let mut object = TabletPool::new(&live.name_any(), spec);
    object.metadata = workload::meta(
        &workload::owner(shard),
        &names.namespace,
        live.name_any(),
        labels,
    );
    object
}

/// Fewest tablets that durability asks of a pool: what is missing to three of them, were every other pool at its own first
/// count. A pool of another type has no part in that.
fn fewest(shard: &KeyspaceShard, template: &TabletPoolTemplate) -> i32 {
    if template.kind != TabletType::Replica || shard.spec.durability == Durability::None {
        return 0;
    }
    let count = |it: &TabletPoolTemplate| it.replicas.unwrap_or(it.initial_replicas);
    let others = shard.spec.tablet_pools.iter();
    let others: i32 = others
        .filter(|it| it.kind == TabletType::Replica && *it != template)
        .map(count)
        .sum();
    (DURABLE_TABLETS - others).clamp(0, count(template))
}

/// One tablet of the shard may go at a time, of so many that there are; a lone one may go: nothing would keep it. Pods
/// that end, and those that were never made, are counted by nobody, so that the number is of those with a volume: it stays
/// while a pod is away, and does not hold up a drain for one that is only wanted.
#[must_use]
pub fn budget(names: &ClusterNames, shard: &KeyspaceShard, tablets: i32) -> PodDisruptionBudget {
    let (keyspace, range) = (&shard.spec.keyspace, &shard.spec.key_range);
    let selector = names.shard_selector(keyspace, range);
    let mut labels = names.component(VTTABLET);
    labels.extend(selector.clone());
    let owner = workload::owner(shard);
    // A volume that is lost does not make two of three enough.
    let fewest = match shard.spec.durability {
        Durability::None => 1,
        _ => DURABLE_TABLETS,
    };
    PodDisruptionBudget {
        metadata: workload::meta(&owner, &names.namespace, shard.name_any(), labels),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(tablets.max(fewest) - 1)),
            selector: Some(workload::selects(&selector)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
