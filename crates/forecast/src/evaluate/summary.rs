//! Scores over several series.

use super::{
    run::{Issue, TraceRun},
    score::{PathScore, PeakScore, path_score, peak_score},
};
use crate::PeakWindow;

/// Days of history that part short from long.
const SHORT_DAYS: f64 = 10.0;

/// Which origins are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// All.
    All,
    /// Those with less than 10 days of history.
    Short,
    /// Those with 10 days of history or more.
    Long,
}

impl Group {
    /// Whether an origin belongs to it.
    #[must_use]
    pub fn holds(self, issue: &Issue) -> bool {
        match self {
            Self::All => true,
            Self::Short => issue.history_days < SHORT_DAYS,
            Self::Long => issue.history_days >= SHORT_DAYS,
        }
    }
}

/// Accuracy over several series: ratios to seasonal-naive-week as geometric means, below 1 is better.
#[derive(Clone, Debug, PartialEq)]
pub struct PathSummary {
    /// Series with origins in the group.
    pub series: usize,
    /// Mean absolute error, relative.
    pub mae: f64,
    /// Pinball loss at P50, P90 and P99, relative.
    pub pinball: [f64; 3],
    /// Mean over series of the share of truths at or below the P90, and of the worst series.
    pub coverage_p90: f64,
    /// The lowest of them.
    pub coverage_p90_worst: f64,
    /// The same for P99.
    pub coverage_p99: f64,
    /// The lowest of them.
    pub coverage_p99_worst: f64,
}

/// Window maxima over several series.
#[derive(Clone, Debug, PartialEq)]
pub struct PeakSummary {
    /// The window.
    pub window: PeakWindow,
    /// Of the calibrated maxima.
    pub calibrated: PeakVerdict,
    /// Of the largest quantile of single bins.
    pub envelope: PeakVerdict,
    /// Pinball loss of the calibrated maxima over that of the envelope at P50, P90, P99; geometric means.
    pub pinball_ratio: [f64; 3],
}

/// Coverage of window maxima.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakVerdict {
    /// Mean over series of the share of truths at or below the P90.
    pub coverage_p90: f64,
    /// The lowest of them.
    pub coverage_p90_worst: f64,
    /// Mean for P99.
    pub coverage_p99: f64,
}

/// Accuracy over the first `hours` of all forecasts of a group; `None` if no series has any.
#[must_use]
pub fn summarise_paths(runs: &[TraceRun], hours: usize, group: Group) -> Option<PathSummary> {
    let scores: Vec<(PathScore, PathScore)> = runs
        .iter()
        .map(|run| {
            let bins = (hours * run.day / 24).max(1);
            let issues = || run.issues.iter().filter(|i| group.holds(i));
            (
                path_score(issues(), bins, |i| &i.paths),
                path_score(issues(), bins, |i| &i.naive),
            )
        })
        .filter(|(ours, _)| ours.bins > 0)
        .collect();
    let first = scores.first()?;
    let _ = first;
    let ratio = |of: &dyn Fn(&PathScore) -> f64| {
        geometric_mean(scores.iter().map(|(ours, naive)| (of(ours), of(naive))))
    };
    let ours = scores.iter().map(|(ours, _)| ours);
    Some(PathSummary {
        series: scores.len(),
        mae: ratio(&|s| s.mae),
        pinball: [0, 1, 2].map(|k| ratio(&|s| s.pinball[k])),
        coverage_p90: mean(ours.clone().map(|s| s.coverage_p90)),
        coverage_p90_worst: ours.clone().map(|s| s.coverage_p90).fold(1.0, f64::min),
        coverage_p99: mean(ours.clone().map(|s| s.coverage_p99)),
        coverage_p99_worst: ours.map(|s| s.coverage_p99).fold(1.0, f64::min),
    })
}

/// Window maxima, one summary per window of the protocol; empty if no series has any.
#[must_use]
pub fn summarise_peaks(runs: &[TraceRun]) -> Vec<PeakSummary> {
    let issued = runs.iter().flat_map(|run| run.issues.first());
    let windows = issued
        .map(|issue| issue.peaks.iter().map(|p| p.window).collect::<Vec<_>>())
        .next();
    let summary = |(at, window): (usize, PeakWindow)| {
        let scores: Vec<(PeakScore, PeakScore)> = runs
            .iter()
            .map(|run| {
                let peaks = || run.issues.iter().map(|i| &i.peaks[at]);
                (
                    peak_score(peaks(), |p| &p.values),
                    peak_score(peaks(), |p| &p.envelope),
                )
            })
            .filter(|(ours, _)| ours.windows > 0)
            .collect();
        PeakSummary {
            window,
            calibrated: verdict(scores.iter().map(|(ours, _)| ours)),
            envelope: verdict(scores.iter().map(|(_, envelope)| envelope)),
            pinball_ratio: [0, 1, 2]
                .map(|k| geometric_mean(scores.iter().map(|(a, b)| (a.pinball[k], b.pinball[k])))),
        }
    };
    windows
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(summary)
        .collect()
}

fn verdict<'a>(scores: impl Iterator<Item = &'a PeakScore> + Clone) -> PeakVerdict {
    PeakVerdict {
        coverage_p90: mean(scores.clone().map(|s| s.coverage_p90)),
        coverage_p90_worst: scores.clone().map(|s| s.coverage_p90).fold(1.0, f64::min),
        coverage_p99: mean(scores.map(|s| s.coverage_p99)),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / f64::from(count)
}

/// Of ratios; pairs of nothing to nothing count as 1.
fn geometric_mean(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    const LEAST: f64 = 1e-9;
    mean(pairs.map(|(ours, theirs)| {
        if theirs <= 0.0 && ours <= 0.0 {
            0.0
        } else {
            (ours / theirs).max(LEAST).ln()
        }
    }))
    .exp()
}
