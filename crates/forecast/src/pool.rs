//! The pool: every seasonal base with and without correction, and plain levels, weighted by past error.

mod break_point;
mod fitting;
mod inverse;
mod point;
mod restart;
mod weights;

use half::f16;

use crate::{
    bases::Plans,
    clock::Clock,
    features::WINDOWS_MAX,
    levels::Levels,
    peaks::Bins,
    track::{Scales, Track},
};

use self::fitting::Fitting;
pub(crate) use self::inverse::Inverse;
pub(crate) use self::point::Point;
use self::restart::Tried;
pub(crate) use self::restart::{Break, Restart, Restarted};

/// Past origins that corrections are trained on.
const TRAINING_ROWS: usize = 400;
/// Past origins that weights and errors are taken from.
const VALIDATION_ROWS: usize = 250;
/// Share of the origins, the newest ones, that validate.
const VALIDATION_SHARE: f64 = 0.3;
/// Days after which a training row counts half.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Penalty on the coefficients of a correction, relative to the mean square of its inputs.
const PENALTY: f64 = 0.05;
/// Fewest rows to train a correction on; below, the recent residuals fade with [`FADE_DAYS`].
const ROWS_MIN: usize = 40;
/// Time constant of the untrained correction, in days.
const FADE_DAYS: f64 = 0.25;
/// Weight falls with error to this power.
const POWER: f64 = 5.0;
/// Members worse than the best by this factor count nothing.
const PRUNE: f64 = 1.75;
/// Horizons within about this distance in log time share their evidence.
const SHARE_LOG: f64 = 0.5;
/// Validation rows halve in weight over this share of their span.
const RECENT_HALF: f64 = 0.5;
/// Minutes up to which horizons count as short: their rows may be newer.
const SHORT_HOURS: usize = 2;
/// Least rows for a horizon to have evidence of its own.
const EVIDENCE_MIN: usize = 12;

/// One forecaster of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Base number `0` of the seasonals with its correction.
    Corrected(u8),
    /// Base number `0` of the seasonals as it is.
    Plain(u8),
    /// Mean of the last hour.
    HourLevel,
    /// Mean of the last day.
    DayLevel,
    /// The last value.
    Last,
    /// The rhythm before a break of the level, at the level since.
    Restart,
}

/// A base in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seasonal {
    /// 0: raw, 1: logarithmic.
    pub(crate) space: usize,
    /// Position in [`crate::bases::BASES`].
    pub(crate) base: usize,
    /// First bin at which it is known.
    pub(crate) first: usize,
}

/// What was learned for one horizon. Thousands of models are kept, and these bits are finer than what is learned.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    /// The members that count and their weights, which sum to 1.
    pub(crate) weights: Box<[(Kind, f32)]>,
    /// Coefficients of the corrected ones among them, in their order.
    pub(crate) coefficients: Box<[[f16; WINDOWS_MAX]]>,
}

impl Fitted {
    /// From the weights of the members and the coefficients per seasonal.
    fn new(weights: &[(Kind, f64)], coefficients: &[[f16; WINDOWS_MAX]]) -> Self {
        let of = |(kind, _): &(Kind, f64)| match kind {
            Kind::Corrected(s) => coefficients.get(usize::from(*s)).copied(),
            _ => None,
        };
        Self {
            coefficients: weights.iter().filter_map(of).collect(),
            weights: weights.iter().map(|&(k, w)| (k, w as f32)).collect(),
        }
    }

    /// Gives `share` of the forecast to a further member.
    fn admit(&mut self, kind: Kind, share: f64) {
        if share > 0.0 {
            let others = self.weights.iter();
            let others = others.map(|&(kind, weight)| (kind, weight * (1.0 - share) as f32));
            self.weights = others.chain([(kind, share as f32)]).collect();
        }
    }
}

/// A fitted pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    /// Only those that some member which counts is made of.
    pub(crate) seasonals: Vec<Seasonal>,
    /// `[horizon]`
    pub(crate) fitted: Vec<Fitted>,
    pub(crate) inverse: Inverse,
    pub(crate) levels: Levels,
    pub(crate) restart: Option<Break>,
}

/// Pooled forecasts at past origins, made with what was known then.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    /// The newest bin known to each forecast, ascending.
    pub(crate) origins: Vec<usize>,
    /// `[horizon][row]`; NaN without forecast.
    pub(crate) forecasts: Vec<Vec<f64>>,
    /// `[horizon][row]`; NaN where unknown.
    pub(crate) truths: Vec<Vec<f64>>,
    /// Bins ahead covered bin by bin, for the maxima of windows.
    pub(crate) spans: Vec<Span>,
}

/// Forecasts and truths of consecutive bins at past origins.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// First bin ahead, at least 1.
    pub(crate) first: usize,
    pub(crate) bins: usize,
    /// `[row * bins + bin]`
    pub(crate) forecasts: Vec<f64>,
    pub(crate) truths: Vec<f64>,
}

impl Validation {
    /// With `most` of its rows, evenly spread, and the newest among them.
    pub(crate) fn thinned(&self, most: usize) -> Self {
        let rows = self.origins.len();
        let place = |back: usize| back * most / rows.max(1);
        let stays = |row: &usize| {
            let back = rows - 1 - row;
            back == 0 || place(back) != place(back - 1)
        };
        let stays: Vec<usize> = (0..rows).filter(stays).collect();
        let pick = |table: &[f64], width: usize| {
            let rows = stays
                .iter()
                .map(|row| &table[row * width..(row + 1) * width]);
            rows.flatten().copied().collect::<Vec<f64>>()
        };
        let span = |span: &Span| Span {
            forecasts: pick(&span.forecasts, span.bins),
            truths: pick(&span.truths, span.bins),
            ..*span
        };
        Self {
            origins: stays.iter().map(|row| self.origins[*row]).collect(),
            forecasts: self.forecasts.iter().map(|table| pick(table, 1)).collect(),
            truths: self.truths.iter().map(|table| pick(table, 1)).collect(),
            spans: self.spans.iter().map(span).collect(),
        }
    }
}

impl Span {
    /// Where a row has `bins`, which must lie within the span.
    pub(crate) fn cells(&self, row: usize, bins: Bins) -> std::ops::Range<usize> {
        let first = row * self.bins + bins.first - self.first;
        first..first + bins.count()
    }

    /// Whether the truth is known of all `bins` of a row.
    pub(crate) fn known(&self, row: usize, bins: Bins) -> bool {
        self.truths[self.cells(row, bins)]
            .iter()
            .all(|truth| truth.is_finite())
    }
}

/// How much a row tells: newer ones more.
pub(crate) fn recency(row: usize, rows: usize, half: f64) -> f64 {
    let age = 1.0 - row as f64 / (rows.max(2) - 1) as f64;
    0.5_f64.powf(age / half)
}

/// The first row whose truth is known, and how many rows there are from it to the last one.
pub(crate) fn known_rows(truths: &[f64]) -> (usize, usize) {
    let first = truths.iter().position(|t| t.is_finite()).unwrap_or(0);
    let last = truths.iter().rposition(|t| t.is_finite());
    (first, last.map_or(0, |last| last + 1 - first))
}

impl Pool {
    /// Fits to a track of at least a few hours, and tells how it did on the newest part of it; `spans` are (first bin
    /// ahead, bins) to validate bin by bin.
    pub(crate) fn fit(
        clock: &Clock,
        plans: &Plans,
        track: &Track<'_>,
        scales: Scales,
        spans: &[(usize, usize)],
    ) -> (Self, Validation) {
        let fitting = Fitting::new(clock, plans, track, scales);
        let early = fitting.coefficients(fitting.cut, |_| true);
        let origins = fitting.validation_origins();
        let (weights, forecasts, truths) = fitting.weigh(&origins, &early);
        let counts = |s: usize| {
            let mut kinds = weights.iter().flatten().map(|(kind, _)| *kind);
            kinds.any(|kind| kind == Kind::Corrected(s as u8))
        };
        let late = fitting.coefficients(track.len() - 1, counts);
        let of = |coefficients: &[Vec<[f16; WINDOWS_MAX]>]| -> Vec<Fitted> {
            let pairs = weights.iter().zip(coefficients);
            pairs.map(|(w, c)| Fitted::new(w, c)).collect()
        };
        let (at_cut, mut fitted) = (of(&early), of(&late));
        let spans = spans
            .iter()
            .map(|&(first, bins)| fitting.span(&origins, &at_cut, first.max(1), bins.max(1)));
        let mut validation = Validation {
            spans: spans.collect(),
            origins,
            forecasts,
            truths,
        };
        let restart = Tried::best(&fitting, &validation).map(|tried| {
            tried.revise(&fitting.horizons, &mut validation);
            for (fitted, share) in fitted.iter_mut().zip(&tried.shares) {
                fitted.admit(Kind::Restart, *share);
            }
            tried.restart.found
        });
        let live = &track.waves[0].live;
        let sum: f64 = (0..track.len()).map(|i| live.at(i).abs()).sum();
        let mut pool = Self {
            fitted,
            inverse: fitting.inverse,
            levels: Levels {
                base: (0.1 * sum / track.len() as f64).max(1e-9),
                nonnegative: scales.log_shift.is_some(),
            },
            restart,
            seasonals: fitting.seasonals,
        };
        pool.keep_active();
        (pool, validation)
    }

    /// Drops the seasonals that no member which counts is made of.
    fn keep_active(&mut self) {
        let used = |s: &usize| {
            let mut kinds = self.fitted.iter().flat_map(|fitted| &fitted.weights);
            let own = *s as u8;
            kinds.any(|(k, _)| *k == Kind::Corrected(own) || *k == Kind::Plain(own))
        };
        let used: Vec<usize> = (0..self.seasonals.len()).filter(used).collect();
        let position = |s: u8| used.iter().position(|u| *u == usize::from(s)).unwrap_or(0) as u8;
        for (kind, _) in self.fitted.iter_mut().flat_map(|f| &mut f.weights) {
            match kind {
                Kind::Corrected(s) | Kind::Plain(s) => *s = position(*s),
                _ => {}
            }
        }
        self.seasonals = used.iter().map(|&s| self.seasonals[s]).collect();
    }
}
