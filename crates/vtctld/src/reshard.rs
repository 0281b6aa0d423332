//! Beginning, completing and cancelling a reshard.

use crate::{
    Client, Error, TabletType, WorkflowStatus, call,
    wire::{tabletmanagerdata::TabletSelectionPreference, vtctldata},
};

/// A reshard to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reshard {
    /// The keyspace.
    pub keyspace: String,
    /// How the workflow is to be called; unique in the keyspace.
    pub workflow: String,
    /// The shards that serve now.
    pub source_shards: Vec<String>,
    /// The shards that are to serve; together exactly the ranges of the sources, each with a primary.
    pub target_shards: Vec<String>,
    /// Cells in which to look for tablets to copy from; none means the targets' own.
    pub cells: Vec<String>,
    /// Which tablets to copy from, the best first.
    pub tablet_types: Vec<TabletType>,
    /// What becomes of schema changes that the sources see meanwhile.
    pub on_ddl: OnDdl,
    /// Whether to stop when all is copied instead of following the sources.
    pub stop_after_copy: bool,
    /// Whether to build secondary keys only after the copy, which is quicker.
    pub defer_secondary_keys: bool,
}

/// What becomes of schema changes that arrive by replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDdl {
    /// They are left out.
    Ignore,
    /// The stream stops at them.
    Stop,
    /// They are carried out; an error stops the stream.
    Exec,
    /// They are carried out; errors are left out.
    ExecIgnore,
}

impl OnDdl {
    /// As Vitess writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "IGNORE",
            Self::Stop => "STOP",
            Self::Exec => "EXEC",
            Self::ExecIgnore => "EXEC_IGNORE",
        }
    }
}

impl Reshard {
    /// A reshard that copies from replicas if it can, else from the primary, and leaves schema changes out.
    pub fn new(
        keyspace: &str,
        workflow: &str,
        source_shards: &[&str],
        target_shards: &[&str],
    ) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            keyspace: keyspace.to_owned(),
            workflow: workflow.to_owned(),
            source_shards: owned(source_shards),
            target_shards: owned(target_shards),
            cells: Vec::new(),
            tablet_types: vec![TabletType::Replica, TabletType::Primary],
            on_ddl: OnDdl::Ignore,
            stop_after_copy: false,
            defer_secondary_keys: false,
        }
    }
}

impl Client {
    /// Begins a reshard: the schema is copied, then rows begin to be. Gives its first state.
    ///
    /// # Errors
    ///
    /// [`Error`]. If it may be there in part, look it up by [`Client::workflow`] before a second try. A primary that
    /// was elected just now refuses for a moment ("vreplication engine is closed"), to both.
    pub async fn create_reshard(&self, reshard: &Reshard) -> Result<WorkflowStatus, Error> {
        let message = vtctldata::ReshardCreateRequest {
            workflow: reshard.workflow.clone(),
            keyspace: reshard.keyspace.clone(),
            source_shards: reshard.source_shards.clone(),
            target_shards: reshard.target_shards.clone(),
            cells: reshard.cells.clone(),
            tablet_types: to_wire(&reshard.tablet_types),
            tablet_selection_preference: TabletSelectionPreference::Inorder.into(),
            on_ddl: reshard.on_ddl.as_str().to_owned(),
            stop_after_copy: reshard.stop_after_copy,
            defer_secondary_keys: reshard.defer_secondary_keys,
            // The command line's default, not the server's: without it nothing is ever copied.
            auto_start: true,
        };
        let answer = self
            .ask(
                call::RESHARD_CREATE,
                message,
                async |mut service, request| service.reshard_create(request).await,
            )
            .await?;
        Ok(WorkflowStatus::from_wire(answer))
    }

    /// Ends a reshard whose traffic is all switched: the source shards, their tablets and the streams back are removed
    /// from the topology. MySQL's data stays where it is; the sources' vttablets run on and must be stopped. There is
    /// no way back. Gives the server's summary.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn complete_reshard(&self, keyspace: &str, workflow: &str) -> Result<String, Error> {
        let message = vtctldata::MoveTablesCompleteRequest {
            workflow: workflow.to_owned(),
            target_keyspace: keyspace.to_owned(),
            keep_data: false,
            dry_run: false,
        };
        let answer = self
            .ask(
                call::MOVE_TABLES_COMPLETE,
                message,
                async |mut service, request| service.move_tables_complete(request).await,
            )
            .await?;
        Ok(answer.summary)
    }

    /// Gives up a reshard of which no traffic was switched, or all was switched back; else the server refuses. The
    /// streams go. Without `keep_data` the server also deletes the target shards' records; of shards whose tablets ran
    /// they were seen to be there afterwards all the same: end these first. Gives the server's summary.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn cancel_reshard(
        &self,
        keyspace: &str,
        workflow: &str,
        keep_data: bool,
    ) -> Result<String, Error> {
        let message = vtctldata::WorkflowDeleteRequest {
            keyspace: keyspace.to_owned(),
            workflow: workflow.to_owned(),
            keep_data,
        };
        let answer = self
            .ask(
                call::WORKFLOW_DELETE,
                message,
                async |mut service, request| service.workflow_delete(request).await,
            )
            .await?;
        Ok(answer.summary)
    }
}

pub(crate) fn to_wire(tablet_types: &[TabletType]) -> Vec<i32> {
    tablet_types
        .iter()
        .map(|tablet_type| tablet_type.to_wire())
        .collect()
}
