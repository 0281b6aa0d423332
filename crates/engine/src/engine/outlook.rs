//! The load of the hours to come, for people.

use foreshard_decide::contract;

use super::{Engine, Outcome, past, until_now};
use crate::context;
use crate::observation::{Observation, SignalSeen};

impl Engine {
    /// The forecasts of the step that had `outcome`, drawn for `horizon` seconds: paths at `levels` alone, peaks at their
    /// own levels as well; the path of any other level is empty. No policy sees it, and nothing is remembered of it. A
    /// forecast that rests on no model stays as it was.
    #[must_use]
    pub fn outlook(
        &self,
        observation: &Observation<'_>,
        outcome: &Outcome,
        horizon: i64,
        levels: &[f64],
    ) -> Vec<contract::Forecast> {
        let past: Vec<_> = observation
            .signals
            .iter()
            .map(|seen| past(seen.history, observation.now))
            .collect();
        let signals = until_now(observation, &past);
        let made = outcome.record.context.forecasts.iter();
        let drawn = made.map(|made| {
            let is_it = |seen: &&SignalSeen<'_>| seen.name == made.signal && seen.part == made.part;
            let seen = signals.iter().find(is_it);
            let drawn =
                seen.and_then(|seen| self.draw(made, seen, observation.now, horizon, levels));
            drawn.unwrap_or_else(|| made.clone())
        });
        drawn.collect()
    }

    fn draw(
        &self,
        made: &contract::Forecast,
        seen: &SignalSeen<'_>,
        now: i64,
        horizon: i64,
        levels: &[f64],
    ) -> Option<contract::Forecast> {
        let key = (made.part.clone(), made.signal.clone());
        let forecaster = self.forecasters.get(&key)?;
        let mut all: Vec<f64> = made.levels.iter().chain(levels).copied().collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        let drawn = forecaster.outlook(seen, now, horizon, all)?;
        let actions = made.peaks.iter().map(|peak| peak.action.clone()).collect();
        let mut drawn = context::forecast(seen, actions, drawn);
        drawn.reliable = made.reliable;
        drawn.reasons.clone_from(&made.reasons);
        drawn.skill = made.skill;
        let mut expected = self.events.clone();
        expected.raise(&mut drawn, &self.settings.events, now as f64);
        // Whoever keeps a day of thousands of signals pays for every path.
        for (level, path) in drawn.levels.iter().zip(&mut drawn.paths) {
            if !levels.contains(level) {
                *path = Vec::new();
            }
        }
        Some(drawn)
    }
}
