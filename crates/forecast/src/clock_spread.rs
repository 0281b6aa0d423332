//! How far values lie above their median at the same clock time: the spread that long horizons see.

use std::sync::OnceLock;

use crate::{clock::Clock, errors::Errors, track::Stored};

/// Days looked back.
const DAYS: usize = 14;
/// Weight of a day relative to the day after it.
const DAY_DECAY: f64 = 0.95;
/// Weight of a day of the other kind (workday, rest day).
const OTHER_KIND: f64 = 0.25;
/// Clock times at which the spread is taken; in between it is interpolated.
const SLOTS: usize = 48;

/// Values of the last two weeks by clock time and kind of day, sorted when first asked for.
#[derive(Clone, Debug)]
pub(crate) struct ClockSpread {
    /// `[kind][slot]`
    slots: [Vec<OnceLock<Errors>>; 2],
    days: usize,
    /// The last bin that begins a local day.
    midnight: usize,
}

impl ClockSpread {
    /// Of a history of `known` bins; `None` before there are three days.
    pub(crate) fn new(clock: &Clock, known: usize) -> Option<Self> {
        let days = DAYS.min((known / clock.day).saturating_sub(1));
        let count = SLOTS.min(clock.day);
        (days >= 2).then(|| Self {
            slots: [false, true].map(|_| vec![OnceLock::new(); count]),
            days,
            midnight: known - clock.bin_of_day(known as i64).min(known),
        })
    }

    /// The values at one of the clock times.
    fn gather(&self, (clock, history): (&Clock, &Stored), rest: bool, slot: usize) -> Errors {
        let known = history.values().len();
        let half = clock.hour / 2;
        // Many bins an hour say little more than a few.
        let stride = (clock.hour / 12).max(1);
        let centre = self.midnight + slot * clock.day / self.slots[0].len();
        let mut weighted = Vec::with_capacity(self.days * (2 * half / stride + 1));
        for back in 1..=self.days {
            let Some(middle) = centre.checked_sub(back * clock.day) else {
                continue;
            };
            let same = clock.is_rest(clock.day_of(middle as i64)) == rest;
            let kind = if same { 1.0 } else { OTHER_KIND };
            let weight = kind * DAY_DECAY.powi(back as i32);
            for i in (middle.saturating_sub(half)..=middle + half).step_by(stride) {
                if i < known && history.valid()[i] {
                    weighted.push((history.values()[i], weight));
                }
            }
        }
        let count = weighted.len();
        Errors::new(weighted, count)
    }

    /// How far the value at `level` lies above the median at the clock time of local bin `bin`, in the series' own
    /// scale; at least 0 for levels above the median, at most 0 below.
    pub(crate) fn above_median(
        &self,
        (clock, history): (&Clock, &Stored),
        bin: i64,
        level: f64,
    ) -> f64 {
        let rest = clock.is_rest(clock.day_of(bin));
        let slots = &self.slots[usize::from(rest)];
        let at = clock.bin_of_day(bin) as f64 * slots.len() as f64 / clock.day as f64;
        let share = at.fract();
        let of = |slot: usize| {
            let slot = slot % slots.len();
            let errors = slots[slot].get_or_init(|| self.gather((clock, history), rest, slot));
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
