//! The violation budget: how much of it is gone, and the quantile level that it implies.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Seconds that are counted together.
const BUCKET_SECONDS: i64 = 3600;

/// Time over capacity of one part, counted by the hour over the budget's window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Oldest first: when the hour began, seconds over capacity.
    hours: VecDeque<(i64, f64)>,
    /// The newest moment that was judged.
    judged: Option<i64>,
    /// The ready counts that are not judged yet, oldest first.
    ready: VecDeque<(i64, u32)>,
    /// When the part was last seen.
    noted: i64,
}

/// Most ready counts that wait to be judged, while nothing is known of the load.
const READY_MAX: usize = 64;

impl Ledger {
    /// Notes how many instances are ready from `now` on.
    pub(crate) fn note(&mut self, now: i64, ready: u32) {
        if self.ready.back().is_none_or(|&(_, last)| last != ready) {
            self.ready.push_back((now, ready));
        }
        if self.ready.len() > READY_MAX {
            self.ready.pop_front();
        }
        self.noted = now;
    }

    /// When the part was last seen, in Unix seconds.
    pub(crate) fn noted(&self) -> i64 {
        self.noted
    }

    /// Judges the load at `at`: `needed` instances would have served it just so. Each moment is judged once.
    pub(crate) fn judge(&mut self, at: i64, needed: f64, longest: i64) {
        if self.judged.is_some_and(|judged| at <= judged) {
            return;
        }
        let span = self.judged.map_or(0, |judged| (at - judged).min(longest));
        self.judged = Some(at);
        while self.ready.len() > 1 && self.ready[1].0 <= at {
            self.ready.pop_front();
        }
        let Some(&(since, ready)) = self.ready.front() else {
            return;
        };
        if since > at || needed <= f64::from(ready) + 1e-9 {
            return;
        }
        let hour = at - at.rem_euclid(BUCKET_SECONDS);
        match self.hours.back_mut() {
            Some((last, over)) if *last == hour => *over += span as f64,
            _ => self.hours.push_back((hour, span as f64)),
        }
    }

    /// Share of the budget `share` of `window` seconds that is gone at `now`.
    pub(crate) fn spent(&mut self, now: i64, window: f64, share: f64) -> f64 {
        let from = now as f64 - window;
        while let Some(&(hour, _)) = self.hours.front() {
            if (hour as f64) >= from {
                break;
            }
            self.hours.pop_front();
        }
        let over: f64 = self.hours.iter().map(|(_, over)| over).sum();
        let allowed = (window * share).max(f64::MIN_POSITIVE);
        (over / allowed).min(1e6)
    }
}

/// The least and the largest level that is ever asked for.
const LEVELS: (f64, f64) = (0.5, 0.999);

/// The quantile level that a budget implies when the share `spent` of it is gone.
///
/// The tail beyond the level is the budget itself while half of it is gone. It shrinks to two fifths as the budget is
/// used up, and grows by half while nothing is: so what is saved is spent where forecasts are good, and what is
/// overdrawn is won back.
pub(crate) fn level(budget: f64, spent: f64) -> f64 {
    let tail = budget * (1.5 - spent).clamp(0.4, 1.5);
    (1.0 - tail).clamp(LEVELS.0, LEVELS.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_over_capacity_is_counted_once_and_forgotten_after_the_window() {
        let mut ledger = Ledger::default();
        ledger.note(0, 10);
        for minute in 0..60 {
            let needed = if minute >= 30 { 11.0 } else { 9.0 };
            ledger.judge(minute * 60, needed, 120);
            ledger.judge(minute * 60, needed, 120);
        }
        // Half an hour of a day at 1 % (864 s).
        let spent = ledger.spent(3600, 86_400.0, 0.01);
        assert!((spent - 1800.0 / 864.0).abs() < 1e-9, "{spent}");
        assert_eq!(ledger.spent(90_001, 86_400.0, 0.01), 0.0);
    }

    #[test]
    fn load_is_judged_by_what_was_ready_then() {
        let mut ledger = Ledger::default();
        ledger.note(0, 10);
        ledger.note(60, 20);
        ledger.judge(0, 15.0, 120);
        ledger.judge(60, 15.0, 120);
        assert_eq!(
            ledger.spent(60, 86_400.0, 0.01),
            0.0,
            "the first moment has no length"
        );
        ledger.judge(120, 25.0, 120);
        assert!(ledger.spent(120, 86_400.0, 0.01) > 0.0);
    }

    #[test]
    fn a_smaller_budget_asks_for_a_higher_level() {
        let budgets = [0.05, 0.01, 0.005, 0.001];
        for spent in [0.0, 0.5, 1.0, 3.0] {
            let levels = budgets.map(|budget| level(budget, spent));
            assert!(levels.is_sorted(), "{levels:?}");
        }
        assert!(level(0.01, 2.0) > level(0.01, 0.0));
    }
}
