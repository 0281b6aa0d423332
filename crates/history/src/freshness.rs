//! How far a series can be trusted: facts for the decision core, which draws the conclusions.

use foreshard_forecast::Series;

/// What is known about the quality of a series at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Freshness {
    /// Seconds from the end of the newest known bin to now, at least 0; infinite when nothing is known.
    pub age_seconds: f64,
    /// Known share of the bins that the look-back should hold, in [0, 1].
    pub coverage: f64,
    /// Seconds for which the newest known value has not changed at all; 0 when it differs from the one before it.
    ///
    /// A single long run of one value is how a stuck exporter looks. Zeros count as well: whether a load that stays at
    /// exactly zero is an idle service or a dead exporter is for the decision core to say.
    pub frozen_seconds: i64,
}

impl Freshness {
    /// Measures `series` at `now` (Unix seconds) over the last `lookback_seconds` (at least one step is looked at).
    ///
    /// Bins that end after `now` are not looked at, so a test can pass the whole of a trace.
    #[must_use]
    pub fn measure(series: &Series, now: i64, lookback_seconds: i64) -> Self {
        let step = series.step;
        let known = series.until(now);
        let newest = known.values.iter().rposition(|value| value.is_finite());
        let age_seconds = newest.map_or(f64::INFINITY, |index| {
            (now - (known.start + step * (index as i64 + 1))).max(0) as f64
        });
        let expected = (lookback_seconds / step).max(1);
        // Bins that have not been written yet are missing as much as those that were lost.
        let unwritten = ((now - known.end()) / step).clamp(0, expected);
        let seen = known.tail((expected - unwritten) as usize);
        let finite = seen.values.iter().filter(|value| value.is_finite());
        Self {
            age_seconds,
            coverage: finite.count() as f64 / expected as f64,
            frozen_seconds: newest.map_or(0, |index| frozen_bins(&known.values[..=index]) * step),
        }
    }
}

/// How many bins before the last one hold the same value with nothing else between; gaps are skipped.
fn frozen_bins(values: &[f64]) -> i64 {
    let Some((last, before)) = values.split_last() else {
        return 0;
    };
    let first_equal = before
        .iter()
        .rposition(|value| value.is_finite() && value != last)
        .map_or(0, |index| index + 1);
    // Gaps between the last different value and the run say nothing about either.
    let leading_gaps = before[first_equal..]
        .iter()
        .take_while(|value| value.is_nan())
        .count();
    (before.len() - first_equal - leading_gaps) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f64 = f64::NAN;

    #[track_caller]
    fn check(values: &[f64], now: i64, expected: (f64, f64, i64)) {
        let series = Series {
            start: 0,
            step: 60,
            values: values.to_vec(),
        };
        let seen = Freshness::measure(&series, now, 240);
        assert_eq!(
            (seen.age_seconds, seen.coverage, seen.frozen_seconds),
            expected
        );
    }

    #[test]
    fn complete_and_new() {
        check(&[1.0, 2.0, 3.0, 4.0], 240, (0.0, 1.0, 0));
        check(&[1.0, 2.0, 3.0, 4.0], 270, (30.0, 1.0, 0));
    }

    #[test]
    fn gaps_lower_coverage_and_a_gap_at_the_end_ages() {
        check(&[1.0, GAP, 3.0, 4.0], 240, (0.0, 0.75, 0));
        check(&[1.0, 2.0, GAP, GAP], 240, (120.0, 0.5, 0));
    }

    #[test]
    fn bins_that_never_came_are_missing() {
        check(&[1.0, 2.0, 3.0, 4.0], 360, (120.0, 0.5, 0));
        check(&[1.0, 2.0, 3.0, 4.0], 36_000, (35_760.0, 0.0, 0));
    }

    #[test]
    fn bins_after_now_do_not_exist() {
        check(&[1.0, 2.0, 3.0, 4.0, 9.0, 9.0], 240, (0.0, 1.0, 0));
    }

    #[test]
    fn a_run_of_one_value_is_frozen_across_gaps() {
        check(&[1.0, 5.0, 5.0, 5.0], 240, (0.0, 1.0, 120));
        check(&[5.0, 5.0, GAP, 5.0], 240, (0.0, 0.75, 180));
        check(&[1.0, GAP, 5.0, 5.0], 240, (0.0, 0.75, 60));
    }

    #[test]
    fn nothing_known() {
        check(&[], 240, (f64::INFINITY, 0.0, 0));
        check(&[GAP, GAP], 240, (f64::INFINITY, 0.0, 0));
        check(&[1.0], -60, (f64::INFINITY, 0.0, 0));
    }
}
