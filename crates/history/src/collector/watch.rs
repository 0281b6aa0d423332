//! Interest in a signal.

use std::sync::{Arc, Weak};
use std::time::Duration;

use foreshard_forecast::{Sample, Series};
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

    /// A counter in the query whose value itself is used, and not how fast it grows: hardly what somebody wants.
    #[must_use]
    pub fn raw_counter(&self) -> Option<&str> {
        self.interest.signal.query.raw_counter()
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

    /// A look at its history that keeps no interest in it.
    #[must_use]
    pub fn glance(&self) -> Glance {
        Glance(Arc::downgrade(&self.interest))
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

/// A look at the history of a signal, as long as somebody else watches it.
#[derive(Clone, Debug)]
pub struct Glance(Weak<Interest>);

impl Glance {
    /// Its bins of [`HISTORY_STEP_SECONDS`](super::HISTORY_STEP_SECONDS); none: nobody watches it any more.
    #[must_use]
    pub fn history(&self) -> Option<Series> {
        let interest = self.0.upgrade()?;
        // To the end of what was asked for.
        let seen = interest.signal.known().seen(i64::MIN);
        Some(seen.history)
    }
}
