//! Wall-clock time: bins counted so that one local day later is always the same number of bins later.

use crate::calendar::Calendar;

/// Seconds of a day without a clock change.
pub(crate) const DAY: i64 = 86_400;

/// Maps bins of UTC to bins of wall-clock time and knows the kind of each local day.
///
/// On the wall-clock grid a lag of a day or a week is the same clock time, whatever daylight saving did in between: the
/// hour that spring skips is a gap, and of the hour that autumn repeats the second one counts.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// UTC seconds at which bin 0 begins.
    pub(crate) start: i64,
    /// Seconds of a bin.
    pub(crate) step: i64,
    /// Bins of a day, at least 1.
    pub(crate) day: usize,
    /// Bins of an hour, at least 1.
    pub(crate) hour: usize,
    /// Local minus UTC at bin 0, in seconds.
    offset: i64,
    /// From this UTC bin on, the wall clock is so many bins ahead of where it was at bin 0.
    shifts: Vec<(i64, i64)>,
    /// Local days (days since 1970) that are holidays, ascending.
    holidays: Vec<i64>,
}

impl Clock {
    pub(crate) fn new(start: i64, step: i64, calendar: &Calendar) -> Self {
        let offset = calendar.offset_at(start);
        let shifts = calendar
            .offsets
            .iter()
            .filter(|o| o.since > start)
            .map(|o| {
                let bin = (o.since - start).div_euclid(step);
                let ahead = i64::from(o.seconds) - offset;
                (bin, (ahead as f64 / step as f64).round() as i64)
            });
        let holidays = calendar.holidays.iter().map(|&h| {
            // Half a day in, so that a midnight on the edge of a clock change still names its own day.
            (h + calendar.offset_at(h) + DAY / 2).div_euclid(DAY)
        });
        let mut holidays: Vec<i64> = holidays.collect();
        holidays.sort_unstable();
        Self {
            start,
            step,
            day: ((DAY + step / 2) / step).max(1) as usize,
            hour: ((DAY / 24) / step).max(1) as usize,
            offset,
            shifts: shifts.collect(),
            holidays,
        }
    }

    /// The wall-clock bin of a UTC bin, both counted from bin 0.
    pub(crate) fn local(&self, bin: i64) -> i64 {
        let shift = self.shifts.iter().rev().find(|(from, _)| bin >= *from);
        bin + shift.map_or(0, |(_, ahead)| *ahead)
    }

    /// The local day of a wall-clock bin, in days since 1970.
    pub(crate) fn day_of(&self, local: i64) -> i64 {
        (self.start + self.offset + local * self.step).div_euclid(DAY)
    }

    /// Bins from local midnight.
    pub(crate) fn bin_of_day(&self, local: i64) -> usize {
        let seconds = (self.start + self.offset + local * self.step).rem_euclid(DAY);
        ((seconds / self.step) as usize).min(self.day - 1)
    }

    pub(crate) fn is_holiday(&self, day: i64) -> bool {
        self.holidays.binary_search(&day).is_ok()
    }

    /// Saturday, Sunday or holiday.
    pub(crate) fn is_rest(&self, day: i64) -> bool {
        // 1 January 1970 was a Thursday.
        (day + 3).rem_euclid(7) >= 5 || self.is_holiday(day)
    }

    /// A day whose shape a holiday takes: Sunday or another holiday.
    pub(crate) fn is_sunday_like(&self, day: i64) -> bool {
        (day + 3).rem_euclid(7) == 6 || self.is_holiday(day)
    }
}
