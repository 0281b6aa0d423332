//! How the pool did on the newest part of its own history: small as it is kept, and at length as it is used.
//!
//! Errors dominate what a model keeps, and they have 16 bits: rounding by less than 0.05 % of an error, which itself is
//! a small part of the load, moves no quantile by more than some hundred-thousandths of the load. Truths are not kept:
//! they are in the history that every prediction is given.

use std::borrow::Cow;

use half::f16;

use crate::{
    forecast::PeakWindow,
    levels::{Levels, rounded},
    peaks::{Bins, disjoint},
    pool::{Pool, Span, Validation},
};

/// Most bytes that the past of one model takes. 28 days at 5 minutes fit with the two windows of one action; where there
/// is more, some rows are left out, evenly.
pub(crate) const BYTES_MAX: usize = 22 << 10;

/// As it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// The newest bin known to each forecast, ascending.
    origins: Box<[u32]>,
    /// `[horizon * rows + row]`: errors relative to the level of the forecast; NaN unknown.
    errors: Box<[f16]>,
    /// `[window]`
    spans: Box<[PastSpan]>,
}

#[derive(Clone, Debug)]
struct PastSpan {
    /// First bin ahead.
    first: usize,
    bins: usize,
    /// Which rows are kept.
    rows: Box<[u16]>,
    /// `[kept row * bins + bin]`: the forecast above the truth ([`Levels::above`]); NaN unknown.
    above: Box<[f16]>,
}

/// As it is used.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) horizons: Vec<usize>,
    levels: Levels,
    /// The newest bin known to each forecast, ascending.
    pub(crate) origins: Vec<usize>,
    /// `[horizon][row]`: errors relative to the level of the forecast; NaN unknown.
    pub(crate) errors: Vec<Vec<f64>>,
    /// `[window]`
    pub(crate) spans: Vec<Span>,
}

impl Past {
    /// In `bytes_max` bytes at most; `windows` are those of the validation's spans.
    pub(crate) fn new(
        validation: &Validation,
        pool: &Pool,
        windows: &[PeakWindow],
        step: i64,
        bytes_max: usize,
    ) -> Self {
        let mut validation = Cow::Borrowed(validation);
        loop {
            let past = Self::of(&validation, pool, windows, step);
            let (rows, bytes) = (past.origins.len(), past.bytes());
            if bytes <= bytes_max || rows <= 1 {
                return past;
            }
            let fewer = (rows * bytes_max / bytes).clamp(1, rows - 1);
            validation = Cow::Owned(validation.thinned(fewer));
        }
    }

    fn bytes(&self) -> usize {
        let spans = self.spans.iter();
        let cells: usize = spans.map(|span| span.rows.len() + span.above.len()).sum();
        size_of_val(&*self.origins) + (self.errors.len() + cells) * size_of::<f16>()
    }

    fn of(validation: &Validation, pool: &Pool, windows: &[PeakWindow], step: i64) -> Self {
        let origins = &validation.origins;
        let relative = |(forecast, truth): (&f64, &f64)| {
            rounded((truth - forecast) / pool.levels.of(*forecast))
        };
        let pairs = validation.forecasts.iter().zip(&validation.truths);
        let pairs = pairs.flat_map(|(forecasts, truths)| forecasts.iter().zip(truths));
        let spans = validation.spans.iter().zip(windows);
        Self {
            origins: origins.iter().map(|origin| *origin as u32).collect(),
            errors: pairs.map(relative).collect(),
            spans: spans
                .map(|(span, window)| PastSpan::new(span, *window, origins, pool.levels, step))
                .collect(),
        }
    }

    /// With the truths of `history`, in which it was learned.
    pub(crate) fn evidence(
        &self,
        horizons: Vec<usize>,
        levels: Levels,
        history: &[f64],
    ) -> Evidence {
        let errors = self.errors.chunks(self.origins.len().max(1));
        Evidence {
            horizons,
            levels,
            origins: self.origins.iter().map(|origin| *origin as usize).collect(),
            errors: errors
                .map(|row| row.iter().map(|e| e.to_f64()).collect())
                .collect(),
            spans: self
                .spans
                .iter()
                .map(|span| self.span(span, levels, history))
                .collect(),
        }
    }

    fn span(&self, past: &PastSpan, levels: Levels, history: &[f64]) -> Span {
        let PastSpan { first, bins, .. } = *past;
        let mut span = Span {
            first,
            bins,
            forecasts: vec![f64::NAN; self.origins.len() * bins],
            truths: vec![f64::NAN; self.origins.len() * bins],
        };
        for (&row, above) in past.rows.iter().zip(past.above.chunks(bins)) {
            let row = usize::from(row);
            let bin = self.origins[row] as usize + first;
            let cells = row * bins..(row + 1) * bins;
            let forecasts = span.forecasts[cells.clone()].iter_mut();
            let cells = forecasts.zip(&mut span.truths[cells]);
            // The newest rows reach beyond the history, with nothing known there.
            let truths = &history[bin.min(history.len())..];
            for (((forecast, known), above), truth) in cells.zip(above).zip(truths) {
                if !above.is_nan() {
                    (*forecast, *known) = (levels.forecast(*truth, *above), *truth);
                }
            }
        }
        span
    }
}

impl PastSpan {
    fn new(span: &Span, window: PeakWindow, origins: &[usize], levels: Levels, step: i64) -> Self {
        let rows = asked(span, window, origins, step);
        let above = |cell: usize| levels.above(span.forecasts[cell], span.truths[cell]);
        let cells = rows
            .iter()
            .flat_map(|row| row * span.bins..(row + 1) * span.bins);
        Self {
            first: span.first,
            bins: span.bins,
            above: cells.map(above).collect(),
            rows: rows.iter().map(|row| *row as u16).collect(),
        }
    }
}

/// The rows that any prediction of `window` looks at, wherever in its bin it is made.
fn asked(span: &Span, window: PeakWindow, origins: &[usize], step: i64) -> Vec<usize> {
    let fewest = (window.window / step + 1).max(1) as usize;
    let mut asked = vec![false; origins.len()];
    for count in [fewest, fewest + 1] {
        for offset in 0..(span.bins + 1).saturating_sub(count) {
            let first = span.first + offset;
            let bins = Bins {
                first,
                last: first + count - 1,
            };
            for row in disjoint(origins, count, |row| span.known(row, bins)) {
                asked[row] = true;
            }
        }
    }
    (0..origins.len()).filter(|row| asked[*row]).collect()
}

impl Evidence {
    /// What errors of a forecast are relative to.
    #[inline]
    pub(crate) fn level(&self, forecast: f64) -> f64 {
        self.levels.of(forecast)
    }
}
