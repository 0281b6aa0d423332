//! The shadow score: harm and cost of *following us* beside what the target really did, over seven days.
//!
//! Following us is played along: every count that we would have asked for becomes ready one lead time later (fewer at
//! once), as in the replay model. Harm is the time that the load exceeded what was ready; cost is replicas times time.
//! Time without a fresh load is scored for neither.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Hours over which is scored.
pub(crate) const HOURS: usize = 7 * 24;
const HOUR_SECONDS: i64 = 3600;

/// What is scored of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shadow {
    hours: VecDeque<Hour>,
    /// Seen last: when, and how much would be ready then.
    last: Option<i64>,
    /// What would be ready if we were followed.
    ready: u32,
    /// What we asked for and is not ready yet: from when on, how many. In the order of time.
    coming: VecDeque<(i64, u32)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hour {
    start: i64,
    seconds: f64,
    harm: f64,
    live_harm: f64,
    cost: f64,
    live_cost: f64,
}

/// One look at the target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Unix seconds.
    pub(crate) now: i64,
    /// Replicas that the load needs at full utilization; none: the load is not known.
    pub(crate) needed: Option<f64>,
    /// Replicas that are really ready.
    pub(crate) ready: u32,
    /// Replicas that we ask for.
    pub(crate) wanted: u32,
    /// Seconds from an order to its effect.
    pub(crate) lead: i64,
    /// Longest span that one look stands for.
    pub(crate) span_max: i64,
}

/// The score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Score {
    /// Hours that were scored.
    pub(crate) hours: f64,
    /// Seconds a day over capacity, had we been followed.
    pub(crate) harm_seconds_per_day: f64,
    /// Seconds a day over capacity, as it was.
    pub(crate) live_harm_seconds_per_day: f64,
    /// Our cost over the real one; NaN: nothing was scored.
    pub(crate) cost_ratio: f64,
}

impl Shadow {
    /// Scores the time since the last look, then takes in what we ask for now.
    pub(crate) fn look(&mut self, look: Look) {
        let Look {
            now,
            needed,
            ready,
            wanted,
            lead,
            span_max,
        } = look;
        match self.last {
            // Followed from here on: it begins with what is there.
            None => self.ready = ready,
            Some(last) if now - last > HOUR_SECONDS => {
                self.ready = ready;
                self.coming.clear();
            }
            Some(last) => {
                while self.coming.front().is_some_and(|(at, _)| *at <= now) {
                    self.ready = self
                        .coming
                        .pop_front()
                        .map_or(self.ready, |(_, count)| count);
                }
                let seconds = (now - last).clamp(0, span_max) as f64;
                if let Some(needed) = needed {
                    self.score(now, seconds, needed, ready);
                }
            }
        }
        self.last = Some(now);
        self.order(now, wanted, lead);
    }

    fn score(&mut self, now: i64, seconds: f64, needed: f64, ready: u32) {
        let start = now - now.rem_euclid(HOUR_SECONDS);
        if self.hours.back().is_none_or(|hour| hour.start != start) {
            self.hours.push_back(Hour {
                start,
                ..Hour::default()
            });
        }
        let oldest = start - HOUR_SECONDS * (HOURS as i64 - 1);
        while self.hours.front().is_some_and(|hour| hour.start < oldest) {
            self.hours.pop_front();
        }
        let short = |count: u32| {
            if needed > f64::from(count) + 1e-9 {
                seconds
            } else {
                0.0
            }
        };
        let (ours, live) = (short(self.ready), short(ready));
        let cost = f64::from(self.ready) * seconds;
        if let Some(hour) = self.hours.back_mut() {
            hour.seconds += seconds;
            hour.harm += ours;
            hour.live_harm += live;
            hour.cost += cost;
            hour.live_cost += f64::from(ready) * seconds;
        }
    }

    fn order(&mut self, now: i64, wanted: u32, lead: i64) {
        let ordered = self.coming.back().map_or(self.ready, |(_, count)| *count);
        if wanted < ordered {
            // What is taken away is gone at once, and what was ordered beyond it is called off.
            self.coming.retain_mut(|(_, count)| {
                *count = (*count).min(wanted);
                true
            });
            self.ready = self.ready.min(wanted);
            while self
                .coming
                .front()
                .is_some_and(|(_, count)| *count <= self.ready)
            {
                self.coming.pop_front();
            }
        } else if wanted > ordered {
            self.coming.push_back((now + lead.max(0), wanted));
        }
    }

    /// The score over the last seven days.
    #[must_use]
    pub(crate) fn score_now(&self) -> Score {
        let mut sum = Hour::default();
        for hour in &self.hours {
            sum.seconds += hour.seconds;
            sum.harm += hour.harm;
            sum.live_harm += hour.live_harm;
            sum.cost += hour.cost;
            sum.live_cost += hour.live_cost;
        }
        let days = (sum.seconds / 86_400.0).max(f64::MIN_POSITIVE);
        let per_day = |seconds: f64| {
            if sum.seconds > 0.0 {
                seconds / days
            } else {
                0.0
            }
        };
        Score {
            hours: sum.seconds / 3600.0,
            harm_seconds_per_day: per_day(sum.harm),
            live_harm_seconds_per_day: per_day(sum.live_harm),
            cost_ratio: sum.cost / sum.live_cost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(now: i64, needed: f64, ready: u32, wanted: u32) -> Look {
        Look {
            now,
            needed: Some(needed),
            ready,
            wanted,
            lead: 120,
            span_max: 120,
        }
    }

    #[test]
    fn acting_ahead_scores_better_than_what_was_done() {
        let mut shadow = Shadow::default();
        // We ask for 4 two minutes before the load needs them; the live rule has them two minutes late.
        for (minute, needed, ready, wanted) in [
            (0, 2.0, 2, 2),
            (1, 2.0, 2, 4),
            (2, 2.0, 2, 4),
            (3, 4.0, 2, 4),
            (4, 4.0, 2, 4),
            (5, 4.0, 4, 4),
        ] {
            shadow.look(look(minute * 60, needed, ready, wanted));
        }
        let score = shadow.score_now();
        assert_eq!(score.harm_seconds_per_day, 0.0);
        assert!(
            (score.live_harm_seconds_per_day - 120.0 * 288.0).abs() < 1.0,
            "{score:?}"
        );
        // 2, 2, 4, 4, 4 beside 2, 2, 2, 2, 4.
        assert!((score.cost_ratio - 16.0 / 12.0).abs() < 1e-9, "{score:?}");
    }

    #[test]
    fn what_is_taken_away_is_gone_at_once_and_calls_off_orders() {
        let mut shadow = Shadow::default();
        shadow.look(look(0, 1.0, 4, 8));
        shadow.look(look(60, 1.0, 4, 3));
        shadow.look(look(120, 3.5, 4, 3));
        let score = shadow.score_now();
        assert!(score.harm_seconds_per_day > 0.0 && score.live_harm_seconds_per_day == 0.0);
    }

    #[test]
    fn unknown_load_is_scored_for_neither_and_a_week_is_kept() {
        let mut shadow = Shadow::default();
        shadow.look(look(0, 9.0, 1, 1));
        shadow.look(Look {
            needed: None,
            ..look(60, 9.0, 1, 1)
        });
        assert_eq!(shadow.score_now().hours, 0.0);
        for minute in 0..(9 * 1440) {
            shadow.look(look(minute * 60, 0.5, 1, 1));
        }
        let score = shadow.score_now();
        assert!((score.hours - HOURS as f64).abs() < 0.1, "{score:?}");
        assert_eq!(score.cost_ratio, 1.0);
    }
}
