//! What is counted, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fault::{Fault, FaultKind};

/// A snapshot of what a collector did and holds. Totals never go down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectorStats {
    /// Instant queries sent, in total.
    pub live_queries: u64,
    /// Range queries for new bins sent, in total.
    pub refresh_queries: u64,
    /// Range queries for old bins sent, in total.
    pub backfill_queries: u64,
    /// Failed queries by kind, in total; in the order of [`FaultKind::ALL`].
    pub failures: Vec<(FaultKind, u64)>,
    /// Samples received, in total.
    pub samples: u64,
    /// Bytes of answers received, in total.
    pub answer_bytes: u64,
    /// Grouped queries that failed and were asked for one by one, in total.
    pub groups_split: u64,
    /// Signals watched now, by state.
    pub signals: SignalCounts,
    /// Different queries that these signals take: single ones and groups.
    pub queries_distinct: usize,
    /// The real interval between two live samples of a signal: `poll_every`, or longer where the budget wants it.
    pub poll_interval: Duration,
    /// The real interval between two refreshes of the bins.
    pub refresh_interval: Duration,
    /// Bytes of the stored samples of all signals.
    pub stored_bytes: usize,
}

/// Signals by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalCounts {
    /// Not answered yet.
    pub waiting: usize,
    /// Live, while old bins are being fetched.
    pub backfilling: usize,
    /// Live and complete.
    pub fresh: usize,
    /// The query works and gives nothing.
    pub no_data: usize,
    /// The newest query failed.
    pub failing: usize,
}

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Live,
    Refresh,
    Backfill,
}

/// The counters behind the snapshot.
#[derive(Debug, Default)]
pub(super) struct Counters {
    live_queries: AtomicU64,
    refresh_queries: AtomicU64,
    backfill_queries: AtomicU64,
    failures: [AtomicU64; FaultKind::ALL.len()],
    samples: AtomicU64,
    answer_bytes: AtomicU64,
    groups_split: AtomicU64,
    queries_distinct: AtomicU64,
    poll_interval_ms: AtomicU64,
    refresh_interval_ms: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, purpose: Purpose) {
        let counter = match purpose {
            Purpose::Live => &self.live_queries,
            Purpose::Refresh => &self.refresh_queries,
            Purpose::Backfill => &self.backfill_queries,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, samples: usize) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.answer_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, fault: &Fault) {
        let kind = fault.kind();
        let place = FaultKind::ALL.iter().position(|other| *other == kind);
        if let Some(counter) = place.and_then(|place| self.failures.get(place)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn split(&self) {
        self.groups_split.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn paced(&self, queries: usize, poll: Duration, refresh: Duration) {
        let set = |counter: &AtomicU64, value: u64| counter.store(value, Ordering::Relaxed);
        set(&self.queries_distinct, queries as u64);
        set(&self.poll_interval_ms, poll.as_millis() as u64);
        set(&self.refresh_interval_ms, refresh.as_millis() as u64);
    }

    pub(super) fn refresh_interval(&self) -> Duration {
        Duration::from_millis(self.refresh_interval_ms.load(Ordering::Relaxed))
    }

    /// All but what only the signals know.
    pub(super) fn snapshot(&self) -> CollectorStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CollectorStats {
            live_queries: get(&self.live_queries),
            refresh_queries: get(&self.refresh_queries),
            backfill_queries: get(&self.backfill_queries),
            failures: FaultKind::ALL
                .into_iter()
                .zip(self.failures.iter().map(get))
                .collect(),
            samples: get(&self.samples),
            answer_bytes: get(&self.answer_bytes),
            groups_split: get(&self.groups_split),
            signals: SignalCounts::default(),
            queries_distinct: get(&self.queries_distinct) as usize,
            poll_interval: Duration::from_millis(get(&self.poll_interval_ms)),
            refresh_interval: Duration::from_millis(get(&self.refresh_interval_ms)),
            stored_bytes: 0,
        }
    }
}
