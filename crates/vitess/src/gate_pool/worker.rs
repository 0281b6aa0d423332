//! Keeps the gateways of one cell.

use std::sync::Arc;

use foreshard_api::condition::{self, Finding, is_true, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{VTGatePool, VTGatePoolStatus};
use foreshard_controller::call::unix_now;
use foreshard_controller::index::Key;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::apply::trouble;
use crate::cluster::names::Labels;
use crate::cluster::program::Program;
use crate::cluster::wanted::Wanted;
use crate::gate_pool::build;
use crate::pods;
use crate::shared::Shared;
use crate::worker::{Pass, Passed};
use crate::workload;

/// One pool's worker.
pub(crate) struct Worker {
    key: Key,
    shared: Arc<Shared>,
}

/// What a pass found.
#[derive(Default)]
struct Told {
    deployment: Option<Arc<Deployment>>,
    selector: Labels,
    /// What a pod says that does not come up.
    trouble: Option<String>,
    waits: Option<Finding>,
}

impl Worker {
    pub(crate) fn new(key: Key, shared: Arc<Shared>) -> Self {
        Self { key, shared }
    }
}

impl Pass for Worker {
    async fn pass(&mut self) -> Passed {
        let shared = &self.shared;
        let Some(pool) = shared.gate_pools.get(&self.key.0, &self.key.1) else {
            return Passed::AsWanted;
        };
        let cluster = shared.clusters.get(&self.key.0, &pool.spec.vitess_name);
        let is_paused = cluster.as_deref().is_some_and(|it| !shared.may_change(it));
        if !shared.may_change(&*pool) || is_paused {
            return Passed::AsWanted;
        }
        let mut told = Told::default();
        let wanted = cluster.as_deref().map(Wanted::parse);
        let done = match wanted {
            Some(Ok(wanted)) => reconcile(shared, &pool, &wanted, &mut told).await,
            _ => {
                let name = &pool.spec.vitess_name;
                let said = format!("Vitess {name} is not there, or cannot be built.");
                told.waits = Some(Finding::no(kind::PROGRESSING, "ClusterMissing", said));
                Ok(())
            }
        };
        let now = time::from_unix(unix_now());
        let new = status(&pool, &told, done.as_ref().err(), &now);
        let old = pool.status.clone().unwrap_or_default();
        let (before, after) = (&old.conditions, &new.conditions);
        let kinds = [kind::READY];
        let written = old == new || shared.writers.gate_pool.status(&*pool, &new).await;
        if written {
            shared.tell_changes(&*pool, &kinds, before, after).await;
        }
        if !written || done.is_err() {
            Passed::Failed
        } else if is_true(&new.conditions, kind::READY) {
            Passed::AsWanted
        } else {
            Passed::Waits
        }
    }
}

async fn reconcile(
    shared: &Shared,
    pool: &VTGatePool,
    wanted: &Wanted,
    told: &mut Told,
) -> Result<(), Finding> {
    let Some(replicas) = pool.spec.replicas else {
        let said = "Nobody has said how many gateways there are to be: set spec.replicas.";
        told.waits = Some(Finding::yes(kind::PROGRESSING, "ReplicasNotSet", said));
        return Ok(());
    };
    let owner = workload::owner(pool);
    let program = build::vtgate(wanted, pool, replicas);
    let namespace = &wanted.names.namespace;
    told.selector.clone_from(&program.selector);
    let live = shared.deployments.get(namespace, &program.name);
    told.deployment.clone_from(&live);
    if told.ready() < replicas {
        told.trouble = obstacle(shared, wanted, &program).await;
    }
    let writer = &shared.writers.gate_pool;
    let deployment = program.deployment(wanted, &owner);
    let written = writer.apply(&deployment, live.as_deref()).await;
    written.map_err(|error| trouble(&error))?;
    let live = shared.budgets.get(namespace, &program.name);
    let budget = program.budget(wanted, &owner);
    let written = writer.apply(&budget, live.as_deref());
    written.await.map_err(|error| trouble(&error))
}

impl Told {
    /// Gateways that there are, and those of them that serve.
    fn counts(&self) -> (i32, i32) {
        let counts = self.deployment.as_ref().and_then(|it| it.status.as_ref());
        counts.map_or((0, 0), |it| {
            (it.replicas.unwrap_or(0), it.ready_replicas.unwrap_or(0))
        })
    }

    fn ready(&self) -> i32 {
        self.counts().1
    }
}

/// Why gateways do not come up, when they do not by themselves. A pod that waits for a Secret does not say so.
async fn obstacle(shared: &Shared, wanted: &Wanted, program: &Program<'_>) -> Option<String> {
    let namespace = &wanted.names.namespace;
    for (_, secret, _) in &program.secrets {
        if matches!(shared.secret(namespace, secret).await, Ok(None)) {
            return Some(format!(
                "Secret {secret}, which their pods wait for, is not there: make it, or correct spec.access."
            ));
        }
    }
    pods::first_trouble(shared, namespace, &program.selector)
}

fn status(
    pool: &VTGatePool,
    told: &Told,
    trouble: Option<&Finding>,
    now: &Time,
) -> VTGatePoolStatus {
    let old = pool.status.clone().unwrap_or_default();
    let generation = pool.metadata.generation.unwrap_or(0);
    let (all, ready) = told.counts();
    let wanted = pool.spec.replicas.unwrap_or(0);
    let is_ready = if wanted > 0 && ready >= wanted {
        Finding::yes(kind::READY, "AllServe", "All gateways serve.")
    } else if wanted == 0 {
        let said = "It is scaled to none: nobody of this cell is served.";
        Finding::no(kind::READY, "ScaledToNone", said)
    } else {
        let why = told.trouble.as_deref().map(|it| format!(" {it}"));
        let said = format!(
            "{ready} of {wanted} gateways serve.{}",
            why.unwrap_or_default()
        );
        Finding::no(kind::READY, "GatewaysNotReady", said)
    };
    let usual = || {
        let said = "Everything is as it is wanted.";
        Finding::no(kind::PROGRESSING, "AsWanted", said)
    };
    let progressing = trouble
        .or(told.waits.as_ref())
        .cloned()
        .unwrap_or_else(usual);
    let selector: Vec<_> = told
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    VTGatePoolStatus {
        observed_generation: Some(generation),
        replicas: Some(all),
        ready_replicas: Some(ready),
        selector: if selector.is_empty() {
            old.selector.clone()
        } else {
            Some(selector.join(","))
        },
        conditions: condition::merge(&old.conditions, &[is_ready, progressing], generation, now),
    }
}
