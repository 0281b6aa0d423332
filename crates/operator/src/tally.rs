//! What all collectors did, for our metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use foreshard_history::collector::{CollectorStats, SignalCounts};

use crate::metrics::{Metrics, PurposeLabels, ReasonLabels, StateLabels};
use crate::sources::{Made, SourceKey};

/// Remembers what was counted: collectors come and go, and a counter may only rise.
#[derive(Default)]
pub(crate) struct Tally {
    counted: BTreeMap<SourceKey, CollectorStats>,
}

impl Tally {
    /// Counts what happened since the last call.
    pub(crate) fn count(&mut self, metrics: &Metrics, sources: &[(SourceKey, Arc<Made>)]) {
        let now: BTreeMap<SourceKey, CollectorStats> = sources
            .iter()
            .map(|(key, made)| (key.clone(), made.collector.stats()))
            .collect();
        let none = CollectorStats::default();
        for (key, stats) in &now {
            add(metrics, self.counted.get(key).unwrap_or(&none), stats);
        }
        show(metrics, now.values().map(|stats| stats.signals));
        self.counted = now;
    }
}

fn add(metrics: &Metrics, before: &CollectorStats, now: &CollectorStats) {
    // Less than before: another collector of the same name, which began at 0.
    let grown = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now);
    let queries = [
        ("live", before.live_queries, now.live_queries),
        ("refresh", before.refresh_queries, now.refresh_queries),
        ("backfill", before.backfill_queries, now.backfill_queries),
    ];
    for (purpose, before, now) in queries {
        let queries = metrics.queries.get_or_create(&PurposeLabels { purpose });
        queries.inc_by(grown(before, now));
    }
    for (place, (kind, count)) in now.failures.iter().enumerate() {
        let before = before.failures.get(place).map_or(0, |(_, count)| *count);
        let more = grown(before, *count);
        if more > 0 {
            let reason = kind.as_str();
            let failures = metrics
                .query_failures
                .get_or_create(&ReasonLabels { reason });
            failures.inc_by(more);
        }
    }
}

fn show(metrics: &Metrics, all: impl Iterator<Item = SignalCounts>) {
    let sum = all.fold(SignalCounts::default(), |sum, one| SignalCounts {
        waiting: sum.waiting + one.waiting,
        backfilling: sum.backfilling + one.backfilling,
        fresh: sum.fresh + one.fresh,
        no_data: sum.no_data + one.no_data,
        failing: sum.failing + one.failing,
    });
    let states = [
        ("waiting", sum.waiting),
        ("backfilling", sum.backfilling),
        ("fresh", sum.fresh),
        ("no_data", sum.no_data),
        ("failing", sum.failing),
    ];
    for (state, count) in states {
        let signals = metrics.signals.get_or_create(&StateLabels { state });
        signals.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(live_queries: u64, failed: u64) -> CollectorStats {
        use foreshard_history::collector::FaultKind;
        CollectorStats {
            live_queries,
            failures: vec![(FaultKind::Unreachable, failed)],
            ..CollectorStats::default()
        }
    }

    #[test]
    fn counters_rise_by_what_is_new_and_never_fall() {
        let metrics = Metrics::new();
        add(&metrics, &CollectorStats::default(), &stats(10, 1));
        add(&metrics, &stats(10, 1), &stats(12, 1));
        // The source was made anew.
        add(&metrics, &stats(12, 1), &stats(3, 2));
        let text = metrics.text();
        let lines = [
            "foreshard_prometheus_queries_total{purpose=\"live\"} 15",
            "foreshard_prometheus_queries_failed_total{reason=\"unreachable\"} 2",
        ];
        for line in lines {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
