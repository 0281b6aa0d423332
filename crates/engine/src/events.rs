//! What known events add to a forecast.
//!
//! The history does not know an event that is to come: until it begins, every peak and bin that it touches is raised by
//! its factor. Once it is on, the live load shows it, and raising by the factor would count it twice: then the highest that
//! was expected of it beforehand is held until it ends. One that is told of only once it is on is raised when it is seen
//! first, and held from then on. An event that lowers the load lowers no forecast: nothing shrinks
//! because somebody said so.

use std::collections::BTreeMap;

use foreshard_decide::contract::{Forecast, LoadEvent};
use serde::{Deserialize, Serialize};

/// What was expected of events at their beginning: for each signal and event, a value for each level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Expected {
    values: BTreeMap<(String, String, String), Vec<f64>>,
}

impl Expected {
    /// Raises `forecast`, made at `now`, by the events that concern its part.
    pub(crate) fn raise(&mut self, forecast: &mut Forecast, events: &[LoadEvent], now: f64) {
        let key = |event: &LoadEvent| {
            let (part, signal) = (forecast.part.clone(), forecast.signal.clone());
            (part, signal, event.name.clone())
        };
        let own: Vec<(&LoadEvent, (String, String, String))> = events
            .iter()
            .filter(|event| event.factor > 1.0 && event.factor.is_finite() && event.end > now)
            .filter(|event| event.parts.is_empty() || event.parts.contains(&forecast.part))
            .map(|event| (event, key(event)))
            .collect();
        self.values.retain(|known, _| {
            (&known.0, &known.1) != (&forecast.part, &forecast.signal)
                || own.iter().any(|(_, key)| key == known)
        });
        for (event, key) in own {
            if now < event.start || !self.values.contains_key(&key) {
                self.announce(forecast, event, key, now);
            } else {
                self.hold(forecast, event, &key, now);
            }
        }
    }

    fn announce(
        &mut self,
        forecast: &mut Forecast,
        event: &LoadEvent,
        key: (String, String, String),
        now: f64,
    ) {
        let touches = |start: f64, end: f64| start < event.end && end >= event.start;
        for (bin, at) in bins(forecast) {
            if touches(at, at + forecast.step) {
                for path in &mut forecast.paths {
                    path[bin] *= event.factor;
                }
            }
        }
        let mut most: Option<Vec<f64>> = None;
        for peak in &mut forecast.peaks {
            let start = now + peak.lead;
            if !touches(start, start + peak.window) {
                continue;
            }
            for value in &mut peak.values {
                *value *= event.factor;
            }
            most = Some(highest(most, &peak.values));
        }
        if let Some(most) = most {
            self.values.insert(key, most);
        }
    }

    fn hold(
        &self,
        forecast: &mut Forecast,
        event: &LoadEvent,
        key: &(String, String, String),
        now: f64,
    ) {
        let Some(expected) = self.values.get(key) else {
            return;
        };
        for peak in &mut forecast.peaks {
            if now + peak.lead < event.end && peak.values.len() == expected.len() {
                peak.values = highest(Some(peak.values.clone()), expected);
            }
        }
    }
}

/// Place and beginning of each bin of the paths.
fn bins(forecast: &Forecast) -> Vec<(usize, f64)> {
    let count = forecast.paths.iter().map(Vec::len).min().unwrap_or(0);
    let at = |bin: usize| forecast.start + bin as f64 * forecast.step;
    (0..count).map(|bin| (bin, at(bin))).collect()
}

fn highest(known: Option<Vec<f64>>, values: &[f64]) -> Vec<f64> {
    match known {
        Some(known) if known.len() == values.len() => {
            known.iter().zip(values).map(|(a, b)| a.max(*b)).collect()
        }
        _ => values.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use foreshard_decide::contract::Peak;

    use super::*;

    fn forecast(value: f64) -> Forecast {
        Forecast {
            signal: "demand".to_owned(),
            part: String::new(),
            model: String::new(),
            issued_at: 0.0,
            reliable: true,
            reasons: Vec::new(),
            skill: 0.5,
            levels: vec![0.5, 0.9],
            calibrated_to: 0.99,
            start: 0.0,
            step: 300.0,
            paths: vec![vec![value; 4], vec![2.0 * value; 4]],
            peaks: vec![Peak {
                action: "replicas".to_owned(),
                lead: 120.0,
                window: 600.0,
                values: vec![value, 2.0 * value],
            }],
        }
    }

    fn event(start: f64, end: f64, factor: f64) -> Vec<LoadEvent> {
        vec![LoadEvent {
            name: "sale".to_owned(),
            start,
            end,
            factor,
            parts: Vec::new(),
        }]
    }

    #[test]
    fn what_an_event_touches_is_raised_before_it_and_held_while_it_is_on() {
        let mut expected = Expected::default();
        let events = event(600.0, 1800.0, 3.0);
        let mut before = forecast(10.0);
        expected.raise(&mut before, &events, 0.0);
        assert_eq!(before.peaks[0].values, [30.0, 60.0]);
        assert_eq!(before.paths[0], [10.0, 30.0, 30.0, 30.0]);
        // On: the live load has risen already, and is not raised again.
        let mut on = forecast(25.0);
        expected.raise(&mut on, &events, 900.0);
        assert_eq!(on.peaks[0].values, [30.0, 60.0]);
        let mut higher = forecast(40.0);
        expected.raise(&mut higher, &events, 960.0);
        assert_eq!(higher.peaks[0].values, [40.0, 80.0]);
        let mut after = forecast(10.0);
        expected.raise(&mut after, &events, 1800.0);
        assert_eq!(after.peaks[0].values, [10.0, 20.0]);
        assert_eq!(expected, Expected::default());
    }

    #[test]
    fn what_is_told_of_late_is_raised_once_and_held() {
        let mut expected = Expected::default();
        let events = event(600.0, 1800.0, 3.0);
        let mut first = forecast(10.0);
        expected.raise(&mut first, &events, 700.0);
        assert_eq!(first.peaks[0].values, [30.0, 60.0]);
        let mut then = forecast(25.0);
        expected.raise(&mut then, &events, 760.0);
        assert_eq!(then.peaks[0].values, [30.0, 60.0]);
    }

    #[test]
    fn what_is_far_away_or_lowers_the_load_changes_nothing() {
        for events in [
            event(3600.0, 7200.0, 3.0),
            event(0.0, 900.0, 0.2),
            event(0.0, 900.0, f64::NAN),
        ] {
            let mut made = forecast(10.0);
            Expected::default().raise(&mut made, &events, 0.0);
            assert_eq!(made.peaks[0].values, [10.0, 20.0], "{events:?}");
        }
    }
}
