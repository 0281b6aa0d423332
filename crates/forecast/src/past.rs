//! How the pool did on the newest part of its own history: small as it is kept, and at length as it is used.
//!
//! Errors dominate what a model keeps, and they have 16 bits: rounding by less than 0.05 % of an error, which itself is
//! a small part of the load, moves no quantile by more than some hundred-thousandths of the load. Truths are not kept:
//! they are in the history that every prediction is given.

use half::f16;

use crate::{
    forecast::PeakWindow,
    levels::{Levels, rounded},
    peaks::{Bins, disjoint},
    pool::{Pool, Span, Validation},
};

/// As it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// The newest bin known to the first forecast, and bins from one to the next.
    first: usize,
    stride: usize,
    rows: usize,
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
    /// `windows` are those of the validation's spans.
    pub(crate) fn new(
        validation: &Validation,
        pool: &Pool,
        windows: &[PeakWindow],
        step: i64,
    ) -> Self {
        let origins = &validation.origins;
        let first = origins.first().copied().unwrap_or(0);
        let relative = |(forecast, truth): (&f64, &f64)| {
            rounded((truth - forecast) / pool.levels.of(*forecast))
        };
        let pairs = validation.forecasts.iter().zip(&validation.truths);
        let pairs = pairs.flat_map(|(forecasts, truths)| forecasts.iter().zip(truths));
        let spans = validation.spans.iter().zip(windows);
        Self {
            first,
            stride: origins.get(1).map_or(1, |second| second - first),
            rows: origins.len(),
            errors: pairs.map(relative).collect(),
            spans: spans
                .map(|(span, window)| PastSpan::new(span, *window, origins, pool.levels, step))
                .collect(),
        }
    }

    fn origin(&self, row: usize) -> usize {
        self.first + row * self.stride
    }

    /// With the truths of `history`, in which it was learned.
    pub(crate) fn evidence(
        &self,
        horizons: Vec<usize>,
        levels: Levels,
        history: &[f64],
    ) -> Evidence {
        let errors = self.errors.chunks(self.rows.max(1));
        Evidence {
            horizons,
            levels,
            origins: (0..self.rows).map(|row| self.origin(row)).collect(),
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
            forecasts: vec![f64::NAN; self.rows * bins],
            truths: vec![f64::NAN; self.rows * bins],
        };
        for (&row, above) in past.rows.iter().zip(past.above.chunks(bins)) {
            let row = usize::from(row);
            let bin = self.origin(row) + first;
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
