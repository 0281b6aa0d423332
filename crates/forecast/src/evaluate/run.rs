//! Issuing forecasts at past origins.

use std::sync::Arc;

use super::{naive::seasonal_naive, origins::origins, score::LEVELS};
use crate::{
    Calendar, Calibration, Config, Forecast, PeakWindow, Request, Series, Unfolded, fit,
    peaks::Bins,
};

const DAY: i64 = 86_400;

/// What is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    /// Number of origins per series.
    pub origins: usize,
    /// Seconds that the newest bin known to the fit lies before the origin; the prediction knows all bins up to it.
    pub fit_age: i64,
    /// Window maxima to issue.
    pub peaks: Vec<PeakWindow>,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            origins: 96,
            fit_age: 0,
            peaks: vec![
                PeakWindow {
                    lead: 600,
                    window: 300,
                },
                PeakWindow {
                    lead: 3600,
                    window: 300,
                },
            ],
        }
    }
}

/// The forecasts issued for one series.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRun {
    /// Bins a day.
    pub day: usize,
    /// In order of their origins; none if the series is too short: it needs 8 days.
    pub issues: Vec<Issue>,
}

/// One origin's forecast and what came.
#[derive(Clone, Debug, PartialEq)]
pub struct Issue {
    /// Unix seconds at which the first bin to forecast begins.
    pub at: i64,
    /// Days of history that the fit had.
    pub history_days: f64,
    /// `[level][bin]`, at [`LEVELS`].
    pub paths: Vec<Vec<f64>>,
    /// The same of seasonal-naive-week.
    pub naive: Vec<Vec<f64>>,
    /// What came; NaN where unknown.
    pub truth: Vec<f64>,
    /// Window maxima.
    pub peaks: Vec<PeakIssue>,
    /// Whether the skill gate trusted it.
    pub reliable: bool,
    /// Milliseconds of fit and prediction, by the caller's watch.
    pub fit_ms: f64,
    /// Milliseconds of the prediction alone.
    pub predict_ms: f64,
}

/// One forecast window maximum and what came.
#[derive(Clone, Debug, PartialEq)]
pub struct PeakIssue {
    /// The window.
    pub window: PeakWindow,
    /// At [`LEVELS`].
    pub values: Vec<f64>,
    /// The largest of the single bins' quantiles instead, at [`LEVELS`].
    pub envelope: Vec<f64>,
    /// The largest bin that the window touches; NaN where unknown.
    pub truth: f64,
}

/// Issues all forecasts of the protocol for one series. `watch` tells milliseconds since any moment; `progress` is
/// called after each origin.
pub fn run(
    series: &Series,
    calendar: &Calendar,
    protocol: &Protocol,
    watch: &dyn Fn() -> f64,
    progress: &mut dyn FnMut(),
) -> TraceRun {
    let day = (DAY / series.step.max(1)).max(1) as usize;
    let config = Config {
        peaks: protocol.peaks.clone(),
        ..Config::default()
    };
    let found = origins(series.values.len(), day, protocol.origins);
    let issues = found.into_iter().map(|origin| {
        let issue = issue(series, calendar, protocol, &config, (origin, day), watch);
        progress();
        issue
    });
    TraceRun {
        day,
        issues: issues.collect(),
    }
}

fn issue(
    series: &Series,
    calendar: &Calendar,
    protocol: &Protocol,
    config: &Config,
    (origin, day): (usize, usize),
    watch: &dyn Fn() -> f64,
) -> Issue {
    let step = series.step;
    let at = series.start + step * origin as i64;
    let bins_max = (config.history_max / step).max(1) as usize;
    let known = series.until(at);
    let to_fit = series.until(at - protocol.fit_age).tail(bins_max);
    let request = Request {
        now: at,
        horizon: step * day as i64,
        levels: LEVELS.to_vec(),
        peaks: protocol.peaks.clone(),
    };
    let began = watch();
    let model = Unfolded::new(Arc::new(fit(&to_fit, calendar, config)), &to_fit);
    let fitted = watch();
    let forecast = model.predict(&known, None, &request, &Calibration::default());
    let done = watch();
    let truth = &series.values[origin..origin + day];
    let history = known.tail(bins_max);
    let naive = LEVELS.map(|level| seasonal_naive(&history.values, day, day, level));
    Issue {
        at,
        history_days: to_fit.values.len() as f64 / day as f64,
        naive: naive.to_vec(),
        truth: truth.to_vec(),
        peaks: forecast
            .peaks
            .iter()
            .map(|peak| peak_issue(peak, &forecast, truth, step))
            .collect(),
        reliable: forecast.reliable,
        paths: forecast.paths,
        fit_ms: done - began,
        predict_ms: done - fitted,
    }
}

fn peak_issue(peak: &crate::Peak, forecast: &Forecast, truth: &[f64], step: i64) -> PeakIssue {
    let window = peak.window;
    let bins = Bins::touched(window.lead, window.lead + window.window, step);
    let largest = |values: &[f64]| {
        let touched = values.get(bins.first - 1..bins.last).unwrap_or(&[]);
        let unknown = touched.is_empty() || touched.iter().any(|v| v.is_nan());
        if unknown {
            f64::NAN
        } else {
            touched.iter().copied().fold(f64::MIN, f64::max)
        }
    };
    PeakIssue {
        window,
        values: peak.values.clone(),
        envelope: forecast.paths.iter().map(|path| largest(path)).collect(),
        truth: largest(truth),
    }
}
