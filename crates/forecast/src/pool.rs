//! The pool: every seasonal base with and without correction, and plain levels, weighted by past error.

use ndarray::Array2;

use crate::{
    bases::{BASES, Plans},
    clock::Clock,
    features::{Residuals, WINDOWS_MAX, correction, windows},
    grid,
    ridge::Ridge,
    track::{Lane, Scales, Track},
};

/// Past origins that corrections are trained on.
const TRAINING_ROWS: usize = 400;
/// Past origins that weights and errors are taken from.
const VALIDATION_ROWS: usize = 250;
/// Share of the origins, the newest ones, that validate.
const VALIDATION_SHARE: f64 = 0.3;
/// Days after which a training row counts half.
const HALF_LIFE_DAYS: f64 = 14.0;
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
    Corrected(usize),
    /// Base number `0` of the seasonals as it is.
    Plain(usize),
    /// Mean of the last hour.
    HourLevel,
    /// Mean of the last day.
    DayLevel,
    /// The last value.
    Last,
}

/// A base in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seasonal {
    /// 0: raw, 1: logarithmic.
    pub(crate) space: usize,
    /// Position in [`BASES`].
    pub(crate) base: usize,
}

/// What was learned for one horizon.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    /// The members that count and their weights, which sum to 1.
    pub(crate) weights: Vec<(Kind, f64)>,
    /// Coefficients per seasonal.
    pub(crate) coefficients: Vec<[f64; WINDOWS_MAX]>,
}

/// Turns values of a space into load, within what history makes plausible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inverse {
    low: f64,
    high: f64,
    log_shift: f64,
}

impl Inverse {
    pub(crate) fn new(track: &Track<'_>, scales: Scales) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for i in 0..track.len() {
            let value = track.waves[0].live.at(i);
            low = low.min(value);
            high = high.max(value);
        }
        let range = high - low;
        let low = low - 0.2 * range;
        Self {
            low: if scales.log_shift.is_some() {
                low.max(0.0)
            } else {
                low
            },
            high: high + 0.3 * range,
            log_shift: scales.log_shift.unwrap_or(0.0),
        }
    }

    /// A new highest value widens what is plausible.
    pub(crate) fn widened(self, value: f64) -> Self {
        Self {
            high: self.high.max(1.3 * value),
            low: self.low.min(value),
            ..self
        }
    }

    #[inline]
    pub(crate) fn load(&self, space: usize, value: f64) -> f64 {
        let value = if space == 1 {
            value.min(60.0).exp() - self.log_shift
        } else {
            value
        };
        value.max(self.low).min(self.high)
    }
}

/// A fitted pool and how it did on the newest part of its own history.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) horizons: Vec<usize>,
    pub(crate) windows: Vec<usize>,
    pub(crate) seasonals: Vec<Seasonal>,
    pub(crate) fitted: Vec<Fitted>,
    pub(crate) inverse: Inverse,
    /// 10 % of the mean level: what errors are relative to, besides the forecast.
    pub(crate) base_level: f64,
    pub(crate) validation: Validation,
    /// `[seasonal]` at the fit: first bin and running sum of residuals; taken once.
    residuals: Vec<(usize, Vec<f64>)>,
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

/// Everything a fit works with.
struct Fitting<'a> {
    clock: &'a Clock,
    plans: &'a Plans,
    track: &'a Track<'a>,
    horizons: Vec<usize>,
    windows: Vec<usize>,
    seasonals: Vec<Seasonal>,
    /// `[seasonal][bin]`, bases of all known bins.
    bases: Vec<Vec<f64>>,
    residuals: Vec<Residuals<'a>>,
    inverse: Inverse,
    /// First origin and the last one that trains models for validation.
    first: usize,
    cut: usize,
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
    /// Fits to a track of at least a few hours; `spans` are (first bin ahead, bins) to validate bin by bin.
    pub(crate) fn fit(
        clock: &Clock,
        plans: &Plans,
        track: &Track<'_>,
        scales: Scales,
        spans: &[(usize, usize)],
    ) -> Self {
        let fitting = Fitting::new(clock, plans, track, scales);
        let early = fitting.coefficients(fitting.cut, |_| true);
        let origins = fitting.validation_origins();
        let (weights, forecasts, truths) = fitting.weigh(&origins, &early);
        let counts = |s: usize| {
            let mut kinds = weights.iter().flatten().map(|(kind, _)| *kind);
            kinds.any(|kind| kind == Kind::Corrected(s))
        };
        let late = fitting.coefficients(track.len() - 1, counts);
        let at_cut: Vec<Fitted> = weights
            .iter()
            .zip(early)
            .map(|(weights, coefficients)| Fitted {
                weights: weights.clone(),
                coefficients,
            })
            .collect();
        let spans = spans
            .iter()
            .map(|&(first, bins)| fitting.span(&origins, &at_cut, first.max(1), bins.max(1)));
        let spans = spans.collect();
        let fitted = weights
            .into_iter()
            .zip(late)
            .map(|(weights, coefficients)| Fitted {
                weights,
                coefficients,
            })
            .collect();
        let live = &track.waves[0].live;
        let sum: f64 = (0..track.len()).map(|i| live.at(i).abs()).sum();
        Self {
            fitted,
            inverse: fitting.inverse,
            base_level: (0.1 * sum / track.len() as f64).max(1e-9),
            validation: Validation {
                origins,
                forecasts,
                truths,
                spans,
            },
            residuals: fitting
                .residuals
                .into_iter()
                .map(|r| (r.first, r.sum.into_vec()))
                .collect(),
            horizons: fitting.horizons,
            windows: fitting.windows,
            seasonals: fitting.seasonals,
        }
    }

    /// The running residuals of a seasonal as of the fit, for whoever continues them.
    pub(crate) fn take_residuals(&mut self, seasonal: usize) -> (usize, Vec<f64>) {
        std::mem::take(&mut self.residuals[seasonal])
    }

    /// What errors of a forecast are relative to.
    #[inline]
    pub(crate) fn level(&self, forecast: f64) -> f64 {
        forecast.abs() + self.base_level
    }
}

impl<'a> Fitting<'a> {
    fn new(clock: &'a Clock, plans: &'a Plans, track: &'a Track<'a>, scales: Scales) -> Self {
        let known = track.len();
        let horizons = grid::horizons(clock.step, clock.day);
        let mut seasonals = Vec::new();
        let mut bases = Vec::new();
        let mut residuals = Vec::new();
        for (space, wave) in track.waves.iter().enumerate() {
            let mut all: Vec<Vec<f64>> = BASES.iter().map(|_| Vec::with_capacity(known)).collect();
            for i in 0..known {
                let values = plans.values(clock, wave, i, known);
                for (lane, value) in all.iter_mut().zip(values) {
                    lane.push(value);
                }
            }
            for (base, values) in all.into_iter().enumerate() {
                let Some(first) = values.iter().position(|v| v.is_finite()) else {
                    continue;
                };
                if known < first + clock.day + clock.day / 2 {
                    continue;
                }
                let mut lane = Residuals::empty(first);
                for (i, value) in values.iter().enumerate() {
                    lane.push(wave.live.at(i) - value);
                }
                seasonals.push(Seasonal { space, base });
                bases.push(values);
                residuals.push(lane);
            }
        }
        let first = residuals
            .iter()
            .map(|r| r.first)
            .min()
            .unwrap_or(clock.hour.min(known / 4));
        let room = (known - 1).saturating_sub(first);
        let reach = clock.day.min(room / 3);
        let cut = first + ((room - reach) as f64 * (1.0 - VALIDATION_SHARE)) as usize;
        Self {
            clock,
            plans,
            track,
            horizons,
            windows: windows(clock.day, clock.hour),
            seasonals,
            bases,
            residuals,
            inverse: Inverse::new(track, scales),
            first,
            cut,
        }
    }

    /// Coefficients `[horizon][seasonal]` of the `wanted` seasonals from what was known at bin `known_to`.
    fn coefficients(
        &self,
        known_to: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<Vec<[f64; WINDOWS_MAX]>> {
        let windows = self.windows.len();
        let mut all: Vec<Vec<[f64; WINDOWS_MAX]>> = self
            .horizons
            .iter()
            .map(|&h| {
                let fade = (-(h as f64) / (FADE_DAYS * self.clock.day as f64)).exp();
                let mut row = [0.0; WINDOWS_MAX];
                row[..windows].fill(fade / windows as f64);
                vec![row; self.seasonals.len()]
            })
            .collect();
        let short = SHORT_HOURS * self.clock.hour;
        let split = self.horizons.partition_point(|h| *h <= short);
        for group in [0..split, split..self.horizons.len()] {
            let Some(&reach) = self.horizons[group.clone()].last() else {
                continue;
            };
            let Some(end) = known_to.checked_sub(reach) else {
                continue;
            };
            let rows = self.training_origins(end);
            for seasonal in (0..self.seasonals.len()).filter(|&s| wanted(s)) {
                let Some(found) = self.regress(seasonal, &rows, &self.horizons[group.clone()])
                else {
                    continue;
                };
                for (column, fitted) in all[group.clone()].iter_mut().enumerate() {
                    for window in 0..windows {
                        fitted[seasonal][window] = found[[window, column]];
                    }
                }
            }
        }
        all
    }

    /// Evenly spread origins up to `end`, a stride that meets every minute of the hour.
    fn training_origins(&self, end: usize) -> Vec<usize> {
        spread(self.first, end, TRAINING_ROWS, self.clock.hour)
    }

    fn validation_origins(&self) -> Vec<usize> {
        let end = self.track.len().saturating_sub(2);
        spread(self.cut, end, VALIDATION_ROWS, self.clock.hour)
    }

    /// Residuals at the `horizons` on the mean residuals at the origins.
    fn regress(
        &self,
        seasonal: usize,
        origins: &[usize],
        horizons: &[usize],
    ) -> Option<Array2<f64>> {
        let residuals = &self.residuals[seasonal];
        let base = &self.bases[seasonal];
        let wave = &self.track.waves[self.seasonals[seasonal].space];
        let usable: Vec<usize> = origins
            .iter()
            .copied()
            .filter(|&i| {
                let known = horizons
                    .iter()
                    .filter(|&&h| self.track.valid.at(i + h))
                    .count();
                i >= residuals.first
                    && self.track.valid.at(i)
                    && 4 * known >= 3 * horizons.len()
                    && horizons.iter().all(|&h| base[i + h].is_finite())
            })
            .collect();
        if usable.len() < ROWS_MIN {
            return None;
        }
        let columns = self.windows.len();
        let mut ridge = Ridge::new(usable.len(), columns, horizons.len());
        let newest = self.track.len() as f64;
        let half_life = HALF_LIFE_DAYS * self.clock.day as f64;
        for &i in &usable {
            let weight = 0.5_f64.powf((newest - i as f64) / half_life);
            let means = residuals.means(&self.windows, i);
            let targets = horizons.iter().map(|&h| wave.value(i + h) - base[i + h]);
            ridge.push(weight, &means[..columns], targets);
        }
        ridge.solve()
    }

    /// The base of bin `target` as it was known at bin `origin`.
    #[inline]
    fn base_at(&self, seasonal: usize, target: usize, origin: usize) -> f64 {
        if target - origin + self.clock.hour <= self.clock.day {
            return self.bases[seasonal][target];
        }
        // Within an hour of a whole day, smoothing would look past the origin.
        let Seasonal { space, base } = self.seasonals[seasonal];
        self.plans
            .values(self.clock, &self.track.waves[space], target, origin + 1)[base]
    }

    fn level(&self, origin: usize, bins: usize) -> f64 {
        let from = (origin + 1).saturating_sub(bins);
        let live = &self.track.waves[0].live;
        let sum: f64 = (from..=origin).map(|i| live.at(i)).sum();
        sum / (origin + 1 - from) as f64
    }

    /// Weights of the members per horizon, and the pooled forecasts with their truths.
    #[expect(clippy::type_complexity, reason = "three tables of one pass")]
    fn weigh(
        &self,
        origins: &[usize],
        coefficients: &[Vec<[f64; WINDOWS_MAX]>],
    ) -> (Vec<Vec<(Kind, f64)>>, Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let kinds = self.kinds();
        let features = self.features(origins);
        let levels: Vec<[f64; 3]> = origins
            .iter()
            .map(|&i| {
                let last = self.track.waves[0].live.at(i);
                [
                    self.level(i, self.clock.hour),
                    self.level(i, self.clock.day),
                    last,
                ]
            })
            .collect();
        let mut tables = Vec::new();
        let mut truths = Vec::new();
        for (horizon, &h) in self.horizons.iter().enumerate() {
            let mut table = vec![f64::NAN; origins.len() * kinds.len()];
            let mut truth = vec![f64::NAN; origins.len()];
            for (row, &i) in origins.iter().enumerate() {
                let target = i + h;
                if target >= self.track.len() {
                    break;
                }
                let judged = i >= self.judged_from(h);
                if judged && self.track.valid.at(i) && self.track.valid.at(target) {
                    truth[row] = self.track.values.at(target);
                }
                let at = row * kinds.len();
                let (cells, last) = (&mut table[at..at + kinds.len()], levels[row]);
                self.members(
                    i,
                    target,
                    &features[row],
                    &coefficients[horizon],
                    last,
                    cells,
                );
            }
            tables.push(table);
            truths.push(truth);
        }
        let weights = weights(
            &self.horizons,
            &kinds,
            &tables,
            &self.clipped(origins, &truths),
        );
        let forecasts = tables.iter().zip(&weights).map(|(table, weights)| {
            let rows = table.chunks(kinds.len());
            rows.map(|row| {
                row.iter()
                    .zip(weights)
                    .map(|(v, w)| if *w > 0.0 { v * w } else { 0.0 })
                    .sum()
            })
            .collect()
        });
        let forecasts = forecasts.collect();
        let named = weights.iter().map(|weights| {
            let pairs = kinds.iter().copied().zip(weights.iter().copied());
            pairs.filter(|(_, weight)| *weight > 0.0).collect()
        });
        (named.collect(), forecasts, truths)
    }

    /// First origin whose forecast `bins` ahead is judged: shorter horizons have newer origins.
    fn judged_from(&self, bins: usize) -> usize {
        let room = (self.track.len() - 1).saturating_sub(self.first + bins);
        let from = self.first + (room as f64 * (1.0 - VALIDATION_SHARE)) as usize;
        from.max(self.cut)
    }

    /// Truths without outliers, `[horizon][row]`: one of them must not make all members look alike.
    fn clipped(&self, origins: &[usize], truths: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let clip = |(truth, &h): (&Vec<f64>, &usize)| {
            let pairs = truth.iter().zip(origins);
            let settled = |&i: &usize| self.track.waves[0].value(i + h);
            pairs
                .map(|(t, i)| if t.is_finite() { settled(i) } else { *t })
                .collect()
        };
        truths.iter().zip(&self.horizons).map(clip).collect()
    }

    /// All kinds of members, in the order of the cells that [`Self::members`] fills.
    fn kinds(&self) -> Vec<Kind> {
        let seasonals =
            (0..self.seasonals.len()).flat_map(|s| [Kind::Corrected(s), Kind::Plain(s)]);
        seasonals
            .chain([Kind::HourLevel, Kind::DayLevel, Kind::Last])
            .collect()
    }

    /// `[row][seasonal]`: mean residuals at each origin.
    fn features(&self, origins: &[usize]) -> Vec<Vec<[f64; WINDOWS_MAX]>> {
        let at = |&i: &usize| {
            self.residuals
                .iter()
                .map(|r| r.means(&self.windows, i))
                .collect()
        };
        origins.iter().map(at).collect()
    }

    fn members(
        &self,
        origin: usize,
        target: usize,
        features: &[[f64; WINDOWS_MAX]],
        coefficients: &[[f64; WINDOWS_MAX]],
        levels: [f64; 3],
        cells: &mut [f64],
    ) {
        let windows = self.windows.len();
        for (s, seasonal) in self.seasonals.iter().enumerate() {
            let base = self.base_at(s, target, origin);
            let known = base.is_finite();
            let moved = correction(&features[s][..windows], &coefficients[s][..windows]);
            // Where a base is not known yet the last value stands in.
            let load = |v: f64| {
                if known {
                    self.inverse.load(seasonal.space, v)
                } else {
                    levels[2]
                }
            };
            cells[2 * s] = load(base + moved);
            cells[2 * s + 1] = load(base);
        }
        cells[2 * self.seasonals.len()..].copy_from_slice(&levels);
    }

    /// The pooled forecasts of `bins` bins from `first` ahead on.
    fn span(&self, origins: &[usize], fitted: &[Fitted], first: usize, bins: usize) -> Span {
        let mut forecasts = vec![f64::NAN; origins.len() * bins];
        let mut truths = forecasts.clone();
        for (row, &i) in origins.iter().enumerate() {
            let point = Point {
                horizons: &self.horizons,
                windows: &self.windows,
                seasonals: &self.seasonals,
                fitted,
                inverse: self.inverse,
                features: self
                    .residuals
                    .iter()
                    .map(|r| r.means(&self.windows, i))
                    .collect(),
                levels: [
                    self.level(i, self.clock.hour),
                    self.level(i, self.clock.day),
                    self.track.waves[0].live.at(i),
                ],
            };
            for bin in 0..bins {
                let target = i + first + bin;
                if target >= self.track.len() {
                    break;
                }
                let base = |s: usize| self.base_at(s, target, i);
                forecasts[row * bins + bin] = point.forecast(first + bin, base);
                if self.track.valid.at(i) && self.track.valid.at(target) {
                    truths[row * bins + bin] = self.track.values.at(target);
                }
            }
        }
        Span {
            first,
            bins,
            forecasts,
            truths,
        }
    }
}

/// The pool at one origin.
pub(crate) struct Point<'a> {
    pub(crate) horizons: &'a [usize],
    pub(crate) windows: &'a [usize],
    pub(crate) seasonals: &'a [Seasonal],
    pub(crate) fitted: &'a [Fitted],
    pub(crate) inverse: Inverse,
    /// Mean residuals per seasonal.
    pub(crate) features: Vec<[f64; WINDOWS_MAX]>,
    /// Last hour's and day's mean and the last value.
    pub(crate) levels: [f64; 3],
}

impl Point<'_> {
    /// The pooled forecast `bins` ahead, given the bases of that bin.
    pub(crate) fn forecast(&self, bins: usize, base: impl Fn(usize) -> f64) -> f64 {
        let (low, high, share) = grid::between(self.horizons, bins);
        let upper = self.at(high, &base);
        if low == high {
            return upper;
        }
        let lower = self.at(low, &base);
        lower + (upper - lower) * share
    }

    fn at(&self, horizon: usize, base: &impl Fn(usize) -> f64) -> f64 {
        let fitted = &self.fitted[horizon];
        let windows = self.windows.len();
        let value = |kind: Kind| match kind {
            Kind::Corrected(s) | Kind::Plain(s) => {
                let base = base(s);
                if !base.is_finite() {
                    return self.levels[2];
                }
                let moved = if matches!(kind, Kind::Corrected(_)) {
                    let coefficients = &fitted.coefficients[s][..windows];
                    correction(&self.features[s][..windows], coefficients)
                } else {
                    0.0
                };
                self.inverse.load(self.seasonals[s].space, base + moved)
            }
            Kind::HourLevel => self.levels[0],
            Kind::DayLevel => self.levels[1],
            Kind::Last => self.levels[2],
        };
        fitted
            .weights
            .iter()
            .map(|&(kind, weight)| weight * value(kind))
            .sum()
    }
}

/// Up to `count` numbers from `first` to `end`, ending with `end`, a stride apart that shares no factor with `hour`.
fn spread(first: usize, end: usize, count: usize, hour: usize) -> Vec<usize> {
    if end < first {
        return Vec::new();
    }
    let mut stride = ((end - first + 1) / count).max(1);
    while stride > 1 && hour > 1 && gcd(stride, hour) != 1 {
        stride -= 1;
    }
    let mut found: Vec<usize> = (first..=end).rev().step_by(stride).collect();
    found.reverse();
    found
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Weights `[horizon][member]` from the errors of all members, shared among neighbouring horizons.
fn weights(
    horizons: &[usize],
    kinds: &[Kind],
    tables: &[Vec<f64>],
    truths: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let members = kinds.len();
    let errors: Vec<Option<Vec<f64>>> = tables
        .iter()
        .zip(truths)
        .map(|(table, truth)| {
            let (first, rows) = known_rows(truth);
            let mut sums = vec![0.0; members];
            let (mut total, mut count) = (0.0, 0);
            for (row, truth) in truth.iter().enumerate().filter(|(_, t)| t.is_finite()) {
                let weight = recency(row - first, rows, RECENT_HALF);
                for (sum, value) in sums.iter_mut().zip(&table[row * members..]) {
                    *sum += weight * (value - truth).abs();
                }
                total += weight;
                count += 1;
            }
            (count >= EVIDENCE_MIN).then(|| sums.iter().map(|s| s / total + 1e-12).collect())
        })
        .collect();
    let time = |h: usize| (horizons[h] as f64).ln();
    let of = |h: usize| {
        let mut shared = vec![0.0; members];
        let mut total = 0.0;
        for (other, errors) in errors.iter().enumerate() {
            let Some(errors) = errors else { continue };
            let distance = (time(h) - time(other)) / SHARE_LOG;
            let weight = (-0.5 * distance * distance).exp().max(1e-12);
            for (sum, error) in shared.iter_mut().zip(errors) {
                *sum += weight * error;
            }
            total += weight;
        }
        if total == 0.0 {
            // No evidence at all: the last value.
            return kinds
                .iter()
                .map(|k| f64::from(u8::from(*k == Kind::Last)))
                .collect();
        }
        let best = shared.iter().copied().fold(f64::INFINITY, f64::min);
        let raw = shared.iter().map(|&e| {
            if e > PRUNE * best {
                0.0
            } else {
                (e / best).powf(-POWER)
            }
        });
        let raw: Vec<f64> = raw.collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|w| w / sum).collect::<Vec<f64>>()
    };
    (0..horizons.len()).map(of).collect()
}

impl Residuals<'_> {
    fn empty(first: usize) -> Self {
        Self {
            first,
            sum: Lane::starting_with(0.0),
        }
    }
}
