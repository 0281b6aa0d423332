//! Backtests: the port by which they are run, and what the API says of them.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Issue;

/// Runs backtests, away from the threads that answer requests and behind everything else.
pub trait Backtests: Send + Sync + 'static {
    /// Whether this can be replayed. It blocks, for a moment.
    ///
    /// # Errors
    /// One issue for each fault, with the path of the field in the request.
    fn check(&self, settings: &BacktestSettings, load: &Load) -> Result<(), Vec<Issue>>;

    /// Replays it and answers with what `foreshard backtest --output json` prints. It ends when the future is dropped.
    ///
    /// # Errors
    /// Why there is no result, in words.
    fn run<'a>(
        &'a self,
        order: BacktestOrder,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<serde_json::Value, String>>;
}

/// A backtest as it is run.
#[derive(Clone, Debug)]
pub struct BacktestOrder {
    /// What is replayed.
    pub load: Load,
    /// Who decides.
    pub policy: BacktestPolicy,
    /// How.
    pub settings: BacktestSettings,
}

/// A recorded load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its name in the report.
    pub name: String,
    /// `timestamp,value`, as trace files have it.
    pub csv: Bytes,
}

/// A policy under test.
#[derive(Clone, Debug)]
pub struct BacktestPolicy {
    /// Its name in the report.
    pub name: String,
    /// None: the policy that comes with Foreshard and is the default.
    pub component: Option<Bytes>,
    /// JSON.
    pub config: String,
}

/// How a load is replayed; `foreshard backtest --help` says more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BacktestSettings {
    /// Seconds from the order of an instance to its being ready; less than twice the step of the load is not judged.
    pub lag_seconds: i64,
    /// Share of time that load may exceed capacity, in (0, 1).
    pub budget: f64,
    /// Load that one instance serves; null: the peak takes 40 instances at 70 %.
    pub capacity: Option<f64>,
    /// Of the shuffles of the peer `crane`.
    pub seed: u64,
    /// IANA name of the zone that days and weeks follow.
    pub timezone: String,
}

/// How far a backtest has come.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU8>);

impl Progress {
    /// Sets it, in per cent.
    pub fn set(&self, percent: u8) {
        self.0.store(percent.min(100), Ordering::Relaxed);
    }

    pub(crate) fn percent(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What becomes of a backtest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BacktestState {
    /// Another one runs.
    Waiting,
    /// It runs.
    Running,
    /// It has a result.
    Done,
    /// It has none, and `error` says why.
    Failed,
}

/// A backtest.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Backtest {
    /// Of this replica, and only until it is restarted.
    pub(crate) id: String,
    /// When it was ordered.
    pub(crate) created_at: f64,
    /// Who ordered it.
    pub(crate) user: String,
    /// Name of the load: a target's, or that of a trace.
    pub(crate) load: String,
    /// Name of the policy module; null: the default that comes with Foreshard.
    pub(crate) module: Option<String>,
    /// The module's digest when the backtest was ordered: no other bytes are run.
    pub(crate) digest: Option<String>,
    #[serde(flatten)]
    #[schema(inline)]
    pub(crate) settings: BacktestSettings,
    pub(crate) state: BacktestState,
    /// How much of the load was lived through, in per cent.
    pub(crate) progress_percent: u8,
    /// When it ended, well or not.
    pub(crate) finished_at: Option<f64>,
    /// Why there is no result.
    pub(crate) error: Option<String>,
    /// What `foreshard backtest --output json` prints; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) result: Option<Arc<serde_json::Value>>,
}
