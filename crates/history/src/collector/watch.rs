//! Interest in a signal.

use std::sync::Arc;
use std::time::Duration;

use foreshard_forecast::Sample;
use tokio::sync::watch;

use super::clock::Clock;
use super::registry::Interest;
use super::signal::{RECENT_STEP_SECONDS, Seen, State};
use super::stats::Counters;

/// Interest in one query; dropping the last one of a query ends it, and forgets what was seen.
#[derive(Debug)]
pub struct Watch {
    pub(super) interest: Arc<Interest>,
    pub(super) live: watch::Receiver<u64>,
    pub(super) clock: Clock,
    pub(super) counters: Arc<Counters>,
    pub(super) timeout: Duration,
}

impl Watch {
    /// The query as it is sent: as given, or with the source's enforced matcher put in.
    #[must_use]
    pub fn promql(&self) -> &str {
        self.interest.signal.query.text()
    }

    /// All that is known now. It copies up to 75 KiB; ask [`latest`](Self::latest) or [`state`](Self::state) where these
    /// are enough.
    #[must_use]
    pub fn seen(&self) -> Seen {
        // A bin is asked for once it is complete, at the next refresh.
        let due = self.counters.refresh_interval() + self.timeout;
        let expected = self.clock.unix() - due.as_secs() as i64 - RECENT_STEP_SECONDS;
        self.interest.signal.known().seen(expected)
    }

    /// The newest live sample, however old.
    #[must_use]
    pub fn latest(&self) -> Option<Sample> {
        self.interest.signal.known().latest()
    }

    /// How the signal does.
    #[must_use]
    pub fn state(&self) -> State {
        self.interest.signal.known().state()
    }

    /// Returns when a live sample has come that this value did not tell of yet, at once if there is one. Failures and
    /// filled bins do not wake it. Dropping the future loses nothing. After the collector's end it never returns.
    pub async fn changed(&mut self) {
        if self.live.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
