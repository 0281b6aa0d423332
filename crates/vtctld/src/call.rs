//! Which calls there are, what each may change, and how long it may take.

use std::{fmt, time::Duration};

/// One call of vtctld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The call's name in Vitess's own service definition.
    pub name: &'static str,
    /// What it may change.
    pub effect: Effect,
    /// How long an answer may take, connecting included.
    pub deadline: Duration,
}

/// What a call may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it may be repeated at will.
    Reads,
    /// Something: before repeating it, see how far it got.
    Changes,
}

impl Call {
    const fn reads(name: &'static str) -> Self {
        Self {
            name,
            effect: Effect::Reads,
            deadline: READ_DEADLINE,
        }
    }

    const fn changes(name: &'static str, deadline: Duration) -> Self {
        Self {
            name,
            effect: Effect::Changes,
            deadline,
        }
    }

    /// The same call with time for what the server was asked to wait for.
    pub(crate) const fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Reads ask the topology and up to every primary of a keyspace; vtctld's own limit for one tablet is 15 s.
const READ_DEADLINE: Duration = Duration::from_secs(30);
/// Changes of the topology server alone.
const RECORD_DEADLINE: Duration = Duration::from_secs(30);
/// Changes that run statements on tablets, or remove what many tablets hold.
const TABLETS_DEADLINE: Duration = Duration::from_secs(300);

pub(crate) const ADD_CELL_INFO: Call = Call::changes("AddCellInfo", RECORD_DEADLINE);
pub(crate) const APPLY_SCHEMA: Call = Call::changes("ApplySchema", TABLETS_DEADLINE);
pub(crate) const APPLY_VSCHEMA: Call = Call::changes("ApplyVSchema", RECORD_DEADLINE);
pub(crate) const CHANGE_TABLET_TYPE: Call = Call::changes("ChangeTabletType", RECORD_DEADLINE);
pub(crate) const CREATE_KEYSPACE: Call = Call::changes("CreateKeyspace", RECORD_DEADLINE);
pub(crate) const DELETE_KEYSPACE: Call = Call::changes("DeleteKeyspace", RECORD_DEADLINE);
pub(crate) const DELETE_TABLETS: Call = Call::changes("DeleteTablets", RECORD_DEADLINE);
/// A query that reads nothing; whoever waits for it waits for a server that is away.
const QUERY_DEADLINE: Duration = Duration::from_secs(5);

pub(crate) const EXECUTE: Call = Call {
    name: "Execute",
    effect: Effect::Reads,
    deadline: QUERY_DEADLINE,
};
pub(crate) const GET_BACKUPS: Call = Call::reads("GetBackups");
pub(crate) const GET_CELL_INFO_NAMES: Call = Call::reads("GetCellInfoNames");
pub(crate) const GET_FULL_STATUS: Call = Call::reads("GetFullStatus");
pub(crate) const GET_KEYSPACE: Call = Call::reads("GetKeyspace");
pub(crate) const GET_KEYSPACES: Call = Call::reads("GetKeyspaces");
pub(crate) const GET_SHARD: Call = Call::reads("GetShard");
pub(crate) const GET_SRV_KEYSPACES: Call = Call::reads("GetSrvKeyspaces");
pub(crate) const GET_TABLETS: Call = Call::reads("GetTablets");
pub(crate) const GET_WORKFLOWS: Call = Call::reads("GetWorkflows");
pub(crate) const MOVE_TABLES_COMPLETE: Call = Call::changes("MoveTablesComplete", TABLETS_DEADLINE);
pub(crate) const PLANNED_REPARENT_SHARD: Call =
    Call::changes("PlannedReparentShard", TABLETS_DEADLINE);
pub(crate) const REBUILD_KEYSPACE_GRAPH: Call =
    Call::changes("RebuildKeyspaceGraph", RECORD_DEADLINE);
pub(crate) const REBUILD_VSCHEMA_GRAPH: Call =
    Call::changes("RebuildVSchemaGraph", RECORD_DEADLINE);
pub(crate) const RESHARD_CREATE: Call = Call::changes("ReshardCreate", TABLETS_DEADLINE);
pub(crate) const SET_KEYSPACE_DURABILITY_POLICY: Call =
    Call::changes("SetKeyspaceDurabilityPolicy", RECORD_DEADLINE);
pub(crate) const SHARD_REPLICATION_POSITIONS: Call = Call::reads("ShardReplicationPositions");
pub(crate) const VDIFF_CREATE: Call = Call::changes("VDiffCreate", TABLETS_DEADLINE);
pub(crate) const VDIFF_SHOW: Call = Call::reads("VDiffShow");
pub(crate) const WORKFLOW_DELETE: Call = Call::changes("WorkflowDelete", TABLETS_DEADLINE);
pub(crate) const WORKFLOW_STATUS: Call = Call::reads("WorkflowStatus");
pub(crate) const WORKFLOW_SWITCH_TRAFFIC: Call =
    Call::changes("WorkflowSwitchTraffic", TABLETS_DEADLINE);
