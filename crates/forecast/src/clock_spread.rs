//! How far values lie above their median at the same clock time: the spread that long horizons see.

use crate::{clock::Clock, errors::Errors, track::Track};

/// Days looked back.
const DAYS: usize = 14;
/// Weight of a day relative to the day after it.
const DAY_DECAY: f64 = 0.95;
/// Weight of a day of the other kind (workday, rest day).
const OTHER_KIND: f64 = 0.25;
/// Clock times at which the spread is taken; in between it is interpolated.
const SLOTS: usize = 48;

/// Values of the last two weeks by clock time and kind of day.
#[derive(Clone, Debug)]
pub(crate) struct ClockSpread {
    /// `[kind][slot]`, deviations from the median.
    slots: [Vec<Errors>; 2],
    day: usize,
}

impl ClockSpread {
    /// From all of `track`; `None` before there are three days.
    pub(crate) fn new(clock: &Clock, track: &Track<'_>) -> Option<Self> {
        let known = track.len();
        let days = DAYS.min((known / clock.day).saturating_sub(1));
        if days < 2 {
            return None;
        }
        let count = SLOTS.min(clock.day);
        let half = clock.hour / 2;
        // Many bins an hour say little more than a few.
        let stride = (clock.hour / 12).max(1);
        let midnight = known - clock.bin_of_day(known as i64).min(known);
        let slots = [false, true].map(|rest| {
            let slot = |index: usize| {
                let centre = midnight + index * clock.day / count;
                let mut weighted = Vec::with_capacity(days * (2 * half / stride + 1));
                for back in 1..=days {
                    let Some(middle) = centre.checked_sub(back * clock.day) else {
                        continue;
                    };
                    let same = clock.is_rest(clock.day_of(middle as i64)) == rest;
                    let kind = if same { 1.0 } else { OTHER_KIND };
                    let weight = kind * DAY_DECAY.powi(back as i32);
                    for i in (middle.saturating_sub(half)..=middle + half).step_by(stride) {
                        if i < known && track.valid.at(i) {
                            weighted.push((track.values.at(i), weight));
                        }
                    }
                }
                let count = weighted.len();
                Errors::new(weighted, count)
            };
            (0..count).map(slot).collect()
        });
        Some(Self {
            slots,
            day: clock.day,
        })
    }

    /// How far the value at `level` lies above the median at a clock time, in the series' own scale; at least 0 for
    /// levels above the median, at most 0 below.
    pub(crate) fn above_median(&self, bin_of_day: usize, rest: bool, level: f64) -> f64 {
        let slots = &self.slots[usize::from(rest)];
        let at = bin_of_day as f64 * slots.len() as f64 / self.day as f64;
        let share = at.fract();
        let of = |slot: usize| {
            let errors = &slots[slot % slots.len()];
            errors.quantile(level) - errors.quantile(0.5)
        };
        let low = of(at as usize);
        if share == 0.0 {
            low
        } else {
            low + (of(at as usize + 1) - low) * share
        }
    }
}
