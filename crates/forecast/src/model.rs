//! Fitting and predicting.

use crate::{
    calendar::Calendar,
    calibration::Calibration,
    config::Config,
    forecast::{Forecast, Peak, PeakWindow, Request},
    series::{Sample, Series},
    simple::Held,
};

/// A fitted model. Fit seldom, predict at every tick.
#[derive(Clone, Debug)]
pub struct Model {
    fitted_at: i64,
    step: i64,
    nonnegative: bool,
    skill: f64,
    reasons: Vec<String>,
    held: Held,
}

/// One member of the pool and what it counts for.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What it is, for people.
    pub name: String,
    /// Share in the forecast an hour ahead, 0 to 1.
    pub weight_1h: f64,
    /// Share in the forecast a day ahead, 0 to 1.
    pub weight_24h: f64,
}

/// Fits a model to the bins of `series`, all of which are complete and known.
///
/// Total: a series too short, too empty or too constant gives a simple model that says so in its reasons.
#[must_use]
pub fn fit(series: &Series, _calendar: &Calendar, config: &Config) -> Model {
    let step = series.step.max(1);
    let bins = (config.history_max / step).max(1) as usize;
    let recent = &series.values[series.values.len().saturating_sub(bins)..];
    Model {
        fitted_at: series.end(),
        step,
        nonnegative: recent.iter().all(|v| !v.is_finite() || *v >= 0.0),
        skill: f64::NAN,
        reasons: Vec::new(),
        held: Held::fit(recent),
    }
}

impl Model {
    /// End of the newest bin that the fit has seen: Unix seconds.
    #[must_use]
    pub fn fitted_at(&self) -> i64 {
        self.fitted_at
    }

    /// What the model is, for people: its name and what it put its weight on.
    #[must_use]
    pub fn summary(&self) -> String {
        "last value".to_owned()
    }

    /// The members that count, heaviest first.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        Vec::new()
    }

    /// Skill against seasonal-naive on held-out history, as in [`Forecast::skill`].
    #[must_use]
    pub fn skill(&self) -> f64 {
        self.skill
    }

    /// Why a new fit is due before its time, if it is: what was learned online says that this one has lost its skill.
    /// Cheap; `now` in Unix seconds.
    #[must_use]
    pub fn refit_due(&self, now: i64, calibration: &Calibration) -> Option<String> {
        let _ = (now, calibration);
        None
    }

    /// The forecast at `request.now` from the bins of `series` that end by then and the newest live sample.
    ///
    /// `series` continues the one that was fitted, on the same grid; its older part is not read again.
    #[must_use]
    pub fn predict(
        &self,
        series: &Series,
        latest: Option<Sample>,
        request: &Request,
        calibration: &Calibration,
    ) -> Forecast {
        let step = self.step;
        let known = ((request.now - series.start).max(0) / step).min(series.values.len() as i64);
        let known = &series.values[..known as usize];
        let last = known.iter().rposition(|v| v.is_finite());
        let last_end = last.map_or(series.start, |i| series.start + step * (i as i64 + 1));
        let mut value = last.map_or(0.0, |i| known[i]);
        if let Some(sample) = latest.filter(|s| s.at >= last_end && s.at <= request.now) {
            value = sample.value;
        }
        let start = request.now - (request.now - series.start).rem_euclid(step);
        let bins = (request.horizon.max(0) + step - 1) / step;
        let bound = |v: f64| if self.nonnegative { v.max(0.0) } else { v };
        let quantile = |end: i64, level: f64| {
            let horizon = ((end - last_end + step - 1) / step).max(1) as usize;
            bound(self.held.quantile(value, horizon, level))
        };
        let paths = request.levels.iter().map(|&level| {
            let path = (0..bins).map(|i| quantile(start + step * (i + 1), level));
            path.collect()
        });
        let peaks = request.peaks.iter().map(|&window| {
            let end = request.now + window.lead + window.window;
            let levels = request.levels.iter();
            let asked = levels.map(|&level| calibration.level(window, level));
            Peak {
                window,
                values: asked.map(|level| quantile(end, level)).collect(),
            }
        });
        Forecast {
            issued_at: request.now,
            model: self.summary(),
            reliable: false,
            reasons: vec!["history is shorter than 3.5 days".to_owned()],
            skill: self.skill,
            levels: request.levels.clone(),
            calibrated_to: 0.5,
            start,
            step,
            paths: paths.collect(),
            peaks: peaks.collect(),
        }
    }

    /// Share of held-out window maxima below their forecast P90; NaN: not calibrated for this window.
    #[must_use]
    pub fn peak_coverage_p90(&self, _window: PeakWindow) -> f64 {
        f64::NAN
    }
}
