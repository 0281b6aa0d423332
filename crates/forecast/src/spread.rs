//! How far truth lies from the pooled forecast, per horizon, from the pool's own past.

use std::sync::OnceLock;

use crate::{
    clock::Clock,
    clock_spread::ClockSpread,
    errors::Errors,
    grid,
    past::Evidence,
    pool::{known_rows, recency},
    track::{Stored, Track},
};

/// Horizons within this distance in log time lend each other their errors.
const NEIGHBOUR_LOG: f64 = 0.5;
/// Errors halve in weight over this share of their span.
const RECENT_HALF: f64 = 0.5;
/// Share of the spread that long horizons take from the clock time up to P90, and at P99, where errors are few.
const CLOCK_SHARE: f64 = 0.4;
const CLOCK_SHARE_TAIL: f64 = 0.65;
/// Time constant with which they do, in days.
const CLOCK_DAYS: f64 = 0.25;
/// Above this share of values equal to the median the tail is left as it is.
const FLAT_SHARE: f64 = 0.3;
/// So it is above this share of zeros: the load comes in bursts, and those are all that the tail is made of.
const ZEROS_SHARE: f64 = 0.4;
/// Fewest errors for a horizon to have a spread of its own.
const ERRORS_MIN: usize = 12;

/// Whether the tail is kept between bounds: not for a load that mostly stands still and comes in bursts.
pub(crate) fn is_capped(track: &Track<'_>) -> bool {
    let values = (0..track.len())
        .filter(|&i| track.valid.at(i))
        .map(|i| track.values.at(i));
    let values: Vec<f64> = values.collect();
    let middle = crate::track::median(values.clone());
    let share = |of: f64| {
        let equal = values.iter().filter(|v| **v == of).count();
        equal as f64 / values.len() as f64
    };
    share(middle) < FLAT_SHARE && share(0.0) <= ZEROS_SHARE
}

/// Errors relative to the level of the forecast, and the spread by the clock. Sorted when first asked for: most
/// predictions look at few horizons and clock times.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    /// `[horizon]`: mean absolute error; none where errors are too few.
    scales: Vec<Option<f64>>,
    /// `[horizon]`: its own errors with their weights, ascending.
    sorted: Vec<OnceLock<Vec<(f64, f64)>>>,
    /// `[horizon]`: with those of its neighbours.
    errors: Vec<OnceLock<Errors>>,
    clock: Option<ClockSpread>,
    pub(crate) capped: bool,
    day: usize,
}

impl Spread {
    pub(crate) fn new(
        evidence: &Evidence,
        clock: Option<ClockSpread>,
        capped: bool,
        day: usize,
    ) -> Self {
        let scale = |errors: &Vec<f64>| {
            let known = errors.iter().filter(|e| e.is_finite());
            let (sum, count) = known.fold((0.0, 0), |(sum, count), e| (sum + e.abs(), count + 1));
            (count >= ERRORS_MIN).then(|| sum / count as f64 + 1e-12)
        };
        let horizons = evidence.errors.len();
        Self {
            scales: evidence.errors.iter().map(scale).collect(),
            sorted: vec![OnceLock::new(); horizons],
            errors: vec![OnceLock::new(); horizons],
            clock,
            capped,
            day,
        }
    }

    fn errors(&self, evidence: &Evidence, horizon: usize) -> &Errors {
        self.errors[horizon].get_or_init(|| self.gather(evidence, horizon))
    }

    /// The errors of a horizon and those of its neighbours, brought to its scale.
    fn gather(&self, evidence: &Evidence, h: usize) -> Errors {
        let time = |h: usize| (evidence.horizons[h] as f64).ln();
        let distance = |o: usize| (time(o) - time(h)).abs();
        let known = (0..self.scales.len()).filter(|&o| self.scales[o].is_some());
        let nearest = known.min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
        let Some(nearest) = nearest else {
            return Errors::default();
        };
        let scale = match self.scales[h] {
            Some(scale) => scale,
            // Further than history can tell: errors grow as those of a random walk.
            None => {
                let ratio = evidence.horizons[h] as f64 / evidence.horizons[nearest] as f64;
                self.scales[nearest].unwrap_or(1.0) * ratio.max(1.0).sqrt()
            }
        };
        let mut gathered = Vec::new();
        for (other, theirs) in self.scales.iter().enumerate() {
            let near = other == nearest || distance(other) <= NEIGHBOUR_LOG;
            let Some(theirs) = theirs.filter(|_| near) else {
                continue;
            };
            let sorted = self.sorted(evidence, other).iter();
            gathered.extend(sorted.map(|(e, w)| (e * scale / theirs, *w)));
        }
        Errors::new(gathered, self.sorted(evidence, nearest).len())
    }

    fn sorted(&self, evidence: &Evidence, horizon: usize) -> &[(f64, f64)] {
        self.sorted[horizon].get_or_init(|| {
            let errors = &evidence.errors[horizon];
            let (first, rows) = known_rows(errors);
            let known = errors.iter().enumerate().filter(|(_, e)| e.is_finite());
            let weight = |row: usize| recency(row - first, rows, RECENT_HALF);
            let mut weighted: Vec<(f64, f64)> = known.map(|(row, e)| (*e, weight(row))).collect();
            weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            weighted
        })
    }

    /// The relative errors at `level` for the horizons of the grid, as far as `bins` ahead needs them.
    pub(crate) fn at_level(&self, evidence: &Evidence, bins: usize, level: f64) -> Vec<f64> {
        let (_, last, _) = grid::between(&evidence.horizons, bins);
        let middle = middle_share(level);
        let of = |horizon: usize| {
            let errors = self.errors(evidence, horizon);
            self.error(errors, level) - middle * errors.quantile(0.5)
        };
        (0..=last).map(of).collect()
    }

    /// How many mean deviations the error at `level` lies above the median, at a position of the grid of horizons.
    pub(crate) fn shape(&self, evidence: &Evidence, horizon: usize, level: f64) -> f64 {
        let errors = self.errors(evidence, horizon);
        let deviation = errors.deviation();
        if deviation <= 0.0 {
            0.0
        } else {
            (self.error(errors, level) - errors.quantile(0.5)) / deviation
        }
    }

    fn error(&self, errors: &Errors, level: f64) -> f64 {
        if self.capped {
            errors.capped(level)
        } else {
            errors.quantile(level)
        }
    }

    /// The highest level that past errors can speak for.
    pub(crate) fn calibrated_to(&self, evidence: &Evidence) -> f64 {
        let all = (0..self.errors.len()).map(|horizon| self.errors(evidence, horizon));
        all.map(Errors::calibrated_to).fold(0.5, f64::max)
    }

    /// How much of the spread of local bin `bin`, `bins` ahead, comes from the clock time, and how wide that is at
    /// `level`.
    pub(crate) fn by_clock(
        &self,
        (clock, history): (&Clock, &Stored),
        bins: usize,
        bin: i64,
        level: f64,
    ) -> (f64, f64) {
        let Some(spread) = &self.clock else {
            return (0.0, 0.0);
        };
        let tail = tens_beyond_p90(level).clamp(0.0, 1.0);
        let most = CLOCK_SHARE + (CLOCK_SHARE_TAIL - CLOCK_SHARE) * tail;
        let share = most * (1.0 - (-(bins as f64) / (CLOCK_DAYS * self.day as f64)).exp());
        (share, spread.above_median((clock, history), bin, level))
    }
}

/// Factors of ten by which `level` is rarer than P90: 1 at P99.
pub(crate) fn tens_beyond_p90(level: f64) -> f64 {
    (0.1 / (1.0 - level).max(1e-9)).log10()
}

/// How much of the errors' median is taken back at `level`: the middle is corrected by half of it, since it is itself
/// uncertain, P10 and P90 in full.
pub(crate) fn middle_share(level: f64) -> f64 {
    0.5 * (1.0 - (2.0 * level - 1.0).abs() / 0.8).max(0.0)
}

/// Between the horizons of the grid, by the straight line.
pub(crate) fn interpolate(horizons: &[usize], values: &[f64], bins: usize) -> f64 {
    let (low, high, share) = grid::between(horizons, bins);
    values[low] + (values[high] - values[low]) * if low == high { 0.0 } else { share }
}
