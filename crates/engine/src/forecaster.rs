//! The forecast of one signal, kept fitted and calibrated.

use std::sync::Arc;

use foreshard_forecast::{
    Calendar, Calibration, Config, Forecast, Issued, Model, PeakWindow, Request, Sample, Series,
    Unfolded, fit,
};
use serde::{Deserialize, Serialize};

use crate::gate::Gate;
use crate::observation::SignalSeen;
use crate::settings::Crowd;
use crate::windows::maximum;

/// Seconds between two fits when skill drops: a fit that did not help is not repeated at once.
const REFIT_MIN_SECONDS: i64 = 3600;
/// Least and most seconds of history that a model keeps itself, since the series lose them before the next fit. A
/// model that outlives them is fitted again when they are lost.
const HEAD_SECONDS: (i64, i64) = (43_200, 172_800);
/// A model is fitted again when history before its fit has become known since: when there is more of it than the model
/// was fitted to by this share. Backfill comes in parts, newest first, and a fit for each would be too many.
const FILLED_SHARE: f64 = 0.125;
/// Seconds that the truth of a window is waited for after its end, while no data comes.
const WAIT_MAX_SECONDS: i64 = 86_400;

/// The forecast of one signal, kept fitted and calibrated. Everything in it follows from what it was fed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Forecaster {
    /// Not stored: after a restart it is fitted anew.
    #[serde(skip)]
    fitted: Option<Fitted>,
    calibration: Calibration,
    gate: Gate,
    /// Forecasts whose truth is awaited: at most one per window that is not over, so that errors do not overlap.
    issued: Vec<Issued>,
    /// When it was last asked.
    asked: i64,
    /// A fit was due, and not allowed.
    #[serde(skip)]
    put_off: bool,
}

#[derive(Clone, Debug)]
struct Fitted {
    kept: Kept,
    at: i64,
    peaks: Vec<PeakWindow>,
    /// Where the history that it was fitted to ended, and how many of its bins were known.
    until: i64,
    known: usize,
}

impl Fitted {
    /// Whether it answers other questions, or needs history that is gone.
    fn does_not_fit(&self, question: &Question<'_>) -> bool {
        self.peaks != question.peaks || self.kept.model().lost_bins(question.series) > 0
    }

    /// Whether much of the history before the fit was not known at the fit.
    fn was_filled(&self, series: &Series) -> bool {
        known(series, self.until) as f64 > (1.0 + FILLED_SHARE) * self.known as f64
    }
}

/// How many bins are known that end at or before `until`.
fn known(series: &Series, until: i64) -> usize {
    let bins = (until - series.start).div_euclid(series.step.max(1));
    let bins = usize::try_from(bins).unwrap_or(0);
    let values = series.values.iter().take(bins);
    values.filter(|value| !value.is_nan()).count()
}

/// A model, with or without what its predictions need of history.
#[derive(Clone, Debug)]
enum Kept {
    Model(Arc<Model>),
    Unfolded(Arc<Unfolded>),
}

impl Kept {
    fn model(&self) -> &Arc<Model> {
        match self {
            Self::Model(model) => model,
            Self::Unfolded(unfolded) => unfolded.model(),
        }
    }

    fn predict(
        &self,
        series: &Series,
        latest: Option<Sample>,
        request: &Request,
        calibration: &Calibration,
    ) -> Forecast {
        match self {
            Self::Model(model) => model.predict(series, latest, request, calibration),
            Self::Unfolded(unfolded) => unfolded.predict(series, latest, request, calibration),
        }
    }
}

/// When models are fitted again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refit {
    /// Seconds from one fit to the next.
    pub(crate) every: i64,
    pub(crate) crowd: Crowd,
    /// Any number that follows from the names of target and signal.
    pub(crate) place: u64,
}

impl Refit {
    /// Whether so much time has passed since the fit `at` that another is due.
    fn due(self, at: i64, now: i64) -> bool {
        let every = self.every.max(1);
        match self.crowd {
            Crowd::Few => now - at >= every,
            Crowd::Many => {
                let offset = (self.place % every.unsigned_abs()) as i64;
                let round = |time: i64| (time + offset).div_euclid(every);
                round(now) > round(at)
            }
        }
    }
}

/// What is known of a signal, and what is asked of its forecast.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) now: i64,
    pub(crate) series: &'a Series,
    pub(crate) latest: Option<Sample>,
    pub(crate) calendar: &'a Calendar,
    pub(crate) horizon: i64,
    pub(crate) levels: Vec<f64>,
    pub(crate) peaks: Vec<PeakWindow>,
    pub(crate) refit: Refit,
    /// Whether it may be fitted now if that is due.
    pub(crate) may_fit: bool,
}

impl Forecaster {
    /// Learns from the windows that are over, fits if that is due, and forecasts.
    pub(crate) fn step(&mut self, question: Question<'_>) -> Forecast {
        self.asked = question.now;
        self.learn(question.series, question.now);
        let kept = self.fitted(&question);
        let request = Request {
            now: question.now,
            horizon: question.horizon,
            levels: question.levels,
            peaks: question.peaks,
        };
        let (series, latest) = (question.series, question.latest);
        let mut forecast = kept.predict(series, latest, &request, &self.calibration);
        if self.is_fitted() {
            self.issue(&forecast);
        }
        let model = kept.model();
        let doubts = self.gate.doubts(question.now, series, model);
        forecast.reliable = doubts.is_empty();
        // What makes bands wider is no doubt of the gate's, but people should know.
        let noted = doubts
            .into_iter()
            .chain(model.degraded().map(str::to_owned));
        forecast.reasons = noted.collect();
        if let Some(skill) = self.gate.skill() {
            forecast.skill = skill;
        }
        forecast
    }

    /// The load of the next `horizon` seconds, as the model in use draws it; none while there is no model.
    pub(crate) fn outlook(
        &self,
        seen: &SignalSeen<'_>,
        now: i64,
        horizon: i64,
        levels: Vec<f64>,
    ) -> Option<Forecast> {
        let fitted = self.fitted.as_ref()?;
        let request = Request {
            now,
            horizon,
            levels,
            peaks: fitted.peaks.clone(),
        };
        let latest = seen.latest.filter(|sample| sample.value.is_finite());
        let kept = &fitted.kept;
        Some(kept.predict(seen.history, latest, &request, &self.calibration))
    }

    /// What truth has taught so far.
    pub(crate) fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether a fit is due that was not allowed.
    pub(crate) fn is_put_off(&self) -> bool {
        self.put_off
    }

    /// Whether what it says rests on a model.
    pub(crate) fn is_fitted(&self) -> bool {
        self.fitted.is_some()
    }

    /// When it was last asked, in Unix seconds.
    pub(crate) fn asked(&self) -> i64 {
        self.asked
    }

    fn fitted(&mut self, question: &Question<'_>) -> Kept {
        let (now, refit) = (question.now, question.refit);
        let due = |fitted: &Fitted| {
            let model = fitted.kept.model();
            fitted.does_not_fit(question)
                || refit.due(fitted.at, now)
                || fitted.was_filled(question.series)
                || (now - fitted.at >= REFIT_MIN_SECONDS.min(refit.every)
                    && model.refit_due(now, &self.calibration).is_some())
        };
        let usable = self.fitted.as_ref().filter(|fitted| !due(fitted));
        self.put_off = usable.is_none() && !question.may_fit;
        let usable = usable.or_else(|| {
            let old = self.fitted.as_ref().filter(|_| self.put_off);
            old.filter(|fitted| !fitted.does_not_fit(question))
        });
        if let Some(fitted) = usable {
            return fitted.kept.clone();
        }
        let config = Config {
            peaks: question.peaks.clone(),
            head: refit.every.clamp(HEAD_SECONDS.0, HEAD_SECONDS.1),
            ..Config::default()
        };
        if self.put_off {
            self.fitted = None;
            let nothing = Series {
                values: Vec::new(),
                ..*question.series
            };
            return Kept::Model(Arc::new(fit(&nothing, question.calendar, &config)));
        }
        let model = Arc::new(fit(question.series, question.calendar, &config));
        let kept = match refit.crowd {
            Crowd::Few => Kept::Unfolded(Arc::new(Unfolded::new(model, question.series))),
            Crowd::Many => Kept::Model(model),
        };
        self.fitted = Some(Fitted {
            kept: kept.clone(),
            at: now,
            peaks: question.peaks.clone(),
            // Not the end of the series: one that is empty ends where it begins.
            until: now,
            known: known(question.series, now),
        });
        kept
    }

    /// Tells the calibration the truth of every window whose bins are all known.
    fn learn(&mut self, series: &Series, now: i64) {
        let mut waiting = Vec::with_capacity(self.issued.len());
        for issued in std::mem::take(&mut self.issued) {
            if issued.due() > series.end() {
                if now - issued.due() <= WAIT_MAX_SECONDS {
                    waiting.push(issued);
                }
            } else if let Some(truth) = maximum(series, issued.at, issued.window) {
                self.calibration = self.calibration.update(&issued, truth);
                // The reach from now until an order takes effect is what decisions rest on.
                if issued.window.lead == 0 {
                    self.gate.learn(&issued, truth, series);
                }
            }
        }
        self.issued = waiting;
    }

    fn issue(&mut self, forecast: &Forecast) {
        for peak in &forecast.peaks {
            let open = self
                .issued
                .iter()
                .any(|issued| issued.window == peak.window && issued.due() > forecast.issued_at);
            if !open {
                self.issued.push(Issued {
                    at: forecast.issued_at,
                    window: peak.window,
                    levels: forecast.levels.clone(),
                    values: peak.values.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    /// Seconds after a first fit at which the fits of a thousand targets that were created together are due.
    fn due(crowd: Crowd, place: u64) -> Vec<i64> {
        let refit = Refit {
            every: 21_600,
            crowd,
            place,
        };
        let mut at = 1_700_000_000;
        let begin = at;
        let ticks = (1..1440).map(|tick| begin + 60 * tick);
        let ticks = ticks.filter(|&now| {
            let due = refit.due(at, now);
            at = if due { now } else { at };
            due
        });
        ticks.map(|now| now - begin).collect()
    }

    /// Two weeks of a daily wave at 5 min, of which the first so many days are not known.
    fn wave(unknown_days: i64) -> Series {
        let value = |bin: i64| match bin < 288 * unknown_days {
            true => f64::NAN,
            false => 10.0 + (bin as f64 / 288.0 * std::f64::consts::TAU).sin(),
        };
        Series {
            start: 0,
            step: 300,
            values: (0..288 * 14).map(value).collect(),
        }
    }

    #[test]
    fn what_was_fitted_before_history_was_there_is_fitted_again() {
        let calendar = Calendar::default();
        let ask = |forecaster: &mut Forecaster, series: &Series, now: i64| {
            let forecast = forecaster.step(Question {
                now,
                series,
                latest: None,
                calendar: &calendar,
                horizon: 3600,
                levels: vec![0.5, 0.9],
                peaks: Vec::new(),
                refit: Refit {
                    every: 21_600,
                    crowd: Crowd::Few,
                    place: 0,
                },
                may_fit: true,
            });
            (forecast.reliable, forecaster.fitted.as_ref().unwrap().at)
        };
        let mut forecaster = Forecaster::default();
        let mut step = |series: &Series, now| ask(&mut forecaster, series, now);
        let now = wave(0).end();
        // The first day that a backfill gives, then all of it, a minute later.
        assert_eq!(step(&wave(13), now), (false, now));
        assert_eq!(step(&wave(0), now + 60), (true, now + 60));
        // A gap that closes, and time that passes, are no reason.
        assert_eq!(step(&wave(0), now + 120).1, now + 60);
        // A source that was gone for a while: nothing at first, and then all of it.
        let nothing = Series {
            start: 0,
            step: 300,
            values: Vec::new(),
        };
        let mut forecaster = Forecaster::default();
        let mut step = |series: &Series, now| ask(&mut forecaster, series, now);
        assert_eq!(step(&nothing, now), (false, now));
        assert_eq!(step(&wave(0), now + 60), (true, now + 60));
    }

    #[test]
    fn refits_of_many_targets_are_spread() {
        assert_eq!(due(Crowd::Few, 7), [21_600, 43_200, 64_800]);
        let mut at_tick = vec![0; 361];
        for target in 0..1000 {
            let settings = Settings {
                name: format!("shop-{target}"),
                ..Settings::default()
            };
            for signal in ["demand", "writes", "connections"] {
                let due = due(Crowd::Many, settings.place("", signal));
                assert!(due[0] <= 21_600, "{due:?}");
                assert!(due.windows(2).all(|pair| pair[1] - pair[0] == 21_600));
                at_tick[(due[0] / 60) as usize] += 1;
            }
        }
        // 3000 fits over 360 ticks: 8.3 of them at each.
        let most = at_tick.iter().max();
        assert!(most < Some(&30), "{most:?}");
    }
}
