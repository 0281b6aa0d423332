//! How often, so that the budget is kept.

use std::time::Duration;

use super::signal::RECENT_STEP_SECONDS;

/// Part of the budget that live samples may take. The rest is for bins: refreshes first, backfills after them.
const LIVE_SHARE: f64 = 0.7;

/// Part of the budget that refreshes may take.
const REFRESH_SHARE: f64 = 0.15;

/// The intervals between two queries of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) poll: Duration,
    pub(super) refresh: Duration,
}

impl Pace {
    /// For so many different queries.
    pub(super) fn new(queries: usize, poll_every: Duration, queries_per_minute_max: u32) -> Self {
        let minutes = queries as f64 / f64::from(queries_per_minute_max.max(1));
        let stretched = |share: f64| Duration::from_secs_f64(60.0 * minutes / share);
        Self {
            poll: poll_every.max(stretched(LIVE_SHARE)),
            // A bin is complete once a minute.
            refresh: Duration::from_secs(RECENT_STEP_SECONDS as u64).max(stretched(REFRESH_SHARE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_stretch_where_the_budget_wants_it() {
        let pace = |queries| {
            let pace = Pace::new(queries, Duration::from_secs(5), 3000);
            (pace.poll.as_secs_f64(), pace.refresh.as_secs_f64())
        };
        assert_eq!(pace(0), (5.0, 60.0));
        assert_eq!(pace(175), (5.0, 60.0));
        assert_eq!(pace(350), (10.0, 60.0));
        assert_eq!(pace(2100), (60.0, 280.0));
    }
}
