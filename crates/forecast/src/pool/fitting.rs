//! Training corrections and trying the members on past origins.

use half::f16;
use linfa::{DatasetBase, traits::Fit as _};
use ndarray::Array2;

use super::weights::weights;
use super::{
    EVIDENCE_MIN, FADE_DAYS, Fitted, HALF_LIFE_DAYS, Inverse, Kind, PENALTY, Point, ROWS_MIN,
    SHORT_HOURS, Seasonal, Span, TRAINING_ROWS, VALIDATION_ROWS, VALIDATION_SHARE,
};
use crate::{
    bases::{BASES, Plans},
    clock::Clock,
    features::{Residuals, WINDOWS_MAX, correction, windows},
    grid,
    ridge::RidgeParams,
    track::{Scales, Track},
};

/// Everything a fit works with.
pub(super) struct Fitting<'a> {
    pub(super) clock: &'a Clock,
    pub(super) plans: &'a Plans,
    pub(super) track: &'a Track<'a>,
    pub(super) horizons: Vec<usize>,
    pub(super) windows: Vec<usize>,
    pub(super) seasonals: Vec<Seasonal>,
    /// `[seasonal][bin]`, bases of all known bins.
    pub(super) bases: Vec<Vec<f64>>,
    pub(super) residuals: Vec<Residuals<'a>>,
    pub(super) inverse: Inverse,
    /// First origin and the last one that trains models for validation.
    pub(super) first: usize,
    pub(super) cut: usize,
}

impl<'a> Fitting<'a> {
    pub(super) fn new(
        clock: &'a Clock,
        plans: &'a Plans,
        track: &'a Track<'a>,
        scales: Scales,
    ) -> Self {
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
                let mut lane = Residuals::empty(first, 0);
                for (i, value) in values.iter().enumerate() {
                    lane.push(wave.live.at(i) - value);
                }
                seasonals.push(Seasonal { space, base, first });
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
    pub(super) fn coefficients(
        &self,
        known_to: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<Vec<[f16; WINDOWS_MAX]>> {
        let windows = self.windows.len();
        let mut all: Vec<Vec<[f16; WINDOWS_MAX]>> = self
            .horizons
            .iter()
            .map(|&h| {
                let fade = (-(h as f64) / (FADE_DAYS * self.clock.day as f64)).exp();
                let mut row = [f16::ZERO; WINDOWS_MAX];
                row[..windows].fill(f16::from_f64(fade / windows as f64));
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
                        fitted[seasonal][window] = f16::from_f64(found[[window, column]]);
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

    pub(super) fn validation_origins(&self) -> Vec<usize> {
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
        let newest = self.track.len() as f64;
        let half_life = HALF_LIFE_DAYS * self.clock.day as f64;
        let mut means = Vec::with_capacity(usable.len() * self.windows.len());
        for &i in &usable {
            means.extend_from_slice(&residuals.means(&self.windows, i)[..self.windows.len()]);
        }
        let records = Array2::from_shape_vec((usable.len(), self.windows.len()), means).ok()?;
        let targets = Array2::from_shape_fn((usable.len(), horizons.len()), |(row, column)| {
            let target = usable[row] + horizons[column];
            wave.value(target) - base[target]
        });
        let weight = |&i: &usize| 0.5_f64.powf((newest - i as f64) / half_life) as f32;
        let dataset =
            DatasetBase::new(records, targets).with_weights(usable.iter().map(weight).collect());
        let ridge = RidgeParams::new(PENALTY).fit(&dataset).ok()?;
        Some(ridge.coefficients)
    }

    /// The base of bin `target` as it was known at bin `origin`.
    #[inline]
    fn base_at(&self, seasonal: usize, target: usize, origin: usize) -> f64 {
        if target - origin + self.clock.hour <= self.clock.day {
            return self.bases[seasonal][target];
        }
        // Within an hour of a whole day, smoothing would look past the origin.
        let Seasonal { space, base, .. } = self.seasonals[seasonal];
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
    pub(super) fn weigh(
        &self,
        origins: &[usize],
        coefficients: &[Vec<[f16; WINDOWS_MAX]>],
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
            EVIDENCE_MIN,
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
            (0..self.seasonals.len() as u8).flat_map(|s| [Kind::Corrected(s), Kind::Plain(s)]);
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
        coefficients: &[[f16; WINDOWS_MAX]],
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
    pub(super) fn span(
        &self,
        origins: &[usize],
        fitted: &[Fitted],
        first: usize,
        bins: usize,
    ) -> Span {
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
                restarted: None,
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
