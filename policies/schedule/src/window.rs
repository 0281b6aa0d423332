//! One weekly window of local time.

use std::fmt;

use serde::Deserialize;

const DAY_SECONDS: f64 = 86_400.0;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const WEEK: [Day; 7] = [
    Day::Mon,
    Day::Tue,
    Day::Wed,
    Day::Thu,
    Day::Fri,
    Day::Sat,
    Day::Sun,
];

/// A weekly window of local time in which a part has at least so many replicas.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Window {
    #[serde(default)]
    name: String,
    /// The days on which it opens.
    #[serde(default = "every_day")]
    days: Vec<Day>,
    /// "HH:MM", local.
    start: String,
    /// "HH:MM", local; not after the start: on the next day.
    end: String,
    pub(crate) replicas: u32,
    /// Part ids; none: all.
    #[serde(default)]
    parts: Vec<String>,
    /// It does not open on the calendar's holidays.
    #[serde(default)]
    skip_holidays: bool,
}

fn every_day() -> Vec<Day> {
    WEEK.to_vec()
}

impl Window {
    /// The field that is wrong, and why.
    pub(crate) fn fault(&self) -> Option<(&'static str, &'static str)> {
        const TIME: &str = "must be a time of day such as \"08:30\"";
        match (minutes(&self.start), minutes(&self.end)) {
            (None, _) => Some(("start", TIME)),
            (_, None) => Some(("end", TIME)),
            _ if self.days.is_empty() => Some(("days", "name at least one day, or leave it out")),
            _ if self.replicas == 0 => Some(("replicas", "must be at least 1")),
            _ => None,
        }
    }

    pub(crate) fn is_for(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|id| id == part)
    }

    /// Whether it is open at any time of `[from, until]`. `offset` is local time minus UTC at a moment; `holidays` are
    /// moments of local days.
    pub(crate) fn is_open_within(
        &self,
        from: f64,
        until: f64,
        holidays: &[f64],
        offset: impl Fn(f64) -> f64,
    ) -> bool {
        let (Some(start), Some(end)) = (minutes(&self.start), minutes(&self.end)) else {
            return false;
        };
        let length = f64::from(if end > start {
            end - start
        } else {
            end + 24 * 60 - start
        }) * 60.0;
        let local_day = |at: f64| ((at + offset(at)) / DAY_SECONDS).floor();
        let first = local_day(from) - 1.0;
        let last = local_day(until);
        if !(first.is_finite() && last.is_finite() && last - first < 400.0) {
            return false;
        }
        let mut day = first;
        while day <= last {
            let holiday =
                self.skip_holidays && holidays.iter().any(|holiday| local_day(*holiday) == day);
            let local = day * DAY_SECONDS + f64::from(start) * 60.0;
            // The offset at the local time, taken twice so that a change of clocks in between does not matter.
            let opens = local - offset(local - offset(local));
            if !holiday
                && self.days.contains(&day_of_week(day))
                && opens <= until
                && from < opens + length
            {
                return true;
            }
            day += 1.0;
        }
        false
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "window {} to {}", self.start, self.end)
        } else {
            write!(f, "window {:?} ({} to {})", self.name, self.start, self.end)
        }
    }
}

/// 1970-01-01 was a Thursday.
fn day_of_week(day: f64) -> Day {
    WEEK[((day as i64 + 3).rem_euclid(7)) as usize]
}

/// Minutes of a day, from "HH:MM".
fn minutes(time: &str) -> Option<u32> {
    let (hours, minutes) = time.split_once(':')?;
    let two_digits =
        |text: &str| text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2024-01-01 00:00 UTC.
    const MONDAY: f64 = 1_704_067_200.0;
    const HOUR: f64 = 3600.0;

    fn window(days: &[Day], start: &str, end: &str) -> Window {
        Window {
            name: String::new(),
            days: days.to_vec(),
            start: start.to_owned(),
            end: end.to_owned(),
            replicas: 5,
            parts: Vec::new(),
            skip_holidays: false,
        }
    }

    #[test]
    fn opens_in_local_time() {
        let office = window(&[Day::Mon], "08:00", "18:00");
        let night = window(&[Day::Sun], "22:00", "06:00");
        let all = window(&WEEK, "00:00", "00:00");
        let cases: [(&str, &Window, f64, f64, f64, bool); 10] = [
            ("before", &office, 7.9, 7.95, 0.0, false),
            ("opens", &office, 8.0, 8.0, 0.0, true),
            ("is ordered ahead", &office, 7.0, 8.0, 0.0, true),
            ("ends", &office, 18.0, 18.0, 0.0, false),
            ("just before its end", &office, 17.99, 18.0, 0.0, true),
            ("an hour east", &office, 7.0, 7.0, 1.0, true),
            ("five hours west", &office, 12.9, 12.9, -5.0, false),
            ("another day", &office, 33.0, 33.0, 0.0, false),
            ("over midnight", &night, 5.0, 5.0, 0.0, true),
            ("all day", &all, 13.0, 13.0, 0.0, true),
        ];
        for (name, window, from, until, offset, open) in cases {
            let (from, until) = (MONDAY + from * HOUR, MONDAY + until * HOUR);
            assert_eq!(
                window.is_open_within(from, until, &[], |_| offset * HOUR),
                open,
                "{name}"
            );
        }
    }

    #[test]
    fn a_change_of_clocks_moves_it() {
        let office = window(&WEEK, "08:00", "09:00");
        let changed = MONDAY + 2.0 * HOUR;
        let offset = |at: f64| if at < changed { 0.0 } else { HOUR };
        assert!(office.is_open_within(MONDAY + 7.5 * HOUR, MONDAY + 7.5 * HOUR, &[], offset));
        assert!(!office.is_open_within(MONDAY + 8.5 * HOUR, MONDAY + 8.5 * HOUR, &[], offset));
    }

    #[test]
    fn holidays_are_left_out() {
        let mut office = window(&[Day::Mon], "08:00", "18:00");
        let (at, holidays) = (MONDAY + 9.0 * HOUR, [MONDAY]);
        assert!(office.is_open_within(at, at, &holidays, |_| 0.0));
        office.skip_holidays = true;
        assert!(!office.is_open_within(at, at, &holidays, |_| 0.0));
    }

    #[test]
    fn says_what_is_wrong() {
        let bad = ["", "8:00", "24:00", "08:60", "+8:00", "08:00:00", "aa:bb"];
        for time in bad {
            assert_eq!(
                window(&WEEK, time, "09:00").fault().map(|(field, _)| field),
                Some("start"),
                "{time}"
            );
        }
        assert_eq!(
            window(&WEEK, "08:00", "x").fault().map(|(field, _)| field),
            Some("end")
        );
        assert_eq!(
            window(&[], "08:00", "09:00")
                .fault()
                .map(|(field, _)| field),
            Some("days")
        );
        assert_eq!(window(&WEEK, "08:00", "09:00").fault(), None);
    }
}
