//! What the collector's task keeps of each signal: when it is due, and which bins are missing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::signal::{HISTORY_BINS, HISTORY_STEP_SECONDS, RECENT_BINS, RECENT_STEP_SECONDS, Signal};

const DAY_SECONDS: i64 = RECENT_BINS as i64 * RECENT_STEP_SECONDS;
const HISTORY_SECONDS: i64 = HISTORY_BINS as i64 * HISTORY_STEP_SECONDS;

/// First time for which a signal stays alone after its group failed; doubled each time.
const ALONE_FIRST: Duration = Duration::from_secs(60);

/// Most doublings: 64 minutes.
const ALONE_DOUBLINGS_MAX: u32 = 6;

/// Longest wait after a signal's own failures.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(300);

/// Bins still to be fetched: those that end after `floor` and not after `cursor`. They are fetched from the newest back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) floor: i64,
    pub(super) cursor: i64,
}

impl Span {
    pub(super) fn is_empty(self) -> bool {
        self.cursor <= self.floor
    }
}

/// Of what resolution bins are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    Recent,
    History,
}

impl Grain {
    pub(super) fn step(self) -> i64 {
        match self {
            Self::Recent => RECENT_STEP_SECONDS,
            Self::History => HISTORY_STEP_SECONDS,
        }
    }
}

/// One signal as the task sees it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) signal: Arc<Signal>,
    pub(super) live_due: Instant,
    pub(super) refresh_due: Instant,
    pub(super) backfill_due: Instant,
    /// A query of this kind is under way.
    pub(super) live_busy: bool,
    pub(super) bins_busy: bool,
    /// Unix seconds before which all bins were asked for; none before the first live answer.
    pub(super) asked_to: Option<i64>,
    recent: Span,
    history: Span,
    /// Own failures of live queries in a row.
    pub(super) failures: u32,
    /// Own failures of range queries in a row.
    pub(super) bin_failures: u32,
    /// How often the points of one backfill are halved.
    pub(super) halvings: u32,
    alone_until: Option<Instant>,
    splits: u32,
}

impl Entry {
    pub(super) fn new(signal: Arc<Signal>, now: Instant) -> Self {
        Self {
            signal,
            live_due: now,
            refresh_due: now,
            backfill_due: now,
            live_busy: false,
            bins_busy: false,
            asked_to: None,
            recent: Span::default(),
            history: Span::default(),
            failures: 0,
            bin_failures: 0,
            halvings: 0,
            alone_until: None,
            splits: 0,
        }
    }

    /// What it failed for may be over: it is asked for without waiting.
    pub(super) fn try_again(&mut self, now: Instant) {
        if self.failures > 0 {
            self.live_due = now;
        }
        if self.bin_failures > 0 {
            self.refresh_due = now;
            self.backfill_due = now;
        }
    }

    /// Whether it is to be asked for by itself.
    pub(super) fn alone(&self, now: Instant) -> bool {
        self.failures > 0 || self.alone_until.is_some_and(|until| until > now)
    }

    /// Its group failed: for a while it is asked for by itself. Returns until when.
    pub(super) fn split(&mut self, now: Instant) -> Instant {
        let doublings = self.splits.min(ALONE_DOUBLINGS_MAX);
        let until = now + ALONE_FIRST * 2_u32.pow(doublings);
        self.splits += 1;
        self.alone_until = Some(until);
        until
    }

    /// Its bins were given in a group. Newest samples do not count: where those are given and bins refused, the same
    /// group would be made and split for ever. An answer that was under way when the group was split does not join it.
    pub(super) fn grouped_well(&mut self, now: Instant) {
        if !self.alone(now) {
            self.splits = 0;
            self.alone_until = None;
        }
    }

    /// The query works: all its bins before `now` (Unix seconds, a multiple of the recent step) are wanted.
    pub(super) fn begin_bins(&mut self, now: i64) {
        self.plan_bins(
            now,
            now.div_euclid(HISTORY_STEP_SECONDS) * HISTORY_STEP_SECONDS - HISTORY_SECONDS,
        );
    }

    /// After so long without an answer that refreshes cannot catch up, the gap is filled like at the beginning.
    pub(super) fn catch_up(&mut self, now: i64) {
        let Some(asked_to) = self
            .asked_to
            .filter(|asked_to| *asked_to < now - DAY_SECONDS)
        else {
            return;
        };
        let step = HISTORY_STEP_SECONDS;
        let oldest = now.div_euclid(step) * step - HISTORY_SECONDS;
        let floor = if self.history.is_empty() {
            asked_to.div_euclid(step) * step
        } else {
            self.history.floor
        };
        self.plan_bins(now, floor.max(oldest));
    }

    fn plan_bins(&mut self, now: i64, history_floor: i64) {
        let step = HISTORY_STEP_SECONDS;
        // Recent bins hold the history of their time as well.
        let boundary = (now - DAY_SECONDS).div_euclid(step) * step;
        self.recent = Span {
            floor: boundary,
            cursor: now,
        };
        self.history = Span {
            floor: history_floor,
            cursor: boundary,
        };
        self.asked_to = Some(now);
        self.halvings = 0;
        let points = (now - boundary) / RECENT_STEP_SECONDS
            + (boundary - history_floor).max(0) / HISTORY_STEP_SECONDS;
        self.signal.known().wants(points);
    }

    /// What is to be fetched next: recent bins before old ones.
    pub(super) fn missing(&self) -> Option<(Grain, Span)> {
        if !self.recent.is_empty() {
            Some((Grain::Recent, self.recent))
        } else if !self.history.is_empty() {
            Some((Grain::History, self.history))
        } else {
            None
        }
    }

    /// The bins after `from` were fetched, or given up.
    pub(super) fn fetched(&mut self, grain: Grain, from: i64) {
        let span = match grain {
            Grain::Recent => &mut self.recent,
            Grain::History => &mut self.history,
        };
        let points = (span.cursor - from).max(0) / grain.step();
        span.cursor = from.max(span.floor).min(span.cursor);
        self.signal.known().backfilled(points);
    }

    /// How long to wait after its own failures.
    pub(super) fn retry_in(interval: Duration, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(8);
        (interval * 2_u32.pow(doublings)).min(RETRY_MAX.max(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Query;
    use super::*;

    #[test]
    fn it_stays_alone_for_longer_until_bins_are_given_in_a_group() {
        let now = Instant::now();
        let query = Query::new("up", None).unwrap();
        let mut entry = Entry::new(Arc::new(Signal::new(1, query)), now);
        assert_eq!(entry.split(now), now + ALONE_FIRST);
        let again = now + ALONE_FIRST;
        assert!(!entry.alone(again));
        assert_eq!(entry.split(again), again + ALONE_FIRST * 2);
        entry.grouped_well(again);
        assert!(entry.alone(again), "what was under way changes nothing");
        let later = again + ALONE_FIRST * 2;
        entry.grouped_well(later);
        assert_eq!(entry.split(later), later + ALONE_FIRST);
    }
}
