//! A stand-in for vtctld and vtgate: the calls of bring-up and of scaling in, served from memory over real connections.
//! For tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

use self::tablets::Tablet;
use crate::{
    TabletAlias, TabletType, Tls,
    wire::{
        mysqlctl, topodata, vtctldata as data,
        vtctlservice::vtctld_server::{Vtctld, VtctldServer},
        vtgate,
        vtgateservice::vitess_server::{Vitess, VitessServer},
        vtrpc, vttime,
    },
};

mod tablets;

/// What is recorded. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StandIn(Arc<Mutex<Topology>>);

#[derive(Debug, Default)]
struct Topology {
    cells: BTreeSet<String>,
    keyspaces: BTreeMap<String, topodata::Keyspace>,
    /// Of keyspaces, the cells that know them.
    known_in: BTreeMap<String, BTreeSet<String>>,
    shards: BTreeMap<(String, String), Shard>,
    tablets: BTreeMap<TabletAlias, Tablet>,
    workflows: Vec<data::Workflow>,
    /// Of shards, when they were taken.
    backups: BTreeMap<(String, String), Vec<i64>>,
    /// In the order in which they came.
    changes: Vec<String>,
}

#[derive(Debug, Default)]
struct Shard {
    primary: Option<TabletAlias>,
}

impl StandIn {
    /// Serves on a listener that is bound, until its runtime ends, to whoever shows a certificate of `tls.ca`.
    ///
    /// # Errors
    /// What the listener, or certificate and key, are refused for.
    pub async fn serve(
        self,
        listener: std::net::TcpListener,
        tls: &Tls,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let config = ServerTlsConfig::new()
            .identity(Identity::from_pem(&tls.certificate, &tls.key))
            .client_ca_root(Certificate::from_pem(&tls.ca));
        Server::builder()
            .tls_config(config)?
            .add_service(VtctldServer::new(self.clone()))
            .add_service(VitessServer::new(self))
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await?;
        Ok(())
    }

    /// A tablet comes up, as a vttablet records itself: for what it was started for, whatever it was before. With
    /// `electing` tablets there, the first replica becomes primary.
    pub fn join(
        &self,
        keyspace: &str,
        shard: &str,
        alias: &TabletAlias,
        tablet_type: TabletType,
        electing: usize,
    ) {
        let mut topology = self.lock();
        let key = (keyspace.to_owned(), shard.to_owned());
        let tablet = Tablet::new(key.clone(), tablet_type);
        topology.tablets.insert(alias.clone(), tablet);
        let known_in = topology.known_in.entry(keyspace.to_owned()).or_default();
        known_in.insert(alias.cell.clone());
        let all = topology.tablets.iter();
        let mut there: Vec<_> = all.filter(|(_, it)| it.shard == key).collect();
        there.sort_by_key(|(_, it)| it.tablet_type != TabletType::Replica);
        let first = there.first().map(|(alias, _)| (*alias).clone());
        let is_enough = there.len() >= electing;
        let shard = topology.shards.entry(key).or_default();
        if shard.primary.is_none() && is_enough {
            shard.primary = first;
        }
    }

    /// A backup of a shard is where backups are, taken at this time in Unix seconds.
    pub fn back_up(&self, keyspace: &str, shard: &str, taken_seconds: i64) {
        let key = (keyspace.to_owned(), shard.to_owned());
        let mut topology = self.lock();
        topology.backups.entry(key).or_default().push(taken_seconds);
    }

    /// Everything that was asked to be changed, in order, such as `AddCellInfo zone1`.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        self.lock().changes.clone()
    }

    /// Forgets everything that is recorded, as if the topology's data were lost.
    pub fn wipe(&self) {
        let mut topology = self.lock();
        let changes = std::mem::take(&mut topology.changes);
        *topology = Topology {
            changes,
            ..Topology::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, Topology> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(what: &str) -> Status {
    Status::unknown(format!("node doesn't exist: {what}"))
}

fn there(what: &str) -> Status {
    Status::unknown(format!("node already exists: {what}"))
}

#[tonic::async_trait]
impl Vtctld for StandIn {
    async fn add_cell_info(
        &self,
        request: Request<data::AddCellInfoRequest>,
    ) -> Result<Response<data::AddCellInfoResponse>, Status> {
        let name = request.into_inner().name;
        let mut topology = self.lock();
        topology.changes.push(format!("AddCellInfo {name}"));
        if !topology.cells.insert(name.clone()) {
            return Err(there(&name));
        }
        Ok(Response::new(data::AddCellInfoResponse {}))
    }

    async fn get_cell_info_names(
        &self,
        _: Request<data::GetCellInfoNamesRequest>,
    ) -> Result<Response<data::GetCellInfoNamesResponse>, Status> {
        let names = self.lock().cells.iter().cloned().collect();
        Ok(Response::new(data::GetCellInfoNamesResponse { names }))
    }

    async fn create_keyspace(
        &self,
        request: Request<data::CreateKeyspaceRequest>,
    ) -> Result<Response<data::CreateKeyspaceResponse>, Status> {
        let asked = request.into_inner();
        let mut topology = self.lock();
        let change = format!("CreateKeyspace {} {}", asked.name, asked.durability_policy);
        topology.changes.push(change);
        if topology.keyspaces.contains_key(&asked.name) {
            return Err(there(&asked.name));
        }
        let record = topodata::Keyspace {
            durability_policy: asked.durability_policy,
        };
        topology.keyspaces.insert(asked.name, record);
        Ok(Response::new(data::CreateKeyspaceResponse::default()))
    }

    async fn get_keyspaces(
        &self,
        _: Request<data::GetKeyspacesRequest>,
    ) -> Result<Response<data::GetKeyspacesResponse>, Status> {
        let topology = self.lock();
        let keyspaces = topology.keyspaces.iter();
        let keyspaces = keyspaces.map(|(name, record)| data::Keyspace {
            name: name.clone(),
            keyspace: Some(record.clone()),
        });
        Ok(Response::new(data::GetKeyspacesResponse {
            keyspaces: keyspaces.collect(),
        }))
    }

    async fn set_keyspace_durability_policy(
        &self,
        request: Request<data::SetKeyspaceDurabilityPolicyRequest>,
    ) -> Result<Response<data::SetKeyspaceDurabilityPolicyResponse>, Status> {
        let asked = request.into_inner();
        let mut topology = self.lock();
        let change = format!(
            "SetKeyspaceDurabilityPolicy {} {}",
            asked.keyspace, asked.durability_policy
        );
        topology.changes.push(change);
        let record = topology.keyspaces.get_mut(&asked.keyspace);
        let record = record.ok_or_else(|| missing(&asked.keyspace))?;
        record.durability_policy = asked.durability_policy;
        Ok(Response::new(data::SetKeyspaceDurabilityPolicyResponse {}))
    }

    async fn rebuild_keyspace_graph(
        &self,
        request: Request<data::RebuildKeyspaceGraphRequest>,
    ) -> Result<Response<data::RebuildKeyspaceGraphResponse>, Status> {
        let keyspace = request.into_inner().keyspace;
        let mut topology = self.lock();
        topology
            .changes
            .push(format!("RebuildKeyspaceGraph {keyspace}"));
        let cells = topology.cells.clone();
        topology.known_in.insert(keyspace, cells);
        Ok(Response::new(data::RebuildKeyspaceGraphResponse {}))
    }

    async fn rebuild_v_schema_graph(
        &self,
        _: Request<data::RebuildVSchemaGraphRequest>,
    ) -> Result<Response<data::RebuildVSchemaGraphResponse>, Status> {
        self.lock().changes.push("RebuildVSchemaGraph".to_owned());
        Ok(Response::new(data::RebuildVSchemaGraphResponse {}))
    }

    async fn delete_keyspace(
        &self,
        request: Request<data::DeleteKeyspaceRequest>,
    ) -> Result<Response<data::DeleteKeyspaceResponse>, Status> {
        let keyspace = request.into_inner().keyspace;
        let mut topology = self.lock();
        topology.changes.push(format!("DeleteKeyspace {keyspace}"));
        let known = topology.keyspaces.remove(&keyspace);
        known.ok_or_else(|| missing(&keyspace))?;
        topology.known_in.remove(&keyspace);
        topology.shards.retain(|(of, _), _| *of != keyspace);
        topology.tablets.retain(|_, it| it.shard.0 != keyspace);
        Ok(Response::new(data::DeleteKeyspaceResponse {}))
    }

    async fn get_srv_keyspaces(
        &self,
        request: Request<data::GetSrvKeyspacesRequest>,
    ) -> Result<Response<data::GetSrvKeyspacesResponse>, Status> {
        let keyspace = request.into_inner().keyspace;
        let topology = self.lock();
        let of_keyspace = topology.shards.keys().filter(|(of, _)| *of == keyspace);
        let shards = of_keyspace.map(|(_, name)| topodata::ShardReference { name: name.clone() });
        let known = topodata::SrvKeyspace {
            partitions: vec![topodata::srv_keyspace::KeyspacePartition {
                served_type: TabletType::Primary.to_wire(),
                shard_references: shards.collect(),
            }],
        };
        let known_in = topology.known_in.get(&keyspace);
        let cells = topology.cells.iter().map(|cell| {
            let is_known = known_in.is_some_and(|it| it.contains(cell));
            // vtctld names cells that do not know it as well.
            let record = if is_known {
                known.clone()
            } else {
                topodata::SrvKeyspace::default()
            };
            (cell.clone(), record)
        });
        Ok(Response::new(data::GetSrvKeyspacesResponse {
            srv_keyspaces: cells.collect(),
        }))
    }

    async fn get_shard(
        &self,
        request: Request<data::GetShardRequest>,
    ) -> Result<Response<data::GetShardResponse>, Status> {
        let asked = request.into_inner();
        let topology = self.lock();
        let key = (asked.keyspace.clone(), asked.shard_name.clone());
        let shard = topology.shards.get(&key);
        let shard = shard.ok_or_else(|| missing(&asked.shard_name))?;
        let record = topodata::Shard {
            primary_alias: shard.primary.as_ref().map(Into::into),
            is_primary_serving: shard.primary.is_some(),
            ..topodata::Shard::default()
        };
        Ok(Response::new(data::GetShardResponse {
            shard: Some(data::Shard {
                keyspace: asked.keyspace,
                name: asked.shard_name,
                shard: Some(record),
            }),
        }))
    }

    async fn get_backups(
        &self,
        request: Request<data::GetBackupsRequest>,
    ) -> Result<Response<data::GetBackupsResponse>, Status> {
        let asked = request.into_inner();
        let topology = self.lock();
        let taken = topology.backups.get(&(asked.keyspace, asked.shard));
        let backups = taken
            .into_iter()
            .flatten()
            .map(|seconds| mysqlctl::BackupInfo {
                name: format!("{seconds}.of-a-stand-in"),
                time: Some(vttime::Time {
                    seconds: *seconds,
                    nanoseconds: 0,
                }),
            });
        Ok(Response::new(data::GetBackupsResponse {
            backups: backups.collect(),
        }))
    }

    async fn get_tablets(
        &self,
        request: Request<data::GetTabletsRequest>,
    ) -> Result<Response<data::GetTabletsResponse>, Status> {
        let asked = request.into_inner();
        let tablets = self.lock().records(&(asked.keyspace, asked.shard));
        Ok(Response::new(data::GetTabletsResponse { tablets }))
    }

    async fn change_tablet_type(
        &self,
        request: Request<data::ChangeTabletTypeRequest>,
    ) -> Result<Response<data::ChangeTabletTypeResponse>, Status> {
        let asked = request.into_inner();
        let alias = asked.tablet_alias.unwrap_or_default().into();
        let tablet_type = TabletType::from_wire(asked.db_type);
        self.lock().change_type(&alias, tablet_type)?;
        Ok(Response::new(data::ChangeTabletTypeResponse {}))
    }

    async fn delete_tablets(
        &self,
        request: Request<data::DeleteTabletsRequest>,
    ) -> Result<Response<data::DeleteTabletsResponse>, Status> {
        for alias in request.into_inner().tablet_aliases {
            self.lock().delete(&alias.into())?;
        }
        Ok(Response::new(data::DeleteTabletsResponse {}))
    }

    async fn planned_reparent_shard(
        &self,
        request: Request<data::PlannedReparentShardRequest>,
    ) -> Result<Response<data::PlannedReparentShardResponse>, Status> {
        let promoted = self.lock().reparent(request.into_inner())?;
        Ok(Response::new(data::PlannedReparentShardResponse {
            promoted_primary: Some((&promoted).into()),
        }))
    }

    async fn shard_replication_positions(
        &self,
        request: Request<data::ShardReplicationPositionsRequest>,
    ) -> Result<Response<data::ShardReplicationPositionsResponse>, Status> {
        let asked = request.into_inner();
        let replication_statuses = self.lock().replication(&(asked.keyspace, asked.shard))?;
        let answer = data::ShardReplicationPositionsResponse {
            replication_statuses,
        };
        Ok(Response::new(answer))
    }

    async fn get_full_status(
        &self,
        request: Request<data::GetFullStatusRequest>,
    ) -> Result<Response<data::GetFullStatusResponse>, Status> {
        let alias = request.into_inner().tablet_alias.unwrap_or_default().into();
        let status = self.lock().full_status(&alias)?;
        Ok(Response::new(data::GetFullStatusResponse {
            status: Some(status),
        }))
    }

    async fn get_workflows(
        &self,
        request: Request<data::GetWorkflowsRequest>,
    ) -> Result<Response<data::GetWorkflowsResponse>, Status> {
        let keyspace = request.into_inner().keyspace;
        let topology = self.lock();
        let all = topology.workflows.iter();
        let of_keyspace = all.filter(|it| {
            let target = it.target.as_ref();
            target.is_some_and(|target| target.keyspace == keyspace)
        });
        Ok(Response::new(data::GetWorkflowsResponse {
            workflows: of_keyspace.cloned().collect(),
        }))
    }
}

#[tonic::async_trait]
impl Vitess for StandIn {
    async fn execute(
        &self,
        request: Request<vtgate::ExecuteRequest>,
    ) -> Result<Response<vtgate::ExecuteResponse>, Status> {
        let target = request.into_inner().session.unwrap_or_default();
        let target = target.target_string;
        let named = target
            .strip_suffix("@primary")
            .and_then(|it| it.split_once(':'));
        let topology = self.lock();
        let serves = named.is_some_and(|(keyspace, shard)| {
            let key = (keyspace.to_owned(), shard.to_owned());
            let shard = topology.shards.get(&key);
            shard.is_some_and(|it| it.primary.is_some())
        });
        let error = (!serves).then(|| vtrpc::RpcError {
            message: format!("target: {target}: no healthy tablet available"),
        });
        Ok(Response::new(vtgate::ExecuteResponse {
            error,
            result: None,
        }))
    }
}
