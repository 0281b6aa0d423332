//! Seasonal bases: forecasts known a day ahead, without any parameter.

use crate::{clock::Clock, track::Wave};

/// A way to read the coming value off the same clock time on past days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    Yesterday,
    YesterdaySmooth,
    ThreeDays,
    SevenDays,
    LastWeek,
    LastWeekSmooth,
    Weeks,
    DayType,
    WeekAndDayType,
}

/// All bases, in the order of [`Values`].
pub(crate) const BASES: [Base; 9] = [
    Base::Yesterday,
    Base::YesterdaySmooth,
    Base::ThreeDays,
    Base::SevenDays,
    Base::LastWeek,
    Base::LastWeekSmooth,
    Base::Weeks,
    Base::DayType,
    Base::WeekAndDayType,
];

/// The bases of one bin in one space; NaN where history does not reach.
pub(crate) type Values = [f64; BASES.len()];

impl Base {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Yesterday => "yesterday",
            Self::YesterdaySmooth => "yesterday, smoothed",
            Self::ThreeDays => "mean of 3 days",
            Self::SevenDays => "mean of a week of days",
            Self::LastWeek => "last week",
            Self::LastWeekSmooth => "last week, smoothed",
            Self::Weeks => "mean of weeks",
            Self::DayType => "same kind of day",
            Self::WeekAndDayType => "last week and same kind of day",
        }
    }
}

/// Which past days stand for a day, as days back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    daily: [u16; 7],
    weekly: [u16; 4],
    /// Weights of the days `alike_from..alike_from + 7` back that are of the same kind.
    alike: [f64; 7],
    alike_from: u16,
}

impl Plan {
    /// For the local day `day`, whose same clock time is known from `back` days before on.
    fn new(clock: &Clock, day: i64, back: u16) -> Self {
        let holiday = clock.is_holiday(day);
        let ordinary = |a: &u16| holiday || !clock.is_holiday(day - i64::from(*a));
        let mut daily = [0; 7];
        fill(&mut daily, (back..back + 28).filter(ordinary), |i| back + i);
        let mut weekly = [0; 4];
        if holiday {
            let sundays = (back..back + 63).filter(|a| clock.is_sunday_like(day - i64::from(*a)));
            fill(&mut weekly, sundays, |i| 7 * (i + 1));
        } else {
            let first = back.div_ceil(7).max(1);
            let weeks = (first..first + 12).map(|w| 7 * w).filter(ordinary);
            fill(&mut weekly, weeks, |i| 7 * (first + i));
        }
        let rest = clock.is_rest(day);
        let mut alike = [0.0; 7];
        for (i, weight) in alike.iter_mut().enumerate() {
            if clock.is_rest(day - i64::from(back) - i as i64) == rest {
                *weight = 1.0 / ((i + 1) as f64).sqrt();
            }
        }
        Self {
            daily,
            weekly,
            alike,
            alike_from: back,
        }
    }
}

/// Takes from `found`, then from `otherwise` (of the position) where too few were found.
fn fill(slots: &mut [u16], mut found: impl Iterator<Item = u16>, otherwise: impl Fn(u16) -> u16) {
    for (i, slot) in slots.iter_mut().enumerate() {
        *slot = found.next().unwrap_or_else(|| otherwise(i as u16));
    }
}

/// The plans of the days around a fit, so that none is made twice.
#[derive(Clone, Debug)]
pub(crate) struct Plans {
    first_day: i64,
    plans: Vec<Plan>,
    /// How many of the up to seven days and four weeks are averaged: what history bears.
    days: usize,
    weeks: usize,
    /// Whether a week of history is there at all.
    weekly: bool,
}

impl Plans {
    /// For `bins` of history and two days beyond; later days are planned when asked.
    pub(crate) fn new(clock: &Clock, bins: usize) -> Self {
        let first_day = clock.day_of(0);
        let last_day = clock.day_of(bins as i64) + 2;
        let history_days = bins as f64 / clock.day as f64;
        Self {
            first_day,
            plans: (first_day..=last_day)
                .map(|d| Plan::new(clock, d, 1))
                .collect(),
            days: (history_days - 2.0).clamp(1.0, 7.0) as usize,
            weeks: (history_days / 7.0 - 0.4).clamp(1.0, 4.0) as usize,
            weekly: bins > 7 * clock.day,
        }
    }

    /// All bases of bin `target`, in the space of `wave`, from `known` bins.
    pub(crate) fn values(
        &self,
        clock: &Clock,
        wave: &Wave<'_>,
        target: usize,
        known: usize,
    ) -> Values {
        let day = clock.day_of(target as i64);
        // Beyond a day the nearest day that is known stands in.
        let back = 1 + target
            .saturating_sub(known - 1 + clock.day)
            .div_ceil(clock.day);
        let made;
        let plan = match self.plans.get((day - self.first_day) as usize) {
            Some(plan) if back == 1 => plan,
            _ => {
                made = Plan::new(clock, day, back.min(4000) as u16);
                &made
            }
        };
        self.evaluate(clock, wave, plan, target, known)
    }

    fn evaluate(
        &self,
        clock: &Clock,
        wave: &Wave<'_>,
        plan: &Plan,
        target: usize,
        known: usize,
    ) -> Values {
        let hour = clock.hour;
        let at = |days: u16| {
            let lag = usize::from(days) * clock.day;
            (target >= lag && target - lag < known).then(|| target - lag)
        };
        let smooth = |days: u16| at(days).map_or(f64::NAN, |i| wave.smooth(i, hour, known));
        let exact = |days: u16| at(days).map_or(f64::NAN, |i| wave.value(i));
        let effect = at(plan.alike_from).map_or(0.0, |i| wave.hourly_effect(i, hour));
        let daily = plan.daily.map(smooth);
        let mut alike = (0.0, 0.0);
        for (i, &weight) in plan.alike.iter().enumerate() {
            if weight > 0.0 {
                let days = plan.alike_from + i as u16;
                let value = if plan.daily[i] == days {
                    daily[i]
                } else {
                    smooth(days)
                };
                if value.is_finite() {
                    alike = (alike.0 + weight * value, alike.1 + weight);
                }
            }
        }
        let mut values = [f64::NAN; BASES.len()];
        values[0] = exact(plan.daily[0]);
        values[1] = daily[0] + effect;
        values[2] = mean(&daily[..self.days.min(3)]) + effect;
        values[3] = mean(&daily[..self.days]) + effect;
        if self.weekly {
            let weekly = plan.weekly.map(smooth);
            values[4] = exact(plan.weekly[0]);
            values[5] = weekly[0] + effect;
            if self.weeks >= 2 {
                values[6] = mean(&weekly[..self.weeks]) + effect;
            }
            values[7] = alike.0 / alike.1 + effect;
            values[8] = 0.5 * values[5] + 0.5 * values[7];
        }
        values
    }
}

/// Mean of those that are not NaN; NaN of none.
fn mean(values: &[f64]) -> f64 {
    let known = values.iter().filter(|v| v.is_finite());
    let (sum, count) = known.fold((0.0, 0), |(sum, count), v| (sum + v, count + 1));
    sum / f64::from(count)
}
