//! Cells, keyspaces, shards, tablets: reading them, making the first, and moving a primary.

use std::time::Duration;

use crate::{
    Client, Error, Serving, Shard, Tablet, TabletAlias, call,
    wire::{topodata, vtctldata},
};

/// A keyspace's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// Which replicas must have a transaction before it is committed: `none`, `semi_sync`, `cross_cell`, or another
    /// that the cluster has. vtctld records any word: a wrong one shows only when no primary is elected.
    pub durability_policy: String,
}

/// A primary to be moved, with its shard healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reparent {
    /// The keyspace.
    pub keyspace: String,
    /// The shard.
    pub shard: String,
    /// Who becomes primary; none leaves the choice to the server.
    pub new_primary: Option<TabletAlias>,
    /// Who must not stay or become primary, for instance because its node goes away.
    pub avoid_primary: Option<TabletAlias>,
    /// Who must be primary before; if another is, nothing is done.
    pub expected_primary: Option<TabletAlias>,
    /// How long replicas may take to catch up before it is given up.
    pub wait_replicas: Duration,
}

impl Reparent {
    /// Another primary, of the server's choice.
    pub fn new(keyspace: &str, shard: &str) -> Self {
        Self {
            keyspace: keyspace.to_owned(),
            shard: shard.to_owned(),
            new_primary: None,
            avoid_primary: None,
            expected_primary: None,
            wait_replicas: Duration::from_secs(15),
        }
    }
}

impl Client {
    /// Records a cell: where its topology server is, and under which path.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_already_exists`] tells if there is one of this name.
    pub async fn add_cell(
        &self,
        name: &str,
        server_address: &str,
        root: &str,
    ) -> Result<(), Error> {
        let message = vtctldata::AddCellInfoRequest {
            name: name.to_owned(),
            cell_info: Some(topodata::CellInfo {
                server_address: server_address.to_owned(),
                root: root.to_owned(),
            }),
        };
        self.ask(
            call::ADD_CELL_INFO,
            message,
            async |mut service, request| service.add_cell_info(request).await,
        )
        .await?;
        Ok(())
    }

    /// Names of the cells that are recorded.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn cells(&self) -> Result<Vec<String>, Error> {
        let answer = self
            .ask(
                call::GET_CELL_INFO_NAMES,
                vtctldata::GetCellInfoNamesRequest {},
                async |mut service, request| service.get_cell_info_names(request).await,
            )
            .await?;
        Ok(answer.names)
    }

    /// Says who must have a write before it is acknowledged, from now on.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn set_durability_policy(&self, keyspace: &Keyspace) -> Result<(), Error> {
        let message = vtctldata::SetKeyspaceDurabilityPolicyRequest {
            keyspace: keyspace.name.clone(),
            durability_policy: keyspace.durability_policy.clone(),
        };
        self.ask(
            call::SET_KEYSPACE_DURABILITY_POLICY,
            message,
            async |mut service, request| service.set_keyspace_durability_policy(request).await,
        )
        .await?;
        Ok(())
    }

    /// Has a keyspace known in every cell, also in one that is newer than it.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn rebuild_keyspace_graph(&self, keyspace: &str) -> Result<(), Error> {
        let message = vtctldata::RebuildKeyspaceGraphRequest {
            keyspace: keyspace.to_owned(),
        };
        self.ask(
            call::REBUILD_KEYSPACE_GRAPH,
            message,
            async |mut service, request| service.rebuild_keyspace_graph(request).await,
        )
        .await?;
        Ok(())
    }

    /// Has the gateways of every cell know the keyspaces that are recorded, and no others.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn rebuild_vschema_graph(&self) -> Result<(), Error> {
        self.ask(
            call::REBUILD_VSCHEMA_GRAPH,
            vtctldata::RebuildVSchemaGraphRequest {},
            async |mut service, request| service.rebuild_v_schema_graph(request).await,
        )
        .await?;
        Ok(())
    }

    /// Forgets a keyspace with its VSchema, its shards and all of their tablets, whether they run or not.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_not_found`] tells if there is none of this name.
    pub async fn delete_keyspace(&self, keyspace: &str) -> Result<(), Error> {
        let message = vtctldata::DeleteKeyspaceRequest {
            keyspace: keyspace.to_owned(),
            recursive: true,
        };
        self.ask(
            call::DELETE_KEYSPACE,
            message,
            async |mut service, request| service.delete_keyspace(request).await,
        )
        .await?;
        Ok(())
    }

    /// Records a keyspace.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_already_exists`] tells if there is one of this name.
    pub async fn create_keyspace(&self, keyspace: &Keyspace) -> Result<(), Error> {
        let message = vtctldata::CreateKeyspaceRequest {
            name: keyspace.name.clone(),
            durability_policy: keyspace.durability_policy.clone(),
        };
        self.ask(
            call::CREATE_KEYSPACE,
            message,
            async |mut service, request| service.create_keyspace(request).await,
        )
        .await?;
        Ok(())
    }

    /// A keyspace's record.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_not_found`] tells if there is none.
    pub async fn keyspace(&self, keyspace: &str) -> Result<Keyspace, Error> {
        let message = vtctldata::GetKeyspaceRequest {
            keyspace: keyspace.to_owned(),
        };
        let answer = self
            .ask(call::GET_KEYSPACE, message, async |mut service, request| {
                service.get_keyspace(request).await
            })
            .await?;
        answer
            .keyspace
            .and_then(Keyspace::from_wire)
            .ok_or_else(|| self.unusable(call::GET_KEYSPACE, "keyspace", "it is missing"))
    }

    /// The records of all keyspaces.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn keyspaces(&self) -> Result<Vec<Keyspace>, Error> {
        let message = vtctldata::GetKeyspacesRequest {};
        let answer = self
            .ask(
                call::GET_KEYSPACES,
                message,
                async |mut service, request| service.get_keyspaces(request).await,
            )
            .await?;
        let keyspaces = answer.keyspaces.into_iter();
        keyspaces
            .map(Keyspace::from_wire)
            .collect::<Option<_>>()
            .ok_or_else(|| self.unusable(call::GET_KEYSPACES, "keyspaces", "a record is missing"))
    }

    /// A shard's record.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_not_found`] tells if there is none.
    pub async fn shard(&self, keyspace: &str, shard: &str) -> Result<Shard, Error> {
        let message = vtctldata::GetShardRequest {
            keyspace: keyspace.to_owned(),
            shard_name: shard.to_owned(),
        };
        let answer = self
            .ask(call::GET_SHARD, message, async |mut service, request| {
                service.get_shard(request).await
            })
            .await?;
        answer
            .shard
            .and_then(Shard::from_wire)
            .ok_or_else(|| self.unusable(call::GET_SHARD, "shard", "it is missing"))
    }

    /// The tablets of a keyspace, or of one shard of it, in the order of their aliases.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn tablets(&self, keyspace: &str, shard: Option<&str>) -> Result<Vec<Tablet>, Error> {
        let message = vtctldata::GetTabletsRequest {
            keyspace: keyspace.to_owned(),
            shard: shard.unwrap_or_default().to_owned(),
            // A cell that cannot be read is no cell without tablets.
            strict: true,
        };
        let answer = self
            .ask(call::GET_TABLETS, message, async |mut service, request| {
                service.get_tablets(request).await
            })
            .await?;
        let mut tablets = answer
            .tablets
            .into_iter()
            .map(Tablet::from_wire)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| {
                self.unusable(call::GET_TABLETS, "tablets", "one has no alias or no port")
            })?;
        tablets.sort_by(|left, right| left.alias.cmp(&right.alias));
        Ok(tablets)
    }

    /// Which shards of a keyspace serve, in all cells.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn serving(&self, keyspace: &str) -> Result<Serving, Error> {
        let message = vtctldata::GetSrvKeyspacesRequest {
            keyspace: keyspace.to_owned(),
            cells: Vec::new(),
        };
        let answer = self
            .ask(
                call::GET_SRV_KEYSPACES,
                message,
                async |mut service, request| service.get_srv_keyspaces(request).await,
            )
            .await?;
        Ok(Serving::from_wire(answer.srv_keyspaces))
    }

    /// Moves a shard's primary; the shard must be healthy. Gives the new primary.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn reparent(&self, reparent: &Reparent) -> Result<TabletAlias, Error> {
        let message = vtctldata::PlannedReparentShardRequest {
            keyspace: reparent.keyspace.clone(),
            shard: reparent.shard.clone(),
            new_primary: reparent.new_primary.as_ref().map(Into::into),
            avoid_primary: reparent.avoid_primary.as_ref().map(Into::into),
            wait_replicas_timeout: Some(reparent.wait_replicas.into()),
            expected_primary: reparent.expected_primary.as_ref().map(Into::into),
        };
        // Replicas are waited for twice: before and after the promotion.
        let call = call::PLANNED_REPARENT_SHARD
            .with_deadline(call::PLANNED_REPARENT_SHARD.deadline + 2 * reparent.wait_replicas);
        let answer = self
            .ask(call, message, async |mut service, request| {
                service.planned_reparent_shard(request).await
            })
            .await?;
        answer
            .promoted_primary
            .map(TabletAlias::from)
            .ok_or_else(|| self.unusable(call, "promoted_primary", "it is missing"))
    }
}

impl Keyspace {
    fn from_wire(keyspace: vtctldata::Keyspace) -> Option<Self> {
        Some(Self {
            name: keyspace.name,
            durability_policy: keyspace.keyspace?.durability_policy,
        })
    }
}
