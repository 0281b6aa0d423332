//! What is known of one signal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foreshard_forecast::{Sample, Series};
use tokio::sync::watch;

use super::fault::Fault;
use super::query::Query;
use super::ring::Ring;

/// Seconds of a bin of the history.
pub const HISTORY_STEP_SECONDS: i64 = 300;

/// Bins of the history: 28 days.
pub const HISTORY_BINS: usize = 28 * 288;

/// Seconds of a recent bin.
pub const RECENT_STEP_SECONDS: i64 = 60;

/// Recent bins: 24 hours.
pub const RECENT_BINS: usize = 1440;

/// Most bytes of the stored samples of one signal: 37.2 KiB.
pub const SIGNAL_BYTES_MAX: usize = (HISTORY_BINS + RECENT_BINS) * size_of::<f32>();

/// How a signal does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// No query for it was answered yet.
    Waiting,
    /// Live samples come; old bins are being fetched, newest first.
    Backfilling {
        /// Bins asked for so far.
        done_bins: u32,
        /// Bins to ask for.
        wanted_bins: u32,
    },
    /// Live samples come, and the history is complete (as far as the server knows it).
    Fresh,
    /// The query works and gives nothing, or nothing finite: the metric is gone, or was never there.
    NoData {
        /// Unix seconds of the first such answer in a row.
        since: i64,
    },
    /// The newest query failed; what was seen before stays, with its age.
    Failing {
        /// Why.
        fault: Arc<Fault>,
        /// Unix seconds of the first failure in a row.
        since: i64,
    },
}

/// All that is known of a signal at a moment. Values that are not known are NaN, and nothing is made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Bins of [`HISTORY_STEP_SECONDS`] over up to 28 days, from the first known one on; empty before anything is known.
    /// A gap at the end is how old it is.
    pub history: Series,
    /// Bins of [`RECENT_STEP_SECONDS`] over up to 24 hours, likewise.
    pub recent: Series,
    /// The newest live sample, however old; its time is the server's.
    pub latest: Option<Sample>,
    /// How it does.
    pub state: State,
    /// Why part of the history could not be fetched; such parts are gaps and tried again only where that can help.
    pub history_fault: Option<Arc<Fault>>,
}

/// One query and what it gave.
#[derive(Debug)]
pub(super) struct Signal {
    /// Unlike that of any other signal of this collector.
    pub(super) id: u64,
    pub(super) query: Query,
    known: Mutex<Known>,
    /// Live samples so far.
    live: watch::Sender<u64>,
}

/// The part that changes.
#[derive(Debug)]
pub(super) struct Known {
    history: Ring,
    recent: Ring,
    latest: Option<Sample>,
    answered: bool,
    no_data_since: Option<i64>,
    failing: Option<(Arc<Fault>, i64)>,
    history_fault: Option<Arc<Fault>>,
    /// The bins before this time were asked for, in Unix seconds.
    asked_to: i64,
    backfilled_points: i64,
    wanted_points: i64,
}

impl Signal {
    pub(super) fn new(id: u64, query: Query) -> Self {
        Self {
            id,
            query,
            known: Mutex::new(Known {
                history: Ring::new(HISTORY_STEP_SECONDS, HISTORY_BINS),
                recent: Ring::new(RECENT_STEP_SECONDS, RECENT_BINS),
                latest: None,
                answered: false,
                no_data_since: None,
                failing: None,
                history_fault: None,
                asked_to: i64::MIN,
                backfilled_points: 0,
                wanted_points: 0,
            }),
            live: watch::Sender::new(0),
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.live.subscribe()
    }

    /// Nothing in here can be left half done, so a panic elsewhere does not spoil it.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A live answer: its sample, or that there is none.
    pub(super) fn live(&self, sample: Option<Sample>, now: i64) {
        let mut known = self.known();
        known.answered = true;
        known.failing = None;
        let Some(sample) = sample else {
            known.no_data_since.get_or_insert(now);
            return;
        };
        known.no_data_since = None;
        // Several servers behind one address need not agree on the time: never go back.
        if known.latest.is_some_and(|latest| latest.at > sample.at) {
            return;
        }
        known.latest = Some(sample);
        drop(known);
        self.live.send_modify(|count| *count += 1);
    }

    /// The newest query failed.
    pub(super) fn failed(&self, fault: &Arc<Fault>, now: i64) {
        let mut known = self.known();
        let since = known.failing.as_ref().map_or(now, |(_, since)| *since);
        known.failing = Some((Arc::clone(fault), since));
    }
}

impl Known {
    /// The value of the bin that ends at `time`, a multiple of [`RECENT_STEP_SECONDS`].
    pub(super) fn fill(&mut self, time: i64, value: f32) {
        self.recent.set(time, value);
        self.history.set(time, value);
    }

    /// The bins before `time` were asked for.
    pub(super) fn asked(&mut self, time: i64) {
        self.asked_to = self.asked_to.max(time);
    }

    /// More old bins were asked for.
    pub(super) fn backfilled(&mut self, points: i64) {
        self.backfilled_points += points;
    }

    /// From now on so many bins are to be filled.
    pub(super) fn wants(&mut self, points: i64) {
        self.wanted_points = points;
        self.backfilled_points = 0;
    }

    /// Part of the history could not be had.
    pub(super) fn history_failed(&mut self, fault: Option<&Arc<Fault>>) {
        self.history_fault = fault.cloned();
    }

    pub(super) fn latest(&self) -> Option<Sample> {
        self.latest
    }

    pub(super) fn stored_bytes(&self) -> usize {
        self.history.stored_bytes() + self.recent.stored_bytes()
    }

    pub(super) fn state(&self) -> State {
        if let Some((fault, since)) = &self.failing {
            return State::Failing {
                fault: Arc::clone(fault),
                since: *since,
            };
        }
        if !self.answered {
            return State::Waiting;
        }
        if let Some(since) = self.no_data_since {
            return State::NoData { since };
        }
        if self.backfilled_points < self.wanted_points {
            return State::Backfilling {
                done_bins: self.backfilled_points as u32,
                wanted_bins: self.wanted_points as u32,
            };
        }
        State::Fresh
    }

    /// All that is known; bins up to `expected`, the end of the newest bin that should be known by now, are there at
    /// least as gaps.
    pub(super) fn seen(&self, expected: i64) -> Seen {
        let end = self.asked_to.max(expected);
        Seen {
            history: self.history.until(end),
            recent: self.recent.until(end),
            latest: self.latest,
            state: self.state(),
            history_fault: self.history_fault.clone(),
        }
    }
}
