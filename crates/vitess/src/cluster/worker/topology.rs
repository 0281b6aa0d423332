//! The topology is there and says what it should, before anything rests on it.

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::TopoServer;
use foreshard_api::v1alpha1::vitess::Cell;
use foreshard_controller::error::chain;
use foreshard_vtctld::{Keyspace, TabletType};
use kube::runtime::events::EventType;

use super::{Round, Step};
use crate::apply::{ApplyError, trouble};
use crate::cluster::build;
use crate::cluster::names::VTCTLD;
use crate::cluster::plan::{Plan, Recorded, plan};
use crate::cluster::policies;
use crate::cluster::reach::{Way, refused, way};
use crate::cluster::status::{ShardSeen, Told};
use crate::pods;

impl Round<'_> {
    /// etcd answers, where it is ours.
    pub(super) async fn topology(&self, told: &mut Told) -> Result<Step, Finding> {
        let Some(wanted) = build::topo_server(self.wanted, self.owner) else {
            return Ok(Step::Done);
        };
        let names = &self.wanted.names;
        let live = self.shared.topo_servers.get(&names.namespace, &names.name);
        let written = self.shared.writers.cluster.apply(&wanted, live.as_deref());
        written.await.map_err(|error| trouble(&error))?;
        if let Some(not_ready) = not_ready(live.as_deref()) {
            told.topology = Some(not_ready);
            let said = format!("TopoServer {} has to be ready first.", names.name);
            return Ok(Step::Waits("WaitsForTopology", said));
        }
        Ok(Step::Done)
    }

    /// What all shards share.
    pub(super) async fn apply_shared(&self) -> Result<(), ApplyError> {
        let (shared, namespace) = (self.shared, &self.wanted.names.namespace);
        let writer = &shared.writers.cluster;
        for wanted in build::services(self.wanted, self.owner) {
            let name = wanted.metadata.name.clone().unwrap_or_default();
            let live = shared.services.get(namespace, &name);
            writer.apply(&wanted, live.as_deref()).await?;
        }
        for wanted in policies::policies(self.wanted, self.owner, &shared.namespace) {
            let name = wanted.metadata.name.clone().unwrap_or_default();
            let live = shared.policies.get(namespace, &name);
            writer.apply(&wanted, live.as_deref()).await?;
        }
        let vtctld = build::vtctld(self.wanted);
        let live = shared.deployments.get(namespace, &vtctld.name);
        let wanted = vtctld.deployment(self.wanted, self.owner);
        writer.apply(&wanted, live.as_deref()).await?;
        let live = shared.budgets.get(namespace, &vtctld.name);
        let wanted = vtctld.budget(self.wanted, self.owner);
        writer.apply(&wanted, live.as_deref()).await
    }

    /// Cells and keyspaces are recorded, by vtctld.
    pub(super) async fn record(&self, told: &mut Told) -> Result<Step, Finding> {
        let names = &self.wanted.names;
        let way = way(self.shared, names).await?;
        let recorded = match recorded(&way).await {
            Ok(recorded) => recorded,
            Err(error) => {
                self.shared.ways.forget(names);
                let said = format!("vtctld cannot be asked: {}", chain(&error));
                let finding = Finding::no(kind::TOPOLOGY_READY, "VtctldUnreachable", said);
                told.topology = Some(finding);
                let selector = names.selector(VTCTLD);
                let trouble = pods::first_trouble(self.shared, &names.namespace, &selector);
                let usual = || format!("Deployment {} starts, or is away.", names.vtctld());
                let said = trouble.unwrap_or_else(usual);
                return Ok(Step::Waits("WaitsForVtctld", said));
            }
        };
        let todo = plan(self.wanted, &recorded, &told.begun, &told.ending);
        told.recorded = Some((recorded.cells.len(), recorded.keyspaces.len()));
        if let Some(lost) = todo.lost {
            told.topology = Some(Finding::no(kind::TOPOLOGY_READY, "TopologyLost", lost));
            return Ok(Step::Done);
        }
        let added = (todo.cells.len(), todo.keyspaces.len());
        self.carry_out(&way, &todo).await?;
        told.recorded = Some((
            recorded.cells.len() + added.0,
            recorded.keyspaces.len() + added.1,
        ));
        let said = "Cells and keyspaces are recorded.";
        told.topology = Some(Finding::yes(kind::TOPOLOGY_READY, "Recorded", said));
        Ok(Step::Done)
    }

    async fn carry_out(&self, way: &Way, todo: &Plan) -> Result<(), Finding> {
        let (wanted, shared) = (self.wanted, self.shared);
        let vtctld = &way.vtctld;
        let refused = |error| refused(shared, &wanted.names, &error);
        let leads = || {
            let leads = shared.writers.cluster.leads();
            leads.map_err(|error| trouble(&error))
        };
        for cell in &todo.cells {
            leads()?;
            let (addresses, root) = (&wanted.topology.addresses, wanted.topology.cell_root(cell));
            let added = vtctld.add_cell(cell, addresses, &root).await;
            unless_there(added).map_err(refused)?;
            self.tell("CellRecorded", format!("Cell {cell} is recorded."))
                .await;
        }
        let record = |(name, durability_policy): &(String, String)| Keyspace {
            name: name.clone(),
            durability_policy: durability_policy.clone(),
        };
        for named in &todo.keyspaces {
            leads()?;
            let created = vtctld.create_keyspace(&record(named)).await;
            unless_there(created).map_err(refused)?;
            let said = format!(
                "Keyspace {} is recorded with durability {}.",
                named.0, named.1
            );
            self.tell("KeyspaceRecorded", said).await;
        }
        for named in &todo.policies {
            leads()?;
            vtctld
                .set_durability_policy(&record(named))
                .await
                .map_err(refused)?;
            let said = format!("Keyspace {} has durability {} now.", named.0, named.1);
            self.tell("DurabilityChanged", said).await;
        }
        Ok(())
    }

    /// Has each keyspace that has its primaries known in every cell: a tablet makes it known in its own only, and gateways of
    /// the others would not find it.
    pub(super) async fn spread(&self, told: &Told) -> Result<(), Finding> {
        let (names, shared) = (&self.wanted.names, self.shared);
        let way = way(shared, names).await?;
        let refused = |error| refused(shared, names, &error);
        let lasting = self.wanted.spec.keyspaces.iter();
        for keyspace in lasting.filter(|it| !told.ending.contains(&it.name)) {
            if !self.has_primaries(&keyspace.name) {
                continue;
            }
            let serving = way.vtctld.serving(&keyspace.name).await;
            let serving = serving.map_err(refused)?;
            let is_known = |cell: &Cell| {
                let shards = serving.cells.get(&cell.name);
                let shards = shards.and_then(|it| it.get(&TabletType::Primary));
                shards.is_some_and(|it| !it.is_empty())
            };
            if self.wanted.spec.cells.iter().all(is_known) {
                continue;
            }
            let leads = shared.writers.cluster.leads();
            leads.map_err(|error| trouble(&error))?;
            let rebuilt = way.vtctld.rebuild_keyspace_graph(&keyspace.name).await;
            rebuilt.map_err(refused)?;
        }
        Ok(())
    }

    /// Whether each shard of a keyspace has had a primary.
    fn has_primaries(&self, keyspace: &str) -> bool {
        let shards = self.shards.iter();
        let mut shards = shards.filter(|it| it.spec.keyspace == keyspace).peekable();
        shards.peek().is_some() && shards.all(|it| ShardSeen::read(it).initialized)
    }

    async fn tell(&self, reason: &str, note: String) {
        self.shared
            .tell(self.object, EventType::Normal, reason, note)
            .await;
    }
}

/// What was made by a pass that ended half way is there.
fn unless_there(done: Result<(), foreshard_vtctld::Error>) -> Result<(), foreshard_vtctld::Error> {
    match done {
        Err(error) if error.is_already_exists() => Ok(()),
        other => other,
    }
}

async fn recorded(way: &Way) -> Result<Recorded, foreshard_vtctld::Error> {
    let cells = way.vtctld.cells().await?;
    let keyspaces = way.vtctld.keyspaces().await?;
    Ok(Recorded {
        cells: cells.into_iter().collect(),
        keyspaces: keyspaces
            .into_iter()
            .map(|it| (it.name, it.durability_policy))
            .collect(),
    })
}

/// Why clients cannot rely on etcd, by its own controller.
fn not_ready(server: Option<&TopoServer>) -> Option<Finding> {
    let conditions = server.and_then(|it| Some(&it.status.as_ref()?.conditions));
    let ready = conditions.and_then(|all| all.iter().find(|it| it.type_ == kind::READY));
    match ready {
        Some(ready) if ready.status == "True" => None,
        Some(ready) => {
            let reason = if ready.reason == "TopologyLost" {
                "TopologyLost"
            } else {
                "TopoServerNotReady"
            };
            let said = format!("TopoServer: {}", ready.message);
            Some(Finding::no(kind::TOPOLOGY_READY, reason, said))
        }
        None => {
            let said = "The TopoServer was not looked at yet.";
            Some(Finding::no(
                kind::TOPOLOGY_READY,
                "TopoServerNotReady",
                said,
            ))
        }
    }
}
