//! The forecast of one signal, kept fitted and calibrated.

use std::sync::Arc;

use foreshard_forecast::{
    Calendar, Calibration, Config, Forecast, Issued, Model, PeakWindow, Request, Sample, Series,
    fit,
};

use crate::gate::Gate;
use crate::windows::maximum;

/// Seconds between two fits when skill drops: a fit that did not help is not repeated at once.
const REFIT_MIN_SECONDS: i64 = 3600;

/// The forecast of one signal, kept fitted and calibrated. Everything in it follows from what it was fed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forecaster {
    fitted: Option<Fitted>,
    calibration: Calibration,
    gate: Gate,
    /// Forecasts whose truth is awaited: at most one per window that is not over, so that errors do not overlap.
    issued: Vec<Issued>,
}

#[derive(Clone, Debug)]
struct Fitted {
    model: Arc<Model>,
    at: i64,
    peaks: Vec<PeakWindow>,
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
    pub(crate) refit_every: i64,
}

impl Forecaster {
    /// Learns from the windows that are over, fits if that is due, and forecasts.
    pub(crate) fn step(&mut self, question: Question<'_>) -> Forecast {
        self.learn(question.series);
        let model = self.fitted(&question);
        let request = Request {
            now: question.now,
            horizon: question.horizon,
            levels: question.levels,
            peaks: question.peaks,
        };
        let (series, latest) = (question.series, question.latest);
        let mut forecast = model.predict(series, latest, &request, &self.calibration);
        self.issue(&forecast);
        let doubts = self.gate.doubts(question.now, series, &model);
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

    /// What truth has taught so far.
    pub(crate) fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    fn fitted(&mut self, question: &Question<'_>) -> Arc<Model> {
        let due = |fitted: &Fitted| {
            let age = question.now - fitted.at;
            fitted.peaks != question.peaks
                || age >= question.refit_every
                || (age >= REFIT_MIN_SECONDS.min(question.refit_every)
                    && fitted
                        .model
                        .refit_due(question.now, &self.calibration)
                        .is_some())
        };
        if let Some(fitted) = self.fitted.as_ref().filter(|fitted| !due(fitted)) {
            return Arc::clone(&fitted.model);
        }
        let config = Config {
            peaks: question.peaks.clone(),
            ..Config::default()
        };
        let model = Arc::new(fit(question.series, question.calendar, &config));
        self.fitted = Some(Fitted {
            model: Arc::clone(&model),
            at: question.now,
            peaks: question.peaks.clone(),
        });
        model
    }

    /// Tells the calibration the truth of every window whose bins are all known.
    fn learn(&mut self, series: &Series) {
        let mut waiting = Vec::with_capacity(self.issued.len());
        for issued in std::mem::take(&mut self.issued) {
            if issued.due() > series.end() {
                waiting.push(issued);
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
