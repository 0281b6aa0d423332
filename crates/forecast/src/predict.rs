//! Predicting from a fitted model.

use crate::{
    bases::Values,
    calibration::Calibration,
    forecast::{Forecast, Peak, PeakWindow, Request},
    grid,
    live::Shift,
    model::{COVERAGE_MIN, Model},
    peaks::{self, Bins},
    pool::Point,
    pooled::Pooled,
    recalled::Recalled,
    series::{Sample, Series},
    spread::{interpolate, middle_share, tens_beyond_p90},
    track::Track,
};

/// Bins that may be missing at the end, and seconds on top, before a forecast is stale.
const STALE_BINS: i64 = 3;
const STALE_SECONDS: i64 = 600;

impl Model {
    /// The forecast at `request.now` from the bins of `series` that end by then and the newest live sample.
    ///
    /// `series` has the bins that were fitted and those since, on the same grid. Of the oldest ones [`Config::head`]
    /// may be missing, so a history that slides along serves until the next fit; with more lost the forecast is made of
    /// what is left and says that it is not reliable ([`Model::lost_bins`]). The first bin of the paths is the one that
    /// `now` lies in. Bins and samples later than `now` are not looked at.
    ///
    /// [`Config::head`]: crate::Config::head
    #[must_use]
    pub fn predict(
        &self,
        series: &Series,
        latest: Option<Sample>,
        request: &Request,
        calibration: &Calibration,
    ) -> Forecast {
        let recalled = self.recall(series);
        self.answer(recalled.as_ref(), series, latest, request, calibration)
    }

    pub(crate) fn recall(&self, series: &Series) -> Option<Recalled> {
        let pooled = self.pooled.as_ref();
        pooled.map(|pooled| Recalled::new(pooled, series))
    }

    pub(crate) fn answer(
        &self,
        recalled: Option<&Recalled>,
        series: &Series,
        latest: Option<Sample>,
        request: &Request,
        calibration: &Calibration,
    ) -> Forecast {
        let recent = self.recent(series, request.now);
        let latest = latest.filter(|s| s.at <= request.now && s.value.is_finite());
        let mut reasons = self.reasons.clone();
        let age = request.now - recent.last_end(self.fitted_at);
        if age > STALE_BINS * self.step + STALE_SECONDS {
            reasons.push(format!("the newest known bin ended {age} s ago"));
        }
        let lost = self.lost_bins(series);
        if lost > 0 {
            reasons.push(format!(
                "{lost} bins of the history that was fitted are lost: a new fit is due"
            ));
        }
        for peak in &request.peaks {
            let coverage = calibration.coverage_p90(*peak, request.now);
            if let Some(coverage) = coverage.filter(|c| *c < COVERAGE_MIN) {
                let (lead, held) = (peak.lead, 100.0 * coverage);
                reasons.push(format!(
                    "P90 of the peak {lead} s ahead held in {held:.0} % of a day"
                ));
            }
        }
        let mut forecast = Forecast {
            issued_at: request.now,
            model: self.summary(),
            reliable: reasons.is_empty(),
            reasons: reasons.into_iter().chain(self.degraded.clone()).collect(),
            skill: self.skill,
            levels: request.levels.clone(),
            calibrated_to: 0.5,
            start: request.now - (request.now - recent.start).rem_euclid(self.step),
            step: self.step,
            paths: Vec::new(),
            peaks: Vec::new(),
        };
        match self.pooled.as_ref().zip(recalled) {
            Some((pooled, recalled)) => Present::new(pooled, recalled, &recent, latest).answer(
                request,
                calibration,
                &mut forecast,
            ),
            None => self.hold(&recent, latest, request, calibration, &mut forecast),
        }
        self.tidy(&mut forecast);
        forecast
    }

    /// The bins after the fit that had ended by `now`.
    fn recent(&self, series: &Series, now: i64) -> Series {
        let step = series.step.max(1);
        let bins = ((now - series.start).max(0) / step).min(series.values.len() as i64) as usize;
        // From the first bin of this model's grid that the fit has not seen.
        let skip = ((self.fitted_at - series.start).max(0) / step).min(bins as i64) as usize;
        let newer = Series {
            start: series.start + step * skip as i64,
            step,
            values: series.values[skip..bins].to_vec(),
        };
        crate::coarsen::to_step(&newer, self.step.max(step))
    }

    /// Without a pool: the last value, held.
    fn hold(
        &self,
        recent: &Series,
        latest: Option<Sample>,
        request: &Request,
        calibration: &Calibration,
        forecast: &mut Forecast,
    ) {
        let known = recent.values.iter().rposition(|v| v.is_finite());
        let (mut value, mut since) = match known {
            Some(i) => (
                recent.values[i],
                recent.start + recent.step * (i as i64 + 1),
            ),
            None => (self.held.last, self.fitted_at),
        };
        if let Some(sample) = latest.filter(|s| s.at >= since) {
            (value, since) = (sample.value, sample.at);
        }
        let step = self.step;
        let quantile = |end: i64, level: f64| {
            let ahead = (end - since + step - 1).div_euclid(step).max(1);
            self.held.quantile(value, ahead as usize, level)
        };
        let bins = path_bins(request, step);
        let start = forecast.start;
        let path = |&level: &f64| {
            (0..bins)
                .map(|i| quantile(start + step * (i + 1), level))
                .collect()
        };
        forecast.paths = request.levels.iter().map(path).collect();
        let peak = |&window: &PeakWindow| {
            let end = request.now + window.lead + window.window;
            let asked = request.levels.iter().map(|&l| calibration.level(window, l));
            Peak {
                window,
                values: asked.map(|level| quantile(end, level)).collect(),
            }
        };
        forecast.peaks = request.peaks.iter().map(peak).collect();
    }

    /// Ordered in the level, finite, and not below zero where the load never was.
    fn tidy(&self, forecast: &mut Forecast) {
        let finite = |v: f64| {
            let v = if v.is_nan() {
                0.0
            } else {
                v.clamp(f64::MIN, f64::MAX)
            };
            if self.nonnegative { v.max(0.0) } else { v }
        };
        for k in 0..forecast.paths.len() {
            let (before, here) = forecast.paths.split_at_mut(k);
            for (i, value) in here[0].iter_mut().enumerate() {
                *value = finite(*value);
                if let Some(below) = before.last() {
                    *value = value.max(below[i]);
                }
            }
        }
        for peak in &mut forecast.peaks {
            let mut below = f64::NEG_INFINITY;
            for value in &mut peak.values {
                *value = finite(*value).max(below);
                below = *value;
            }
        }
    }
}

/// Bins of the paths that were asked for.
fn path_bins(request: &Request, step: i64) -> i64 {
    if request.horizon <= 0 {
        0
    } else {
        (request.horizon - 1) / step + 1
    }
}

impl Series {
    /// End of the newest known bin, or `otherwise`.
    fn last_end(&self, otherwise: i64) -> i64 {
        let last = self.values.iter().rposition(|v| v.is_finite());
        last.map_or(otherwise, |i| self.start + self.step * (i as i64 + 1))
    }
}

/// A pooled model with everything known by now.
struct Present<'a> {
    pooled: &'a Pooled,
    recalled: &'a Recalled,
    track: Track<'a>,
    point: Point<'a>,
    /// UTC seconds at which the last known bin ended.
    end: i64,
    /// What the live sample adds: how it fades, and its residual relative to the forecast's level.
    shift: Option<(Shift, f64)>,
}

impl<'a> Present<'a> {
    fn new(
        pooled: &'a Pooled,
        recalled: &'a Recalled,
        recent: &Series,
        latest: Option<Sample>,
    ) -> Self {
        let clock = &pooled.clock;
        let (stored, keep) = (&recalled.stored, recalled.keep);
        let known = |i: usize| {
            if stored.valid()[i] {
                stored.values()[i]
            } else {
                f64::NAN
            }
        };
        let mut newer: Vec<f64> = (keep..stored.values().len()).map(known).collect();
        let mut end = pooled.last_end();
        let first = (recent.start - clock.start).div_euclid(clock.step);
        for (i, value) in recent
            .values
            .iter()
            .enumerate()
            .filter(|(_, v)| v.is_finite())
        {
            let Ok(at) = usize::try_from(clock.local(first + i as i64)) else {
                continue;
            };
            let Some(at) = at.checked_sub(keep) else {
                continue;
            };
            if newer.len() <= at {
                newer.resize(at + 1, f64::NAN);
            }
            newer[at] = value / pooled.unit;
            end = recent.start + recent.step * (i as i64 + 1);
        }
        let track = Track::continued(stored, keep, &newer, clock, pooled.scales);
        let point = recalled.point(pooled, &track);
        let mut present = Self {
            pooled,
            recalled,
            track,
            point,
            end,
            shift: None,
        };
        present.shift = latest.and_then(|sample| present.shift_by(sample));
        present
    }

    fn shift_by(&self, sample: Sample) -> Option<(Shift, f64)> {
        let step = self.pooled.clock.step;
        if sample.at < self.end {
            return None;
        }
        let ahead = (sample.at - self.end) as f64 / step as f64;
        // The centre of the bin `h` ahead lies at h - 0.5, the last known bin's at -0.5.
        let at = ahead + 0.5;
        let below = at.floor() as usize;
        let last = self.track.values.at(self.track.len() - 1);
        let low = if below == 0 {
            last
        } else {
            self.forecast(below)
        };
        let usual = low + (self.forecast(below + 1) - low) * at.fract();
        let residual = sample.value / self.pooled.unit - usual;
        let evidence = &self.recalled.evidence;
        let relative = residual / evidence.level(usual);
        Some((Shift::new(evidence, ahead), relative))
    }

    /// The pooled forecast `bins` after the last known bin, without live sample.
    fn forecast(&self, bins: usize) -> f64 {
        let known = self.track.len();
        let pooled = self.pooled;
        let spaces: Vec<Values> = self
            .track
            .waves
            .iter()
            .map(|wave| {
                let plans = &self.recalled.plans;
                plans.values(&pooled.clock, wave, known - 1 + bins, known)
            })
            .collect();
        self.point.forecast(bins, |s| {
            let seasonal = pooled.pool.seasonals[s];
            spaces[seasonal.space][seasonal.base]
        })
    }

    /// With what the live sample adds.
    fn shifted(&self, bins: usize) -> f64 {
        let plain = self.forecast(bins);
        let Some((shift, relative)) = &self.shift else {
            return plain;
        };
        let evidence = &self.recalled.evidence;
        plain + relative * shift.remaining(evidence, bins) * evidence.level(plain)
    }

    /// Bins ahead of the UTC bin that begins at `time`, at least 1.
    fn ahead(&self, time: i64) -> usize {
        let clock = &self.pooled.clock;
        let bin = (time - clock.start).div_euclid(clock.step);
        let known = self.track.len() as i64;
        (clock.local(bin) + 1 - known).max(1) as usize
    }

    fn answer(&self, request: &Request, calibration: &Calibration, forecast: &mut Forecast) {
        let widening = self.pooled.widening;
        forecast.paths = self.paths(request, forecast.start);
        let mut calibrated_to: f64 = f64::INFINITY;
        forecast.peaks = request
            .peaks
            .iter()
            .map(|&window| {
                let levels = request
                    .levels
                    .iter()
                    .map(|&l| widening.widen(calibration.level(window, l), l))
                    .collect();
                let (values, to) = self.peak(window, request.now, levels);
                calibrated_to = calibrated_to.min(to);
                Peak { window, values }
            })
            .collect();
        forecast.calibrated_to = widening.narrow(if calibrated_to.is_finite() {
            calibrated_to
        } else {
            let Recalled {
                spread, evidence, ..
            } = self.recalled;
            spread.calibrated_to(evidence)
        });
    }

    fn paths(&self, request: &Request, start: i64) -> Vec<Vec<f64>> {
        let clock = &self.pooled.clock;
        let bins = path_bins(request, clock.step);
        let times = (0..bins).map(|i| start + clock.step * i);
        let middle: Vec<(usize, i64, f64)> = times
            .map(|time| {
                let ahead = self.ahead(time);
                (ahead, time, self.shifted(ahead))
            })
            .collect();
        let paths = request.levels.iter().map(|&level| {
            let asked = self.pooled.widening.widen(level, level);
            let furthest = middle.iter().map(|(ahead, _, _)| *ahead).max();
            let quantiles = self.quantiles(asked, furthest.unwrap_or(1));
            middle
                .iter()
                .map(|&(ahead, time, value)| self.quantile(&quantiles, ahead, time, value))
                .collect()
        });
        paths.collect()
    }

    fn quantiles(&self, level: f64, furthest: usize) -> Quantiles {
        let Recalled {
            spread, evidence, ..
        } = self.recalled;
        Quantiles {
            level,
            errors: spread.at_level(evidence, furthest, level),
            middle: spread.at_level(evidence, furthest, 0.5),
        }
    }

    fn quantile(&self, quantiles: &Quantiles, ahead: usize, time: i64, forecast: f64) -> f64 {
        let evidence = &self.recalled.evidence;
        let shift = self.shift.as_ref();
        let narrow = shift.map_or(1.0, |(s, _)| s.narrowing(evidence, ahead));
        let level = evidence.level(forecast);
        let at = |errors: &[f64]| {
            forecast + narrow * level * interpolate(&evidence.horizons, errors, ahead)
        };
        let (value, middle) = (at(&quantiles.errors), at(&quantiles.middle));
        let (share, usual) = self.by_clock(ahead, time, quantiles.level);
        self.pooled.unit * (middle + (1.0 - share) * (value - middle) + share * usual)
    }

    /// How much of the spread of the bin at `time` comes from its clock time, and how wide that is at `level`.
    fn by_clock(&self, ahead: usize, time: i64, level: f64) -> (f64, f64) {
        let clock = &self.pooled.clock;
        let local = clock.local((time - clock.start).div_euclid(clock.step));
        let Recalled { spread, stored, .. } = self.recalled;
        spread.by_clock((clock, stored), ahead, local, level)
    }

    /// Quantiles of the maximum over a window, and up to which level the past speaks for them.
    fn peak(&self, window: PeakWindow, now: i64, levels: Vec<f64>) -> (Vec<f64>, f64) {
        let pooled = self.pooled;
        let Recalled {
            spread, evidence, ..
        } = self.recalled;
        let from = now - self.end + window.lead;
        let bins = Bins::touched(from, from + window.window, pooled.clock.step);
        let span = pooled.peaks.iter().position(|fitted| *fitted == window);
        let span = span.map(|at| &evidence.spans[at]);
        let span = span.filter(|s| s.first <= bins.first && bins.last < s.first + s.bins);
        let Some(span) = span else {
            return (self.envelope(bins, &levels), 0.5);
        };
        let middle = (bins.first..=bins.last).map(|h| self.shifted(h));
        let middle = middle.fold(f64::NEG_INFINITY, f64::max);
        let errors = peaks::errors(evidence, span, bins, |row, ahead, forecast| {
            let shift = self.shift.as_ref();
            shift.map_or(0.0, |(shift, _)| {
                shift.past(evidence, row, ahead) * evidence.level(forecast)
            })
        });
        if errors.is_empty() {
            return (self.envelope(bins, &levels), 0.5);
        }
        let to = errors.calibrated_to();
        // Windows are few, single bins many: half of the distance from the median is read off the latter's shape.
        let ahead = bins.first + bins.count() / 2;
        let time = self.end + pooled.clock.step * (ahead as i64 - 1);
        let (_, horizon, _) = grid::between(&evidence.horizons, ahead);
        let (centre, deviation) = (errors.quantile(0.5), errors.deviation());
        let value = |&level: &f64| {
            let own = errors.with_tail(level, to);
            let own = if spread.capped {
                errors.bounded(own, level)
            } else {
                own
            };
            let alike = centre + deviation * spread.shape(evidence, horizon, level);
            let error = 0.5 * (own + alike) - middle_share(level) * centre;
            let half = middle + (1.0 - middle_share(0.5)) * centre * evidence.level(middle);
            let value = middle + error * evidence.level(middle);
            // Up to P90 windows speak for themselves; above they are few, and the clock time helps.
            let (share, usual) = self.by_clock(ahead, time, level);
            let share = share * tens_beyond_p90(level).clamp(0.0, 1.0);
            pooled.unit * (half + (1.0 - share) * (value - half) + share * usual)
        };
        (levels.iter().map(value).collect(), to)
    }

    /// The maximum of the quantiles of single bins: what is left for a window that was not calibrated.
    fn envelope(&self, bins: Bins, levels: &[f64]) -> Vec<f64> {
        let step = self.pooled.clock.step;
        let value = |&level: &f64| {
            let quantiles = self.quantiles(level, bins.last);
            let each = (bins.first..=bins.last).map(|ahead| {
                let time = self.end + step * (ahead as i64 - 1);
                self.quantile(&quantiles, ahead, time, self.shifted(ahead))
            });
            each.fold(f64::NEG_INFINITY, f64::max)
        };
        levels.iter().map(value).collect()
    }
}

/// Relative errors at one level, per horizon of the grid.
struct Quantiles {
    level: f64,
    errors: Vec<f64>,
    middle: Vec<f64>,
}
