//! Online calibration: what truth has taught about issued quantiles, as a value.
//!
//! Adaptive conformal inference (Gibbs & Candès, NeurIPS 2021) moves the level that is asked of the model instead of
//! the band: `level += gamma * (level - miss)`. Here the level lives on the logit scale, so that any level between 0
//! and 1 can be shifted by what was learned at its neighbours and never leaves (0, 1).

use crate::forecast::PeakWindow;

/// Levels at which a shift is learned; a level in between takes the interpolated shift.
const ANCHORS: [f64; 6] = [0.5, 0.75, 0.9, 0.97, 0.99, 0.998];
/// Largest shift of a level's log-odds: P90 may at most be asked as P99.5 (or P47).
const SHIFT_MAX: f64 = 3.0;
/// Windows that are told apart: more than are asked for at a time, since leads drift.
const WINDOWS_MAX: usize = 16;
/// Outcomes kept per window, to tell recent coverage.
const RECENT: usize = 96;
/// Seconds over which coverage is judged by the skill gate.
const DAY: i64 = 86_400;
/// Fewest outcomes in a day that can demote a forecast.
const JUDGED_MIN: usize = 12;

/// The shifts of levels learned so far, per window. `Calibration::default()` has learned nothing.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Calibration {
    windows: Vec<WindowState>,
}

/// A window maximum as it was forecast, kept until its truth is known.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Issued {
    /// Unix seconds of the forecast.
    pub at: i64,
    /// The window.
    pub window: PeakWindow,
    /// Levels asked for, ascending.
    pub levels: Vec<f64>,
    /// The forecast maximum at each level.
    pub values: Vec<f64>,
}

impl Issued {
    /// When the window is over and its truth may be told: Unix seconds.
    #[must_use]
    pub fn due(&self) -> i64 {
        self.at + self.window.lead + self.window.window
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct WindowState {
    lead: i64,
    window: i64,
    /// Shift of the log-odds at each anchor; unset until something was learned there.
    shifts: [Option<f64>; ANCHORS.len()],
    /// Newest last: when it was issued, whether P90 held.
    recent: Vec<(i64, bool)>,
}

impl Calibration {
    /// The state after the truth of one issued maximum became known.
    ///
    /// Feed one outcome per disjoint window, in order, and only after [`Issued::due`]: overlapping windows repeat one
    /// error and would move the level too fast. A truth or value that is not finite teaches nothing.
    #[must_use]
    pub fn update(&self, issued: &Issued, truth: f64) -> Self {
        let mut next = self.clone();
        if !truth.is_finite() {
            return next;
        }
        let state = next.entry(issued.window);
        for (&level, &value) in issued.levels.iter().zip(&issued.values) {
            if value.is_finite() && level > 0.0 && level < 1.0 {
                state.learn(level, truth > value);
            }
        }
        let p90 = issued
            .levels
            .iter()
            .zip(&issued.values)
            .find(|(level, value)| (**level - 0.9).abs() < 0.005 && value.is_finite());
        if let Some((_, &value)) = p90 {
            state.recent.push((issued.at, truth <= value));
            let excess = state.recent.len().saturating_sub(RECENT);
            state.recent.drain(..excess);
        }
        next
    }

    /// The level to ask the model for, so that `level` of the truths lie below.
    #[must_use]
    pub fn level(&self, window: PeakWindow, level: f64) -> f64 {
        let Some(state) = self.find(window) else {
            return level;
        };
        let odds = logit(level) + state.shift(level);
        1.0 / (1.0 + (-odds).exp())
    }

    /// Share of P90s that held over the day before `now`; `None` while too few are known.
    #[must_use]
    pub fn coverage_p90(&self, window: PeakWindow, now: i64) -> Option<f64> {
        let day: Vec<bool> = self
            .find(window)?
            .recent
            .iter()
            .filter(|(at, _)| *at >= now - DAY)
            .map(|(_, held)| *held)
            .collect();
        let held = day.iter().filter(|held| **held).count();
        (day.len() >= JUDGED_MIN).then(|| held as f64 / day.len() as f64)
    }

    fn find(&self, window: PeakWindow) -> Option<&WindowState> {
        self.windows.iter().find(|state| state.is(window))
    }

    fn entry(&mut self, window: PeakWindow) -> &mut WindowState {
        let at = self.windows.iter().position(|state| state.is(window));
        let at = at.unwrap_or_else(|| {
            if self.windows.len() >= WINDOWS_MAX {
                self.forget_oldest();
            }
            self.windows.push(WindowState {
                lead: window.lead,
                window: window.window,
                shifts: [None; ANCHORS.len()],
                recent: Vec::new(),
            });
            self.windows.len() - 1
        });
        &mut self.windows[at]
    }

    /// Forgets the window that has gone longest without an outcome.
    fn forget_oldest(&mut self) {
        let newest = |state: &WindowState| state.recent.last().map_or(i64::MIN, |(at, _)| *at);
        let windows = self.windows.iter().enumerate();
        if let Some((oldest, _)) = windows.min_by_key(|(_, state)| newest(state)) {
            self.windows.remove(oldest);
        }
    }
}

impl WindowState {
    fn is(&self, window: PeakWindow) -> bool {
        self.lead == window.lead && self.window == window.window
    }

    /// One step of adaptive conformal inference at the anchor next to `level`.
    fn learn(&mut self, level: f64, missed: bool) {
        let odds = logit(level);
        let nearest = (0..ANCHORS.len())
            .min_by(|&a, &b| {
                let distance = |i: usize| (logit(ANCHORS[i]) - odds).abs();
                distance(a).total_cmp(&distance(b))
            })
            .unwrap_or(0);
        // gamma 0.01 up to P90, 0.005 at P99 (measured best), turned into log-odds by the slope of the logit.
        let spread = (level * (1.0 - level)).max(1e-4);
        let gamma = 0.005 * (1.0 + ((1.0 - level) / 0.1).min(1.0));
        let miss = f64::from(u8::from(missed));
        let step = gamma * (miss - (1.0 - level)) / spread;
        let before = self.shift(level);
        self.shifts[nearest] = Some((before + step).clamp(-SHIFT_MAX, SHIFT_MAX));
    }

    /// The shift at `level`: between learned anchors by the straight line, outside as the nearest.
    fn shift(&self, level: f64) -> f64 {
        let odds = logit(level);
        let mut below: Option<(f64, f64)> = None;
        for (anchor, shift) in ANCHORS.iter().zip(&self.shifts) {
            let Some(shift) = *shift else { continue };
            let at = logit(*anchor);
            if at >= odds {
                return below.map_or(shift, |(at0, shift0)| {
                    shift0 + (shift - shift0) * (odds - at0) / (at - at0)
                });
            }
            below = Some((at, shift));
        }
        below.map_or(0.0, |(_, shift)| shift)
    }
}

fn logit(level: f64) -> f64 {
    let level = level.clamp(1e-6, 1.0 - 1e-6);
    (level / (1.0 - level)).ln()
}

#[cfg(test)]
mod tests;
