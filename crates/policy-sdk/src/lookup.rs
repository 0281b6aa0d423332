//! Finding things in a context.

use crate::{Context, Forecast, Offer, Part, Peak, Signal};

/// Look-ups in a whole context.
pub trait ContextExt {
    /// The signal of a part.
    fn signal(&self, name: &str, part: &str) -> Option<&Signal>;
    /// The forecast of a part's signal.
    fn forecast(&self, signal: &str, part: &str) -> Option<&Forecast>;
    /// The parts that have a replica count.
    fn scalable_parts(&self) -> impl Iterator<Item = &Part>;
    /// Local time minus UTC at a moment, in seconds; 0 when the calendar does not say.
    fn utc_offset(&self, at: f64) -> f64;
}

impl ContextExt for Context {
    fn signal(&self, name: &str, part: &str) -> Option<&Signal> {
        self.signals
            .iter()
            .find(|signal| signal.name == name && signal.part == part)
    }

    fn forecast(&self, signal: &str, part: &str) -> Option<&Forecast> {
        self.forecasts
            .iter()
            .find(|forecast| forecast.signal == signal && forecast.part == part)
    }

    fn scalable_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.replicas.is_some())
    }

    fn utc_offset(&self, at: f64) -> f64 {
        let offsets = &self.calendar.offsets;
        let in_force = offsets.iter().rev().find(|offset| offset.since <= at);
        in_force
            .or(offsets.first())
            .map_or(0.0, |offset| f64::from(offset.seconds))
    }
}

/// Look-ups in a part.
pub trait PartExt {
    /// What one ready replica serves of a signal, in the signal's units; positive.
    fn capacity(&self, signal: &str) -> Option<f64>;
    /// What the host would carry out.
    fn offer(&self, action: &str) -> Option<&Offer>;
}

impl PartExt for Part {
    fn capacity(&self, signal: &str) -> Option<f64> {
        let capacities = &self.replicas.as_ref()?.capacities;
        capacities
            .iter()
            .find(|capacity| capacity.signal == signal && capacity.per_replica > 0.0)
            .map(|capacity| capacity.per_replica)
    }

    fn offer(&self, action: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.action == action)
    }
}

/// Look-ups in a signal.
pub trait SignalExt {
    /// The live sample, else the newest bin that has one.
    fn newest(&self) -> Option<f64>;
}

impl SignalExt for Signal {
    fn newest(&self) -> Option<f64> {
        self.latest.map(|sample| sample.value).or_else(|| {
            let mut values = self.history.values.iter().rev();
            values.find(|value| value.is_finite()).copied()
        })
    }
}

/// Look-ups in a forecast.
pub trait ForecastExt {
    /// The window maximum that was asked for an action; with `window`, the one of that length.
    fn peak(&self, action: &str, window: Option<f64>) -> Option<&Peak>;
    /// A peak's value at a level: the lowest level that is at least as high, else the highest one.
    fn peak_at(&self, peak: &Peak, level: f64) -> Option<f64>;
}

impl ForecastExt for Forecast {
    fn peak(&self, action: &str, window: Option<f64>) -> Option<&Peak> {
        self.peaks.iter().find(|peak| {
            peak.action == action && window.is_none_or(|window| (peak.window - window).abs() < 0.5)
        })
    }

    fn peak_at(&self, peak: &Peak, level: f64) -> Option<f64> {
        let found = self.levels.iter().position(|have| *have >= level - 1e-9);
        let index = found.unwrap_or(self.levels.len().checked_sub(1)?);
        peak.values.get(index).copied()
    }
}
