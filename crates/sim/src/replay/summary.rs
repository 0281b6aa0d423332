//! Several traces joined.

use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::report::{EQUAL_COST, Report};

/// Added to both sides of a ratio of shares, so that a trace without harm does not decide it.
const RATIO_FLOOR: f64 = 0.0005;

/// The results of one policy on several traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many traces.
    pub traces: usize,
    /// On how many of them the step is at most half the lag; the others judge nobody.
    pub judged: usize,
    /// The user's policy first, then its peers.
    pub policies: Vec<PolicySummary>,
}

/// The figures of one policy over several traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicySummary {
    /// Its name.
    pub policy: String,
    /// On how many traces it does neither more harm by time over capacity nor by lost load than *reactive at equal
    /// cost*.
    pub no_worse_traces: usize,
    /// Means: they show the bad days.
    pub mean: Figures,
    /// Medians: they hide the bad days.
    pub median: Figures,
    /// The user's policy over this peer; none for the user's policy itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yours_over_this: Option<Ratios>,
}

/// The user's harm over a peer's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratios {
    /// By time over capacity.
    pub over_capacity: Ratio,
    /// By lost load.
    pub lost: Ratio,
}

/// The user's figure over a peer's, over several traces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Mean over mean; none where the peer's is zero.
    pub of_means: Option<f64>,
    /// Geometric mean over the traces of `(yours + 0.0005) / (peer's + 0.0005)`.
    pub geometric_mean: f64,
    /// The least that the geometric mean becomes when one trace is left out.
    pub lowest_without_one: f64,
    /// The most that the geometric mean becomes when one trace is left out.
    pub highest_without_one: f64,
}

impl Summary {
    /// Joins reports of one policy at one lag; none of no reports.
    #[must_use]
    pub fn new(reports: &[Report]) -> Option<Self> {
        let first = reports.first()?;
        let policies = (0..first.policies.len())
            .map(|place| policy_summary(reports, place))
            .collect();
        Some(Self {
            traces: reports.len(),
            judged: reports.iter().filter(|report| report.judged).count(),
            policies,
        })
    }
}

/// The summary of the policy at `place` of every report.
fn policy_summary(reports: &[Report], place: usize) -> PolicySummary {
    let figures: Vec<Figures> = reports
        .iter()
        .map(|report| report.policies[place].figures)
        .collect();
    let yours: Vec<Figures> = reports
        .iter()
        .map(|report| report.yours().figures)
        .collect();
    let no_worse = |report: &&Report| {
        report
            .peer(EQUAL_COST)
            .is_some_and(|peer| report.policies[place].figures.no_worse_than(&peer.figures))
    };
    PolicySummary {
        policy: reports[0].policies[place].policy.clone(),
        no_worse_traces: reports.iter().filter(no_worse).count(),
        mean: Figures::mean(&figures),
        median: Figures::fold(&figures, median),
        yours_over_this: (place > 0).then(|| Ratios {
            over_capacity: ratio(&yours, &figures, |figures| figures.over_capacity_share),
            lost: ratio(&yours, &figures, |figures| figures.lost_share),
        }),
    }
}

fn ratio(yours: &[Figures], peers: &[Figures], share: impl Fn(&Figures) -> f64) -> Ratio {
    let logs: Vec<f64> = yours
        .iter()
        .zip(peers)
        .map(|(yours, peer)| ((share(yours) + RATIO_FLOOR) / (share(peer) + RATIO_FLOOR)).ln())
        .collect();
    let all = mean(&logs);
    let sum: f64 = logs.iter().sum();
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for log in &logs {
        let without = if logs.len() > 1 {
            (sum - log) / (logs.len() as f64 - 1.0)
        } else {
            all
        };
        (lowest, highest) = (lowest.min(without), highest.max(without));
    }
    let total = |all: &[Figures]| all.iter().map(&share).sum::<f64>();
    let (ours, theirs) = (total(yours), total(peers));
    Ratio {
        of_means: (theirs > 0.0).then(|| ours / theirs),
        geometric_mean: all.exp(),
        lowest_without_one: lowest.exp(),
        highest_without_one: highest.exp(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &[f64]) -> f64 {
    super::count::percentile(values, 0.5).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests;
