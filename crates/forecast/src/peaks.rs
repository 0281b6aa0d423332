//! The maximum over a window: its own past errors, not those of single bins.

use crate::{
    errors::Errors,
    pool::{Pool, Span, recency},
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

/// Errors of past maxima over `bins`, relative to the level of the forecast maximum; `shift(row, bins ahead,
/// forecast)` is what a live sample would have added then.
pub(crate) fn errors(
    pool: &Pool,
    span: &Span,
    bins: Bins,
    shift: impl Fn(usize, usize, f64) -> f64,
) -> Errors {
    let origins = &pool.validation.origins;
    let rows = origins.len();
    let mut weighted = Vec::with_capacity(rows);
    let mut next = usize::MAX;
    // Newest first, one per disjoint window: overlapping windows would repeat one error.
    for row in (0..rows).rev() {
        if next != usize::MAX && origins[row] + bins.count() > next {
            continue;
        }
        let Some(error) = error(pool, span, bins, row, &shift) else {
            continue;
        };
        next = origins[row];
        weighted.push((error, recency(row, rows, RECENT_HALF)));
    }
    let count = weighted.len();
    Errors::new(weighted, count)
}

fn error(
    pool: &Pool,
    span: &Span,
    bins: Bins,
    row: usize,
    shift: &impl Fn(usize, usize, f64) -> f64,
) -> Option<f64> {
    let (mut forecast, mut truth) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for ahead in bins.first..=bins.last {
        let cell = row * span.bins + ahead.checked_sub(span.first)?;
        let known = span.truths[cell];
        if !known.is_finite() {
            return None;
        }
        truth = truth.max(known);
        let plain = span.forecasts[cell];
        forecast = forecast.max(plain + shift(row, ahead, plain));
    }
    Some((truth - forecast) / pool.level(forecast))
}
