//! What a live sample says of the bins to come: its residual, fading with the horizon as past errors did.

use crate::{grid, past::Evidence, pool::recency};

const RECENT_HALF: f64 = 1.0;

/// How errors at two positions ahead go together, for one position of the sample.
///
/// A sample `ahead` bins after the end of the last known bin lies between the centres of two bins; what it says is
/// taken from the errors of those two.
#[derive(Clone, Debug)]
pub(crate) struct Shift {
    /// `[row]`: relative error of the past forecast at the sample's position; NaN unknown.
    sample: Vec<f64>,
    /// `[horizon]`: share of it that remained.
    share: Vec<f64>,
    /// `[horizon]`: mean absolute error with the sample over that without.
    ratio: Vec<f64>,
}

impl Shift {
    /// For a sample `ahead` bins after the last known one ended.
    pub(crate) fn new(evidence: &Evidence, ahead: f64) -> Self {
        let rows = evidence.origins.len();
        let relative = |horizon: usize, row: usize| evidence.errors[horizon][row];
        let (low, high, share) = position(&evidence.horizons, ahead);
        let sample = (0..rows).map(|row| {
            let before = low.map_or(0.0, |h| relative(h, row));
            before + (relative(high, row) - before) * share
        });
        let sample: Vec<f64> = sample.collect();
        let weights: Vec<f64> = (0..rows)
            .map(|row| recency(row, rows, RECENT_HALF))
            .collect();
        let (mut shares, mut ratios) = (Vec::new(), Vec::new());
        for horizon in 0..evidence.horizons.len() {
            let (mut both, mut square) = (0.0, 1e-18);
            for (row, &s) in sample.iter().enumerate() {
                let error = relative(horizon, row);
                if s.is_finite() && error.is_finite() {
                    let weight = weights[row];
                    both += weight * s * error;
                    square += weight * s * s;
                }
            }
            let kept = (both / square).clamp(0.0, 1.0);
            let (mut with, mut without) = (1e-12, 1e-12);
            for (row, &s) in sample.iter().enumerate() {
                let error = relative(horizon, row);
                if s.is_finite() && error.is_finite() {
                    with += (error - kept * s).abs();
                    without += error.abs();
                }
            }
            shares.push(kept);
            ratios.push((with / without).clamp(0.2, 1.0));
        }
        Self {
            sample,
            share: shares,
            ratio: ratios,
        }
    }

    /// The relative error of the forecast at the sample's position, then, that remained `bins` ahead.
    pub(crate) fn past(&self, evidence: &Evidence, row: usize, bins: usize) -> f64 {
        self.sample[row] * self.remaining(evidence, bins)
    }

    /// Share of the sample's residual that remains `bins` ahead.
    pub(crate) fn remaining(&self, evidence: &Evidence, bins: usize) -> f64 {
        crate::spread::interpolate(&evidence.horizons, &self.share, bins)
    }

    /// How much narrower the spread is `bins` ahead.
    pub(crate) fn narrowing(&self, evidence: &Evidence, bins: usize) -> f64 {
        crate::spread::interpolate(&evidence.horizons, &self.ratio, bins)
    }
}

/// The horizons of the grid around a position, `None` below the first: there the error is known to be nothing.
fn position(horizons: &[usize], ahead: f64) -> (Option<usize>, usize, f64) {
    // The centre of the bin `h` ahead lies at h - 0.5.
    let at = (ahead + 0.5).max(0.0);
    if at <= horizons[0] as f64 {
        return (None, 0, at / horizons[0] as f64);
    }
    let below = at.floor() as usize;
    let (_, low, _) = grid::between(horizons, below);
    let (_, high, _) = grid::between(horizons, below + 1);
    (Some(low), high, at.fract())
}
