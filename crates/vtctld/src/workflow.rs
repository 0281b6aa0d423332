//! Workflows: what streams there are and how far they are.

use std::collections::BTreeMap;

use crate::{
    Client, Error, TabletAlias, call,
    wire::{vtctldata, vttime},
};

/// A workflow with its streams.
///
/// After the write switch the server lists only `NAME_reverse`; the forward one is frozen, and is shown by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workflow {
    /// Its name.
    pub name: String,
    /// `Reshard`, `MoveTables`, … as the server writes it.
    pub kind: String,
    /// Where rows come from.
    pub source: Location,
    /// Where rows go to.
    pub target: Location,
    /// How far the slowest stream is behind, in seconds, by its last heartbeat.
    pub max_lag_seconds: i64,
    /// How far the slowest stream is behind, in seconds, by its last transaction.
    pub max_transaction_lag_seconds: i64,
    /// One for each pair of a target shard and a source shard that overlap.
    pub streams: Vec<Stream>,
}

/// A keyspace and some of its shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The keyspace.
    pub keyspace: String,
    /// The shards.
    pub shards: Vec<String>,
}

/// One stream of rows into one target shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its number, unique on its tablet.
    pub id: i64,
    /// The target shard.
    pub shard: String,
    /// The target's tablet that pulls.
    pub tablet: Option<TabletAlias>,
    /// What it does.
    pub state: StreamState,
    /// Up to where it has the source's changes.
    pub position: String,
    /// What it last had to say; its error in [`StreamState::Error`].
    pub message: String,
    /// Rows copied so far. Stays 0 until the stream runs: [`copying`](Self::copying) moves before that.
    pub rows_copied: i64,
    /// Tables that are being copied; empty when all are.
    pub copying: Vec<CopyPosition>,
    /// When the newest transaction that it has was committed on the source, in Unix seconds.
    pub transaction_seconds: Option<i64>,
    /// When the record was last changed, in Unix seconds.
    pub updated_seconds: Option<i64>,
    /// Which part was last throttled, and when in Unix seconds.
    pub throttled: Option<(String, i64)>,
}

/// How far the copy of a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPosition {
    /// The table.
    pub table: String,
    /// The last primary key that was copied, in the server's own notation; empty before the first row.
    pub last_primary_key: String,
}

/// What a stream does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Nothing yet.
    Init,
    /// Nothing, on purpose.
    Stopped,
    /// It copies rows.
    Copying,
    /// It follows the source.
    Running,
    /// It follows the source, from too far behind.
    Lagging,
    /// Nothing, because of the error in the stream's message.
    Error,
    /// What this client does not know, as the server writes it.
    Other(String),
}

impl StreamState {
    fn from_wire(state: String) -> Self {
        match state.as_str() {
            "Init" => Self::Init,
            "Stopped" => Self::Stopped,
            "Copying" => Self::Copying,
            "Running" => Self::Running,
            "Lagging" => Self::Lagging,
            "Error" => Self::Error,
            _ => Self::Other(state),
        }
    }
}

impl Workflow {
    /// Whether there is a stream, and every one of them follows its source.
    pub fn is_running(&self) -> bool {
        !self.streams.is_empty()
            && self
                .streams
                .iter()
                .all(|stream| stream.state == StreamState::Running && stream.copying.is_empty())
    }

    /// Whether its traffic was switched away for good: only the reverse workflow moves it now.
    pub fn is_frozen(&self) -> bool {
        !self.streams.is_empty() && self.streams.iter().all(|stream| stream.message == "FROZEN")
    }

    pub(crate) fn from_wire(workflow: vtctldata::Workflow) -> Self {
        let location = |from: Option<vtctldata::workflow::ReplicationLocation>| {
            let from = from.unwrap_or_default();
            Location {
                keyspace: from.keyspace,
                shards: from.shards,
            }
        };
        let streams = workflow.shard_streams.into_values();
        Self {
            name: workflow.name,
            kind: workflow.workflow_type,
            source: location(workflow.source),
            target: location(workflow.target),
            max_lag_seconds: workflow.max_v_replication_lag,
            max_transaction_lag_seconds: workflow.max_v_replication_transaction_lag,
            streams: streams
                .flat_map(|shard| shard.streams)
                .map(Stream::from_wire)
                .collect(),
        }
    }
}

impl Stream {
    fn from_wire(stream: vtctldata::workflow::Stream) -> Self {
        let copying = stream.copy_states.into_iter().map(|copy| CopyPosition {
            table: copy.table,
            last_primary_key: copy.last_pk,
        });
        let throttled = stream.throttler_status.and_then(|throttler| {
            let seconds = vttime::known_seconds(throttler.time_throttled.as_ref())?;
            Some((throttler.component_throttled, seconds))
        });
        Self {
            id: stream.id,
            shard: stream.shard,
            tablet: stream.tablet.map(TabletAlias::from),
            state: StreamState::from_wire(stream.state),
            position: stream.position,
            message: stream.message,
            rows_copied: stream.rows_copied,
            copying: copying.collect(),
            transaction_seconds: vttime::known_seconds(stream.transaction_timestamp.as_ref()),
            updated_seconds: vttime::known_seconds(stream.time_updated.as_ref()),
            throttled,
        }
    }
}

/// A workflow's state in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowStatus {
    /// How far each table is, while tables are copied; may be empty all the time.
    pub tables: BTreeMap<String, TableCopy>,
    /// Streams by `KEYSPACE/TARGET-SHARD`.
    pub streams: BTreeMap<String, Vec<StreamStatus>>,
    /// Which traffic is switched, in the server's English. For decisions there is [`Client::serving`].
    pub traffic: String,
}

/// How far the copy of a table is, over all shards. Totals are MySQL's estimates, and may be wrong by half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableCopy {
    /// Rows that the targets have.
    pub rows_copied: i64,
    /// Rows that the sources have.
    pub rows_total: i64,
    /// Bytes that the targets have.
    pub bytes_copied: i64,
    /// Bytes that the sources have.
    pub bytes_total: i64,
}

/// A stream's state in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// Its number.
    pub id: i32,
    /// The target's tablet that pulls.
    pub tablet: Option<TabletAlias>,
    /// `KEYSPACE/SHARD` that it pulls from.
    pub source_shard: String,
    /// What it does.
    pub state: StreamState,
    /// Up to where it has the source's changes.
    pub position: String,
    /// Lag and time of the last transaction, in the server's English.
    pub info: String,
}

impl WorkflowStatus {
    pub(crate) fn from_wire(status: vtctldata::WorkflowStatusResponse) -> Self {
        let table = |copy: vtctldata::workflow_status_response::TableCopyState| TableCopy {
            rows_copied: copy.rows_copied,
            rows_total: copy.rows_total,
            bytes_copied: copy.bytes_copied,
            bytes_total: copy.bytes_total,
        };
        let stream = |stream: vtctldata::workflow_status_response::ShardStreamState| StreamStatus {
            id: stream.id,
            tablet: stream.tablet.map(TabletAlias::from),
            source_shard: stream.source_shard,
            state: StreamState::from_wire(stream.status),
            position: stream.position,
            info: stream.info,
        };
        let tables = status.table_copy_state.into_iter();
        let shards = status.shard_streams.into_iter();
        Self {
            tables: tables.map(|(name, copy)| (name, table(copy))).collect(),
            streams: shards
                .map(|(name, shard)| (name, shard.streams.into_iter().map(stream).collect()))
                .collect(),
            traffic: status.traffic_state,
        }
    }
}

impl Client {
    /// A keyspace's workflows, frozen ones left out.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn workflows(&self, keyspace: &str) -> Result<Vec<Workflow>, Error> {
        self.get_workflows(vtctldata::GetWorkflowsRequest {
            keyspace: keyspace.to_owned(),
            active_only: true,
            workflow: String::new(),
        })
        .await
    }

    /// One workflow, frozen or not; none if there is none of this name.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn workflow(
        &self,
        keyspace: &str,
        workflow: &str,
    ) -> Result<Option<Workflow>, Error> {
        let mut found = self
            .get_workflows(vtctldata::GetWorkflowsRequest {
                keyspace: keyspace.to_owned(),
                active_only: false,
                workflow: workflow.to_owned(),
            })
            .await?;
        Ok(found.pop())
    }

    /// A workflow's state in short.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_not_found`] tells if there is none of this name.
    pub async fn workflow_status(
        &self,
        keyspace: &str,
        workflow: &str,
    ) -> Result<WorkflowStatus, Error> {
        let message = vtctldata::WorkflowStatusRequest {
            keyspace: keyspace.to_owned(),
            workflow: workflow.to_owned(),
        };
        let answer = self
            .ask(
                call::WORKFLOW_STATUS,
                message,
                async |mut service, request| service.workflow_status(request).await,
            )
            .await?;
        Ok(WorkflowStatus::from_wire(answer))
    }

    async fn get_workflows(
        &self,
        message: vtctldata::GetWorkflowsRequest,
    ) -> Result<Vec<Workflow>, Error> {
        let answer = self
            .ask(
                call::GET_WORKFLOWS,
                message,
                async |mut service, request| service.get_workflows(request).await,
            )
            .await?;
        Ok(answer
            .workflows
            .into_iter()
            .map(Workflow::from_wire)
            .collect())
    }
}
