//! The maximum over a window: its own past errors, not those of single bins.

use crate::{
    errors::Errors,
    past::Evidence,
    pool::{Span, recency},
};

/// Errors halve in weight over this share of their span.
const RECENT_HALF: f64 = 0.35;

/// Which bins after the last known one a window touches, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bins {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Bins {
    /// Of the closed span `[from, to]` in seconds after the end of the last known bin: a bin that begins at `to` is
    /// touched.
    pub(crate) fn touched(from: i64, to: i64, step: i64) -> Self {
        let first = from.max(0) / step + 1;
        let last = to.max(0) / step + 1;
        Self {
            first: first as usize,
            last: last.max(first) as usize,
        }
    }

    pub(crate) fn count(self) -> usize {
        self.last + 1 - self.first
    }
}

/// Rows of which no two windows of `count` bins overlap, newest first, out of the `known` ones: overlapping windows
/// would repeat one error.
pub(crate) fn disjoint(
    origins: &[usize],
    count: usize,
    known: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let mut next = usize::MAX;
    let mut found = Vec::new();
    for row in (0..origins.len()).rev() {
        let apart = next == usize::MAX || origins[row] + count <= next;
        if apart && known(row) {
            next = origins[row];
            found.push(row);
        }
    }
    found
}

/// Errors of past maxima over `bins`, relative to the level of the forecast maximum; `shift(row, bins ahead,
/// forecast)` is what a live sample would have added then.
pub(crate) fn errors(
    evidence: &Evidence,
    span: &Span,
    bins: Bins,
    shift: impl Fn(usize, usize, f64) -> f64,
) -> Errors {
    let rows = evidence.origins.len();
    let apart = disjoint(&evidence.origins, bins.count(), |row| span.known(row, bins));
    let weighted = apart.iter().map(|&row| {
        let error = error(evidence, span, bins, row, &shift);
        (error, recency(row, rows, RECENT_HALF))
    });
    Errors::new(weighted.collect(), apart.len())
}

fn error(
    evidence: &Evidence,
    span: &Span,
    bins: Bins,
    row: usize,
    shift: &impl Fn(usize, usize, f64) -> f64,
) -> f64 {
    let (mut forecast, mut truth) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for (ahead, cell) in (bins.first..).zip(span.cells(row, bins)) {
        truth = truth.max(span.truths[cell]);
        let plain = span.forecasts[cell];
        forecast = forecast.max(plain + shift(row, ahead, plain));
    }
    (truth - forecast) / evidence.level(forecast)
}
