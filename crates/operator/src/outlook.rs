//! The load of the next day, for people: asked for now and then, beside what the policies need to decide.

use std::sync::Arc;

use foreshard_api::validated::ValidatedPolicy;
use foreshard_decide::contract::Forecast;

/// Levels that the charts show.
pub(crate) const BAND: [f64; 2] = [0.5, 0.9];
/// How far it reaches.
pub(crate) const HORIZON_SECONDS: i64 = 86_400;
/// Seconds after which it is drawn again: as often as a status may be written.
const AGAIN_SECONDS: i64 = 300;

/// The newest one of a target.
#[derive(Debug, Default)]
pub(crate) struct Outlook {
    drawn_at: Option<i64>,
    forecasts: Arc<Vec<Forecast>>,
}

/// The highest load of the next day, of the signal that needs most replicas for its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DayPeak {
    /// In the signal's unit, at the band's upper level.
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// Unix seconds.
    pub(crate) at: i64,
}

impl Outlook {
    /// Whether it is time to draw another: at once while a signal has no model yet.
    pub(crate) fn is_due(&self, now: i64) -> bool {
        let is_new = |at: i64| (0..AGAIN_SECONDS).contains(&(now - at));
        // Without a model, each level has a path that leads nowhere.
        let is_drawn = |it: &Forecast| it.paths.iter().any(|path| !path.is_empty());
        !self.drawn_at.is_some_and(is_new) || !self.forecasts.iter().all(is_drawn)
    }

    /// Takes another one, drawn at `now`.
    pub(crate) fn set(&mut self, now: i64, forecasts: Vec<Forecast>) {
        self.drawn_at = Some(now);
        self.forecasts = Arc::new(forecasts);
    }

    /// Forgets it: it was of another spec.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// One per signal whose forecast is asked for; without a path where there is no model.
    pub(crate) fn forecasts(&self) -> &Arc<Vec<Forecast>> {
        &self.forecasts
    }

    /// None while there is no model.
    pub(crate) fn peak(&self, policy: &ValidatedPolicy) -> Option<DayPeak> {
        let peaks = self.forecasts.iter().filter_map(|forecast| {
            let signal = policy
                .signals
                .iter()
                .find(|it| it.name == forecast.signal)?;
            let level = forecast
                .levels
                .iter()
                .position(|level| *level >= BAND[1] - 1e-9)?;
            let path = forecast.paths.get(level)?.iter().enumerate();
            let (bin, &value) = path.max_by(|a, b| a.1.total_cmp(b.1))?;
            let at = (forecast.start + bin as f64 * forecast.step) as i64;
            let unit = signal.unit.clone();
            Some((value / signal.capacity, DayPeak { value, unit, at }))
        });
        let highest = peaks.max_by(|a, b| a.0.total_cmp(&b.0));
        highest.map(|(_, peak)| peak)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn forecast(signal: &str, path: &[f64]) -> Forecast {
        Forecast {
            signal: signal.to_owned(),
            part: String::new(),
            model: String::new(),
            issued_at: 1_000.0,
            reliable: true,
            reasons: vec![],
            skill: f64::NAN,
            levels: BAND.to_vec(),
            calibrated_to: 0.99,
            start: 1_200.0,
            step: 300.0,
            paths: vec![vec![0.0; path.len()], path.to_vec()],
            peaks: vec![],
        }
    }

    #[test]
    fn it_is_drawn_again_in_time_and_until_there_is_one() {
        let mut outlook = Outlook::default();
        assert!(outlook.is_due(1_000));
        let mut without_model = forecast("load", &[]);
        outlook.set(1_000, vec![without_model.clone()]);
        assert!(outlook.is_due(1_001));
        without_model.paths.clear();
        outlook.set(1_000, vec![without_model]);
        assert!(outlook.is_due(1_001));
        outlook.set(1_001, vec![forecast("load", &[1.0])]);
        assert!(!outlook.is_due(1_300));
        assert!(outlook.is_due(1_301));
        assert!(outlook.is_due(900), "the clock was set back");
        outlook.clear();
        assert!(outlook.is_due(1_002));
    }

    #[test]
    fn the_peak_is_of_the_signal_that_needs_most() {
        let spec = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "signals": [
                {"name": "load", "query": "x", "sourceRef": {"name": "main"}, "targetAverageValue": "70"},
                {"name": "jobs", "query": "y", "sourceRef": {"name": "main"}, "targetAverageValue": "5"},
            ],
            "actions": [{"type": "Replicas", "min": 2, "max": 20}],
        });
        let policy = ValidatedPolicy::parse(&serde_json::from_value(spec).unwrap()).unwrap();
        let mut outlook = Outlook::default();
        assert_eq!(outlook.peak(&policy), None);
        let load = forecast("load", &[100.0, 250.0, 90.0]);
        let jobs = forecast("jobs", &[30.0, 20.0, 10.0]);
        outlook.set(1_000, vec![load, jobs]);
        let peak = outlook.peak(&policy).unwrap();
        assert_eq!((peak.value, peak.at), (30.0, 1_200));
    }
}
