//! How far truth lies from the pooled forecast, per horizon, from the pool's own past.

use crate::{
    clock_spread::ClockSpread,
    errors::Errors,
    grid,
    pool::{Pool, known_rows, recency},
    track::Track,
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

/// Errors relative to the level of the forecast, and the spread by the clock.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    /// `[horizon]`
    errors: Vec<Errors>,
    clock: Option<ClockSpread>,
    pub(crate) capped: bool,
    day: usize,
}

impl Spread {
    pub(crate) fn new(
        pool: &Pool,
        clock: Option<ClockSpread>,
        track: &Track<'_>,
        day: usize,
    ) -> Self {
        let relative = relative_errors(pool);
        let scales: Vec<Option<f64>> = relative
            .iter()
            .map(|errors| {
                let known: Vec<f64> = errors.iter().map(|e| e.0.abs()).collect();
                let mean = known.iter().sum::<f64>() / known.len() as f64 + 1e-12;
                (known.len() >= ERRORS_MIN).then_some(mean)
            })
            .collect();
        let time = |h: usize| (pool.horizons[h] as f64).ln();
        let own = |h: usize| -> Errors {
            let nearest = (0..relative.len())
                .filter(|&o| scales[o].is_some())
                .min_by(|&a, &b| {
                    let distance = |o: usize| (time(o) - time(h)).abs();
                    distance(a).total_cmp(&distance(b))
                });
            let Some(nearest) = nearest else {
                return Errors::default();
            };
            let scale = match scales[h] {
                Some(scale) => scale,
                // Further than history can tell: errors grow as those of a random walk.
                None => {
                    let ratio = pool.horizons[h] as f64 / pool.horizons[nearest] as f64;
                    scales[nearest].unwrap_or(1.0) * ratio.max(1.0).sqrt()
                }
            };
            let mut pooled = Vec::new();
            for (other, errors) in relative.iter().enumerate() {
                let near = other == nearest || (time(other) - time(h)).abs() <= NEIGHBOUR_LOG;
                let Some(theirs) = scales[other].filter(|_| near) else {
                    continue;
                };
                pooled.extend(errors.iter().map(|(e, w)| (e * scale / theirs, *w)));
            }
            Errors::new(pooled, relative[nearest].len())
        };
        let values = (0..track.len())
            .filter(|&i| track.valid.at(i))
            .map(|i| track.values.at(i));
        let values: Vec<f64> = values.collect();
        let middle = crate::track::median(values.clone());
        let share = |of: f64| {
            let equal = values.iter().filter(|v| **v == of).count();
            equal as f64 / values.len() as f64
        };
        Self {
            errors: (0..relative.len()).map(own).collect(),
            clock,
            capped: share(middle) < FLAT_SHARE && share(0.0) <= ZEROS_SHARE,
            day,
        }
    }

    /// The relative errors at `level` for each horizon of the grid.
    pub(crate) fn at_level(&self, level: f64) -> Vec<f64> {
        let quantile = |errors: &Errors| self.error(errors, level);
        let medians = self.errors.iter().map(|e| e.quantile(0.5));
        let middle = middle_share(level);
        self.errors
            .iter()
            .map(quantile)
            .zip(medians)
            .map(|(q, m)| q - middle * m)
            .collect()
    }

    /// How many mean deviations the error at `level` lies above the median, at a position of the grid of horizons.
    pub(crate) fn shape(&self, horizon: usize, level: f64) -> f64 {
        let errors = &self.errors[horizon];
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
    pub(crate) fn calibrated_to(&self) -> f64 {
        let levels = self.errors.iter().map(Errors::calibrated_to);
        levels.fold(0.5, f64::max)
    }

    /// How much of the spread `bins` ahead comes from the clock time, and how wide that is at `level`.
    pub(crate) fn by_clock(
        &self,
        bins: usize,
        bin_of_day: usize,
        rest: bool,
        level: f64,
    ) -> (f64, f64) {
        let Some(clock) = &self.clock else {
            return (0.0, 0.0);
        };
        let tail = tens_beyond_p90(level).clamp(0.0, 1.0);
        let most = CLOCK_SHARE + (CLOCK_SHARE_TAIL - CLOCK_SHARE) * tail;
        let share = most * (1.0 - (-(bins as f64) / (CLOCK_DAYS * self.day as f64)).exp());
        (share, clock.above_median(bin_of_day, rest, level))
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

/// `[horizon]`: errors relative to the level of the forecast, with their weights.
fn relative_errors(pool: &Pool) -> Vec<Vec<(f64, f64)>> {
    let validation = &pool.validation;
    let pairs = validation.forecasts.iter().zip(&validation.truths);
    pairs
        .map(|(forecasts, truths)| {
            let (first, rows) = known_rows(truths);
            let errors = forecasts
                .iter()
                .zip(truths)
                .enumerate()
                .filter(|(_, (_, t))| t.is_finite());
            errors
                .map(|(row, (f, t))| {
                    (
                        (t - f) / pool.level(*f),
                        recency(row - first, rows, RECENT_HALF),
                    )
                })
                .collect()
        })
        .collect()
}

/// Between the horizons of the grid, by the straight line.
pub(crate) fn interpolate(horizons: &[usize], values: &[f64], bins: usize) -> f64 {
    let (low, high, share) = grid::between(horizons, bins);
    values[low] + (values[high] - values[low]) * if low == high { 0.0 } else { share }
}
