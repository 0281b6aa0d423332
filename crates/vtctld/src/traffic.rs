//! Switching traffic from one side of a workflow to the other.

use std::time::Duration;

use crate::{Client, Error, TabletType, call, reshard::to_wire, wire::vtctldata};

/// A switch of traffic.
///
/// Reads first: a switch of primaries before that of the other types leaves a workflow that cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchTraffic {
    /// The keyspace.
    pub keyspace: String,
    /// The workflow; the forward one's name in both directions.
    pub workflow: String,
    /// Whose traffic.
    pub tablet_types: Vec<TabletType>,
    /// Whither.
    pub direction: Direction,
    /// In which cells, for types other than primary; none means all.
    pub cells: Vec<String>,
    /// How far behind the targets may be before it is refused.
    pub max_lag: Duration,
    /// How long writes may be held while the targets catch up, at least 1 s; then it is undone. Keep it below the time
    /// for which vtgates buffer.
    pub timeout: Duration,
    /// Whether the sources are to follow the targets from then on, so that there is a way back.
    pub keep_way_back: bool,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// Whither traffic is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From sources to targets.
    Forward,
    /// From targets back to sources.
    Back,
}

/// What a switch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// The server's summary.
    pub summary: String,
    /// Which traffic was switched before, in the server's English.
    pub before: String,
    /// Which traffic is switched now, in the server's English.
    pub now: String,
    /// What would have been done, in a dry run.
    pub dry_run: Vec<String>,
}

/// The least that the server takes; below that it answers nothing, without an error.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);

impl SwitchTraffic {
    /// A switch from sources to targets, with a way back, in all cells.
    pub fn forward(keyspace: &str, workflow: &str, tablet_types: &[TabletType]) -> Self {
        Self {
            keyspace: keyspace.to_owned(),
            workflow: workflow.to_owned(),
            tablet_types: tablet_types.to_vec(),
            direction: Direction::Forward,
            cells: Vec::new(),
            max_lag: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            keep_way_back: true,
            dry_run: false,
        }
    }

    /// A switch from targets back to sources, in all cells.
    pub fn back(keyspace: &str, workflow: &str, tablet_types: &[TabletType]) -> Self {
        Self {
            direction: Direction::Back,
            ..Self::forward(keyspace, workflow, tablet_types)
        }
    }
}

impl Client {
    /// Switches traffic. Repeating a switch that was carried out does nothing; one that failed half-way is completed by
    /// the same call.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn switch_traffic(&self, switch: &SwitchTraffic) -> Result<Switched, Error> {
        // The server stops where its deadline finds it, which after the point of no return is nowhere good: it gets
        // time for the catch-up, for undoing all, and then some.
        let call = call::WORKFLOW_SWITCH_TRAFFIC
            .with_deadline(call::WORKFLOW_SWITCH_TRAFFIC.deadline + 3 * switch.timeout);
        if switch.timeout < MIN_TIMEOUT {
            return Err(Error::Request {
                call,
                field: "timeout",
                reason: format!("is {:?}; give it at least 1 s", switch.timeout),
            });
        }
        let message = vtctldata::WorkflowSwitchTrafficRequest {
            keyspace: switch.keyspace.clone(),
            workflow: switch.workflow.clone(),
            cells: switch.cells.clone(),
            tablet_types: to_wire(&switch.tablet_types),
            max_replication_lag_allowed: Some(switch.max_lag.into()),
            enable_reverse_replication: switch.keep_way_back,
            direction: match switch.direction {
                Direction::Forward => 0,
                Direction::Back => 1,
            },
            timeout: Some(switch.timeout.into()),
            dry_run: switch.dry_run,
        };
        let answer = self
            .ask(call, message, async |mut service, request| {
                service.workflow_switch_traffic(request).await
            })
            .await?;
        Ok(Switched {
            summary: answer.summary,
            before: answer.start_state,
            now: answer.current_state,
            dry_run: answer.dry_run_results,
        })
    }
}
