//! Scores of single series.

use super::run::{Issue, PeakIssue};

/// Levels at which forecasts are issued and scored.
pub const LEVELS: [f64; 3] = [0.5, 0.9, 0.99];

/// Sums over the bins of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathScore {
    /// Mean absolute error of the P50.
    pub mae: f64,
    /// Mean pinball loss at each of [`LEVELS`].
    pub pinball: [f64; 3],
    /// Share of truths at or below the P90.
    pub coverage_p90: f64,
    /// Share of truths at or below the P99.
    pub coverage_p99: f64,
    /// Bins scored.
    pub bins: usize,
}

/// Sums over the windows of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeakScore {
    /// Mean pinball loss at each of [`LEVELS`].
    pub pinball: [f64; 3],
    /// Share of truths at or below the P90.
    pub coverage_p90: f64,
    /// Share of truths at or below the P99.
    pub coverage_p99: f64,
    /// Windows scored.
    pub windows: usize,
}

/// The score over the first `bins` bins of the issues; `paths` picks the forecast that is scored.
#[must_use]
pub fn path_score<'a>(
    issues: impl Iterator<Item = &'a Issue>,
    bins: usize,
    paths: impl Fn(&Issue) -> &Vec<Vec<f64>>,
) -> PathScore {
    let mut sums = Sums::default();
    for issue in issues {
        let paths = paths(issue);
        for (bin, &truth) in issue.truth.iter().take(bins).enumerate() {
            sums.add(truth, |k| paths[k][bin]);
        }
    }
    let share = |sum: f64| sum / sums.count as f64;
    PathScore {
        mae: share(sums.absolute),
        pinball: sums.pinball.map(share),
        coverage_p90: share(sums.below[1]),
        coverage_p99: share(sums.below[2]),
        bins: sums.count,
    }
}

/// The score of window maxima; `values` picks the forecast that is scored.
#[must_use]
pub fn peak_score<'a>(
    peaks: impl Iterator<Item = &'a PeakIssue>,
    values: impl Fn(&PeakIssue) -> &Vec<f64>,
) -> PeakScore {
    let mut sums = Sums::default();
    for peak in peaks {
        sums.add(peak.truth, |k| values(peak)[k]);
    }
    let share = |sum: f64| sum / sums.count as f64;
    PeakScore {
        pinball: sums.pinball.map(share),
        coverage_p90: share(sums.below[1]),
        coverage_p99: share(sums.below[2]),
        windows: sums.count,
    }
}

#[derive(Default)]
struct Sums {
    absolute: f64,
    pinball: [f64; 3],
    below: [f64; 3],
    count: usize,
}

impl Sums {
    fn add(&mut self, truth: f64, forecast: impl Fn(usize) -> f64) {
        if !truth.is_finite() {
            return;
        }
        self.count += 1;
        for (k, level) in LEVELS.into_iter().enumerate() {
            let error = truth - forecast(k);
            self.pinball[k] += (level * error).max((level - 1.0) * error);
            self.below[k] += f64::from(u8::from(error <= 0.0));
            if k == 0 {
                self.absolute += error.abs();
            }
        }
    }
}
