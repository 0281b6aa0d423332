//! The cleaned history: gaps filled, outliers clipped, and its sums, extended by what came in since the fit.

use crate::{clock::Clock, median::Rolling};

/// Outliers lie further than so many robust standard deviations from everything that could explain them.
const OUTLIER_SIGMAS: f64 = 8.0;
/// Without hindsight an outlier must lie further off by this factor: it may be the first bin of a change.
const DOUBT: f64 = 3.0;
/// Least robust standard deviation as a share of the median level.
const SIGMA_FLOOR: f64 = 0.02;
/// Hours over which a long gap's edges fade into the seasonal value.
const FADE_HOURS: f64 = 3.0;

/// A sequence of which the first `keep` values are borrowed and the rest are its own.
#[derive(Clone, Debug)]
pub(crate) struct Lane<'a, T> {
    old: &'a [T],
    keep: usize,
    new: Vec<T>,
}

impl<'a, T: Copy> Lane<'a, T> {
    /// Nothing borrowed, one value of its own.
    pub(crate) fn starting_with(value: T) -> Self {
        Self {
            old: &[],
            keep: 0,
            new: vec![value],
        }
    }

    pub(crate) fn new(old: &'a [T], keep: usize) -> Self {
        let keep = keep.min(old.len());
        Self {
            old,
            keep,
            new: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn at(&self, i: usize) -> T {
        if i < self.keep {
            self.old[i]
        } else {
            self.new[i - self.keep]
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keep + self.new.len()
    }

    pub(crate) fn push(&mut self, value: T) {
        self.new.push(value);
    }

    pub(crate) fn into_vec(self) -> Vec<T> {
        if self.keep == 0 {
            return self.new;
        }
        let mut all = self.old[..self.keep].to_vec();
        all.extend(self.new);
        all
    }
}

/// Scales of a series, learned once at the fit so that old and new bins are treated alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scales {
    /// Robust standard deviation around the local median.
    pub(crate) sigma: f64,
    /// Added before the logarithm; `None`: the series goes below zero, no logarithm.
    pub(crate) log_shift: Option<f64>,
}

/// What a fit keeps of its history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    values: Vec<f64>,
    valid: Vec<bool>,
    waves: Vec<StoredWave>,
}

impl Stored {
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn valid(&self) -> &[bool] {
        &self.valid
    }
}

#[derive(Clone, Debug, Default)]
struct StoredWave {
    settled_sum: Vec<f64>,
    live: Vec<f64>,
    effect: Vec<f64>,
}

/// History in one space (raw or logarithmic).
#[derive(Clone, Debug)]
pub(crate) struct Wave<'a> {
    /// `settled_sum[i]`: sum of the settled values before bin `i`. A settled value was clipped with half an hour of
    /// hindsight, so it may only be used at lags of a day and more.
    settled_sum: Lane<'a, f64>,
    /// Clipped with what was known when the bin ended.
    pub(crate) live: Lane<'a, f64>,
    /// Sum over this and all earlier hours of what the bin was above the smoothed value: the hourly rhythm.
    effect: Lane<'a, f64>,
}

/// The whole cleaned history, in units of the series' own scale.
#[derive(Clone, Debug)]
pub(crate) struct Track<'a> {
    /// Gaps filled, outliers kept.
    pub(crate) values: Lane<'a, f64>,
    /// False where `values` was filled.
    pub(crate) valid: Lane<'a, bool>,
    /// Raw, and logarithmic if the series allows it.
    pub(crate) waves: Vec<Wave<'a>>,
    day: usize,
    hour: usize,
}

impl<'a> Track<'a> {
    /// The first `keep` bins of `stored`, continued by `newer`, which holds NaN for gaps. Hindsight may change the
    /// newest hour of what is stored.
    pub(crate) fn continued(
        stored: &'a Stored,
        keep: usize,
        newer: &[f64],
        clock: &Clock,
        scales: Scales,
    ) -> Self {
        let mut track = Self::empty(stored, keep, clock, scales);
        track.append(newer);
        track.settle(keep, scales);
        track
    }

    /// From nothing: also learns the scales.
    pub(crate) fn fresh(values: &[f64], clock: &Clock, empty: &'a Stored) -> (Self, Scales) {
        let mut track = Self::empty(
            empty,
            0,
            clock,
            Scales {
                sigma: 0.0,
                log_shift: None,
            },
        );
        track.append(values);
        let mut scales = Scales::of(&track.values.new, clock.hour);
        if values.iter().any(|v| *v < 0.0) {
            scales.log_shift = None;
        }
        track.waves = Self::empty(empty, 0, clock, scales).waves;
        track.settle(0, scales);
        (track, scales)
    }

    fn empty(stored: &'a Stored, keep: usize, clock: &Clock, scales: Scales) -> Self {
        let spaces = if scales.log_shift.is_some() { 2 } else { 1 };
        let waves = (0..spaces).map(|space| match stored.waves.get(space) {
            Some(wave) => Wave {
                settled_sum: Lane::new(&wave.settled_sum, keep + 1),
                live: Lane::new(&wave.live, keep),
                effect: Lane::new(&wave.effect, keep),
            },
            None => Wave {
                settled_sum: Lane::starting_with(0.0),
                live: Lane::new(&[], 0),
                effect: Lane::new(&[], 0),
            },
        });
        Self {
            values: Lane::new(&stored.values, keep),
            valid: Lane::new(&stored.valid, keep),
            waves: waves.collect(),
            day: clock.day,
            hour: clock.hour,
        }
    }

    /// Gives up the borrowed part and keeps all.
    pub(crate) fn into_stored(self) -> Stored {
        Stored {
            values: self.values.into_vec(),
            valid: self.valid.into_vec(),
            waves: self
                .waves
                .into_iter()
                .map(|wave| StoredWave {
                    settled_sum: wave.settled_sum.into_vec(),
                    live: wave.live.into_vec(),
                    effect: wave.effect.into_vec(),
                })
                .collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Adds bins and fills the gaps among them.
    fn append(&mut self, newer: &[f64]) {
        let mut i = 0;
        while i < newer.len() {
            if newer[i].is_finite() {
                self.values.push(newer[i]);
                self.valid.push(true);
                i += 1;
                continue;
            }
            let end = (i..newer.len()).find(|&j| newer[j].is_finite());
            let end = end.unwrap_or(newer.len());
            self.bridge(end - i, newer.get(end).copied());
            i = end;
        }
    }

    /// Fills a gap of `bins` bins: what it was above the seasonal value at the edges is carried in, by a straight line
    /// up to an hour and fading to nothing in longer gaps.
    fn bridge(&mut self, bins: usize, after: Option<f64>) {
        let from = self.values.len();
        let before = (from > 0).then(|| self.values.at(from - 1));
        let edge =
            |value: Option<f64>, at: usize| value.map(|v| v - self.seasonal(at).unwrap_or(v));
        let seasonal = (from > 0).then(|| self.seasonal(from - 1)).flatten();
        let left = edge(before, from.saturating_sub(1));
        let right = after
            .filter(|_| bins <= self.day)
            .and_then(|v| edge(Some(v), from + bins));
        let fade = FADE_HOURS * self.hour as f64;
        for offset in 0..bins {
            let at = (offset + 1) as f64 / (bins + 1) as f64;
            let plain = match (before, after) {
                (Some(a), Some(b)) => a + (b - a) * at,
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => 0.0,
            };
            let filled = match (self.seasonal(from + offset), seasonal) {
                (Some(usual), Some(_)) => {
                    let (left, right) = (left.unwrap_or(0.0), right.unwrap_or(0.0));
                    if bins <= self.hour {
                        usual + left + (right - left) * at
                    } else {
                        let since = (offset + 1) as f64 / fade;
                        let until = (bins - offset) as f64 / fade;
                        usual + left * (-since).exp() + right * (-until).exp()
                    }
                }
                _ => plain,
            };
            self.values.push(filled);
            self.valid.push(false);
        }
    }

    /// Mean of the same clock time yesterday and a week ago, as far as known.
    fn seasonal(&self, i: usize) -> Option<f64> {
        let lags = [self.day, 7 * self.day];
        let known = lags
            .iter()
            .filter(|&&lag| i >= lag && i - lag < self.values.len());
        let (sum, count) = known.fold((0.0, 0), |(sum, count), &lag| {
            (sum + self.values.at(i - lag), count + 1)
        });
        (count > 0).then(|| sum / f64::from(count))
    }

    /// Clips outliers and extends all sums from bin `from` on.
    fn settle(&mut self, from: usize, scales: Scales) {
        let half = self.hour.max(3) / 2;
        let end = self.values.len();
        let most = OUTLIER_SIGMAS * scales.sigma;
        for wave in &mut self.waves {
            wave.reserve(end - from);
        }
        for i in from..end {
            let value = self.values.at(i);
            let lagged = self.nearest_lagged(i, value);
            let previous = if i > 0 { self.values.at(i - 1) } else { value };
            let near = |reference: f64, most: f64| (reference - value).abs() <= most;
            // Medians are dear, and nearly every bin is explained without them.
            let settled = if near(lagged, most) {
                value
            } else {
                let centred = self.median_of(i.saturating_sub(half)..(i + half + 1).min(end));
                clip(value, &[centred, lagged], most)
            };
            let live = if near(previous, DOUBT * most) || near(lagged, DOUBT * most) {
                value
            } else {
                let trailing = self.median_of(i.saturating_sub(2 * half)..i + 1);
                clip(value, &[previous, trailing, lagged], DOUBT * most)
            };
            self.push(settled, live, scales);
        }
        for space in 0..self.waves.len() {
            self.extend_effect(space);
        }
    }

    fn median_of(&self, bins: std::ops::Range<usize>) -> f64 {
        let mut window = Rolling::default();
        for i in bins {
            window.insert(self.values.at(i));
        }
        window.median()
    }

    /// Of the values at about this time yesterday and last week, the nearest; recurring spikes are no outliers.
    fn nearest_lagged(&self, i: usize, value: f64) -> f64 {
        let mut nearest = f64::INFINITY;
        for lag in [self.day, 7 * self.day] {
            for shift in 0..3 {
                if i + shift > lag {
                    // i - lag - 1 ..= i - lag + 1; with lags of a single bin never the bin itself.
                    let at = (i + shift - lag - 1).min(i.saturating_sub(1));
                    let candidate = self.values.at(at);
                    if (candidate - value).abs() < (nearest - value).abs() {
                        nearest = candidate;
                    }
                }
            }
        }
        nearest
    }

    fn push(&mut self, settled: f64, live: f64, scales: Scales) {
        for (space, wave) in self.waves.iter_mut().enumerate() {
            let (settled, live) = match (space, scales.log_shift) {
                (1, Some(shift)) => {
                    let log = |value: f64| (value.max(0.0) + shift).ln();
                    let settled_log = log(settled);
                    let alike = live == settled;
                    (settled_log, if alike { settled_log } else { log(live) })
                }
                _ => (settled, live),
            };
            let sum = wave.settled_sum.at(wave.settled_sum.len() - 1);
            wave.settled_sum.push(sum + settled);
            wave.live.push(live);
        }
    }

    fn extend_effect(&mut self, space: usize) {
        let known = self.len();
        let hour = self.hour;
        for i in self.waves[space].effect.len()..known {
            let wave = &self.waves[space];
            let before = if i >= hour {
                wave.effect.at(i - hour)
            } else {
                0.0
            };
            let above = if hour > 1 {
                wave.value(i) - wave.smooth(i, hour, known)
            } else {
                0.0
            };
            self.waves[space].effect.push(before + above);
        }
    }
}

impl Wave<'_> {
    fn reserve(&mut self, bins: usize) {
        for lane in [&mut self.settled_sum, &mut self.live, &mut self.effect] {
            lane.new.reserve(bins);
        }
    }

    /// The settled value of bin `i`.
    #[inline]
    pub(crate) fn value(&self, i: usize) -> f64 {
        self.settled_sum.at(i + 1) - self.settled_sum.at(i)
    }

    /// Mean of the settled values over the hour around bin `i`, cut at `known` bins and at the beginning.
    #[inline]
    pub(crate) fn smooth(&self, i: usize, hour: usize, known: usize) -> f64 {
        let half = hour / 2;
        let sum = &self.settled_sum;
        if i >= half && i + half < known {
            if hour % 2 == 1 {
                return (sum.at(i + half + 1) - sum.at(i - half)) / hour as f64;
            }
            let outer = sum.at(i + half + 1) - sum.at(i - half);
            let inner = sum.at(i + half) - sum.at(i - half + 1);
            return (outer + inner) / (2 * hour) as f64;
        }
        let from = i.saturating_sub(half);
        let end = (i + half + 1).min(known).max(from + 1);
        (sum.at(end) - sum.at(from)) / (end - from) as f64
    }

    /// How much the minutes of the hour around bin `i` usually are above the smoothed value, from the hours that ended
    /// with bin `i - hour`.
    #[inline]
    pub(crate) fn hourly_effect(&self, i: usize, hour: usize) -> f64 {
        if hour <= 1 || i < hour {
            return 0.0;
        }
        let hours = (i / hour) as f64;
        // The first few hours say little.
        self.effect.at(i - hour) / (hours + 4.0)
    }
}

impl Scales {
    fn of(values: &[f64], hour: usize) -> Self {
        let half = hour.max(3) / 2;
        let mut window = Rolling::default();
        let mut deviations = Vec::with_capacity(values.len());
        for &value in values.iter().take(half) {
            window.insert(value);
        }
        for (i, &value) in values.iter().enumerate() {
            if let Some(&next) = values.get(i + half) {
                window.insert(next);
            }
            if i > half {
                window.remove(values[i - half - 1]);
            }
            deviations.push((value - window.median()).abs());
        }
        let magnitude = median(values.iter().map(|v| v.abs()).collect());
        let sigma = (1.4826 * median(deviations)).max(SIGMA_FLOOR * magnitude) + 1e-9;
        Self {
            sigma,
            log_shift: Some(SIGMA_FLOOR * magnitude + 1e-6),
        }
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// `value`, no further than `most` from the nearest of the references.
fn clip(value: f64, references: &[f64], most: f64) -> f64 {
    let mut nearest = references[0];
    for &reference in &references[1..] {
        if (reference - value).abs() < (nearest - value).abs() {
            nearest = reference;
        }
    }
    if (nearest - value).abs() <= most {
        value
    } else {
        nearest + (value - nearest).clamp(-most, most)
    }
}
