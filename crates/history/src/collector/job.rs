//! One request and what it is for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{self, Answer, Bounds};
use super::entry::Grain;
use super::fault::Fault;
use super::plan::Id;
use super::stats::{Counters, Purpose};
use super::transport::{Ask, Transport};

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// The newest sample.
    Live,
    /// New recent bins, those before `to` in Unix seconds.
    Refresh { to: i64 },
    /// Old bins, those after `from` in Unix seconds, and how many points that is.
    Backfill {
        grain: Grain,
        from: i64,
        points: i64,
    },
}

impl Task {
    pub(super) fn purpose(self) -> Purpose {
        match self {
            Self::Live => Purpose::Live,
            Self::Refresh { .. } => Purpose::Refresh,
            Self::Backfill { .. } => Purpose::Backfill,
        }
    }
}

/// A request for some signals.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: Task,
    /// The unit of this plan that it is for.
    pub(super) unit: usize,
    pub(super) plan: u64,
    pub(super) members: Vec<Id>,
    /// The shape and the label by which the answer is dealt out, for several signals.
    pub(super) shared: Option<(Box<str>, Box<str>)>,
    pub(super) sent: Instant,
}

/// A job with its answer.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) job: Job,
    pub(super) result: Result<Answer, Fault>,
}

/// Asks and reads.
pub(super) async fn run(
    job: Job,
    ask: Ask,
    bounds: Bounds,
    transport: Arc<dyn Transport>,
    timeout: Duration,
    counters: Arc<Counters>,
) -> Done {
    counters.sent(job.task.purpose());
    let reply = tokio::time::timeout(timeout, transport.ask(ask)).await;
    let reply = reply.unwrap_or_else(|_| {
        Err(Fault::TimedOut {
            url: transport.url().to_owned(),
            seconds: timeout.as_secs_f64(),
        })
    });
    let result = reply.and_then(|reply| {
        counters.received(reply.body.len());
        let key = job.shared.as_ref().map(|(_, label)| &**label);
        answer::read(transport.url(), &reply, key, bounds)
    });
    match &result {
        Ok(answer) => counters.answered(answer.samples),
        Err(fault) => counters.failed(fault),
    }
    Done { job, result }
}
