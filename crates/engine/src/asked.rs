//! Which forecast the policies ask for, all of them together.

use foreshard_decide::contract::{ForecastNeed, Part, PeakNeed};
use foreshard_decide::{counted_action, lead_seconds};
use foreshard_forecast::PeakWindow;

use crate::observation::{Observation, SignalSeen};
use crate::policies::Binding;

/// What is asked of the forecast of one signal.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Seconds that the paths reach.
    pub(crate) horizon: i64,
    /// The declared levels, the one that the budget implies, and the one by which calibration is judged.
    pub(crate) levels: Vec<f64>,
    /// The window maxima.
    pub(crate) peaks: Vec<PeakWindow>,
    /// For each of them the action whose lead it has; "" where a policy gave the lead itself.
    pub(crate) actions: Vec<String>,
}

/// The level by which online calibration and the skill gate judge a forecast.
const JUDGED_LEVEL: f64 = 0.9;
/// Leads are rounded up to whole minutes, so that a drifting one does not ask for a new fit each time.
const LEAD_STEP_SECONDS: f64 = 60.0;

impl Asked {
    /// What the policies ask of the forecast of `seen`; none when no one does.
    ///
    /// Beside each peak at an action's own lead stands the one from now until that action can take effect for the
    /// next evaluation: what is there now must serve all of it, so it tells what may be taken away.
    pub(crate) fn of(
        observation: &Observation<'_>,
        seen: &SignalSeen<'_>,
        part: Option<&Part>,
        bindings: &[Binding],
        level: f64,
    ) -> Option<Self> {
        let needs = || {
            let needs = bindings.iter().flat_map(|binding| &binding.needs.forecasts);
            needs.filter(|need| need.signal == seen.name)
        };
        needs().next()?;
        let horizon = needs().map(|need| need.horizon).fold(0.0, f64::max);
        let mut asked = Self {
            horizon: horizon as i64,
            levels: levels(needs(), level),
            peaks: Vec::new(),
            actions: Vec::new(),
        };
        let tick = (observation.next - observation.now).max(0);
        for need in needs().flat_map(|need| &need.peaks) {
            asked.add(need, part, tick);
        }
        Some(asked)
    }

    fn add(&mut self, need: &PeakNeed, part: Option<&Part>, tick: i64) {
        let window = need.window.max(0.0) as i64;
        if let Some(lead) = need.lead {
            let lead = lead.max(0.0) as i64;
            self.push(PeakWindow { lead, window }, "");
            return;
        }
        let Some(part) = part.filter(|part| counted_action(part) == need.action) else {
            return;
        };
        let steps = (lead_seconds(part) / LEAD_STEP_SECONDS - 1e-9).ceil();
        let lead = (steps * LEAD_STEP_SECONDS) as i64;
        self.push(PeakWindow { lead, window }, &need.action);
        let until = PeakWindow {
            lead: 0,
            window: lead + tick,
        };
        self.push(until, &need.action);
    }

    fn push(&mut self, window: PeakWindow, action: &str) {
        let known = self.peaks.iter().zip(&self.actions);
        if known
            .into_iter()
            .any(|(peak, of)| *peak == window && of == action)
        {
            return;
        }
        self.peaks.push(window);
        self.actions.push(action.to_owned());
    }
}

fn levels<'a>(needs: impl Iterator<Item = &'a ForecastNeed>, level: f64) -> Vec<f64> {
    let declared = needs.flat_map(|need| need.levels.iter().copied());
    let valid = |level: &f64| *level > 0.0 && *level < 1.0;
    let mut levels: Vec<f64> = declared
        .chain([level, JUDGED_LEVEL])
        .filter(valid)
        .collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}
