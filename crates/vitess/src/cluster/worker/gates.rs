//! Gateways: a pool for each cell, and a query through them.

use std::sync::Arc;

use foreshard_api::condition::Finding;
use foreshard_api::v1alpha1::VTGatePool;
use foreshard_controller::error::chain;
use futures::future::join_all;
use kube::ResourceExt as _;

use super::Round;
use crate::apply::ApplyError;
use crate::cluster::build;
use crate::cluster::endings::leaves;
use crate::cluster::reach::way;
use crate::cluster::status::Told;
use crate::replicas::{self, Asked};

impl Round<'_> {
    /// The cluster's pools of gateways.
    pub(super) fn gate_pools(&self) -> Vec<Arc<VTGatePool>> {
        let names = &self.wanted.names;
        let all = self.shared.gate_pools.in_namespace(&names.namespace);
        all.into_iter()
            .filter(|it| it.spec.vitess_name == names.name)
            .collect()
    }

    /// Those of cells that the spec no longer names.
    pub(super) fn dropped_gates(&self) -> Vec<Arc<VTGatePool>> {
        let cells = &self.wanted.spec.cells;
        let mut pools = self.gate_pools();
        pools.retain(|it| !cells.iter().any(|cell| cell.name == it.spec.cell));
        pools
    }

    /// Takes those away that people have scaled to none.
    pub(super) async fn drop_gates(&self) -> Result<(), ApplyError> {
        for pool in self.dropped_gates() {
            let runs = pool.status.as_ref().and_then(|it| it.replicas);
            if pool.spec.replicas == Some(0) && runs == Some(0) {
                self.shared.writers.cluster.delete(&*pool).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn put_gates(&self) -> Result<(), ApplyError> {
        let (shared, namespace) = (self.shared, &self.wanted.names.namespace);
        let writers = &shared.writers;
        for cell in &self.wanted.spec.cells {
            let wanted = build::gate_pool(self.wanted, cell, self.owner);
            let live = shared.gate_pools.get(namespace, &wanted.name_any());
            let asked = Asked {
                named: cell.vtgate.replicas,
                first: cell.vtgate.initial_replicas,
            };
            let live = live.as_deref();
            replicas::put(&writers.cluster, &writers.initial, wanted, asked, live).await?;
        }
        Ok(())
    }

    /// Has the primary of every shard that takes traffic answer a query, once there are gateways.
    pub(super) async fn ask_gates(&self, told: &mut Told) -> Result<(), Finding> {
        if told.gates.is_empty() {
            return Ok(());
        }
        let way = way(self.shared, &self.wanted.names).await?;
        let idle = |name: &str| told.shards.iter().any(|it| it.name == name && it.is_idle);
        let asked = self.shards.iter();
        let asked = asked.filter(|it| !leaves(it) && !idle(&it.name_any()));
        let ask = asked.map(|it| {
            let gate = &way.gate;
            async move {
                let (keyspace, shard) = (&it.spec.keyspace, it.spec.key_range.to_string());
                let answer = gate.ping_primary(keyspace, &shard).await;
                let error = answer.err()?;
                Some((format!("{keyspace}/{shard}"), chain(&error)))
            }
        });
        told.unanswered = Some(join_all(ask).await.into_iter().flatten().collect());
        Ok(())
    }
}
