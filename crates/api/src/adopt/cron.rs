//! KEDA's `cron` trigger as a recurring floor.

use std::collections::BTreeMap;

use super::NAME_CHARS_MAX;
use crate::v1alpha1::{Day, Schedule, Window};

const DAYS: [Day; 7] = [
    Day::Mon,
    Day::Tue,
    Day::Wed,
    Day::Thu,
    Day::Fri,
    Day::Sat,
    Day::Sun,
];
/// As cron writes them, from Monday on.
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A moment that comes back on some days of the week.
struct Moment {
    minute: u32,
    /// Monday is 0.
    days: [bool; 7],
}

/// The floor that a trigger's settings stand for, or why there is none.
pub(super) fn schedule(
    name: &str,
    settings: &BTreeMap<String, String>,
) -> Result<Schedule, String> {
    let get = |key: &str| {
        let value = settings.get(key);
        value.ok_or_else(|| format!("it has no {key}"))
    };
    let (start, end) = (moment(get("start")?)?, moment(get("end")?)?);
    let count = get("desiredReplicas")?;
    let min_replicas = count
        .parse::<i32>()
        .ok()
        .filter(|it| (1..=10_000).contains(it));
    let min_replicas =
        min_replicas.ok_or_else(|| format!("desiredReplicas {count:?} is no count"))?;
    let time_zone = get("timezone")?.clone();
    if jiff::tz::TimeZone::get(&time_zone).is_err() {
        return Err(format!(
            "timezone {time_zone:?} is none of the IANA database"
        ));
    }
    if start.minute == end.minute {
        return Err("it ends when it begins".to_owned());
    }
    // An end that comes more often than a beginning ends nothing twice.
    let later = usize::from(end.minute < start.minute);
    let ends = (0..7).all(|day| !start.days[day] || end.days[(day + later) % 7]);
    if !ends {
        return Err("it lasts for more than a day: write a window for each day".to_owned());
    }
    let days = DAYS.iter().zip(start.days).filter(|(_, on)| *on);
    let days: Vec<Day> = days.map(|(day, _)| *day).collect();
    Ok(Schedule {
        name: name.chars().take(NAME_CHARS_MAX).collect(),
        window: Window {
            days: if days.len() == 7 { Vec::new() } else { days },
            start: clock(start.minute),
            end: clock(end.minute),
            time_zone: Some(time_zone),
        },
        min_replicas,
    })
}

fn clock(minute: u32) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// Reads `MINUTE HOUR * * DAYS`.
fn moment(text: &str) -> Result<Moment, String> {
    let other = || format!("{text:?} is not one time on days of the week, such as \"0 8 * * 1-5\"");
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, "*" | "?", "*" | "?", days] = fields[..] else {
        return Err(other());
    };
    let number = |text: &str, end: u32| text.parse::<u32>().ok().filter(|it| *it < end);
    let (Some(minute), Some(hour)) = (number(minute, 60), number(hour, 24)) else {
        return Err(other());
    };
    let days = days_of(days).ok_or_else(other)?;
    Ok(Moment {
        minute: hour * 60 + minute,
        days,
    })
}

fn days_of(text: &str) -> Option<[bool; 7]> {
    if matches!(text, "*" | "?") {
        return Some([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (day_of(first)?, day_of(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Some(days)
}

/// Cron's Sunday is 0 or 7.
fn day_of(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    if let Some(day) = NAMES.iter().position(|name| *name == lower) {
        return Some(day);
    }
    let number: usize = text.parse().ok().filter(|number| *number <= 7)?;
    Some((number + 6) % 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(start: &str, end: &str) -> Result<String, String> {
        let settings = [
            ("timezone", "Europe/Berlin"),
            ("start", start),
            ("end", end),
            ("desiredReplicas", "10"),
        ];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let schedule = schedule("work", &settings.into())?;
        let window = schedule.window;
        Ok(format!("{:?} {}-{}", window.days, window.start, window.end))
    }

    #[test]
    fn windows_within_a_day_or_over_midnight_are_the_same() {
        for (start, end, window) in [
            ("0 8 * * *", "30 18 * * *", "[] 08:00-18:30"),
            (
                "0 8 * * 1-5",
                "0 18 * * *",
                "[Mon, Tue, Wed, Thu, Fri] 08:00-18:00",
            ),
            (
                "0 8 * * 1-5",
                "0 18 * * MON-FRI",
                "[Mon, Tue, Wed, Thu, Fri] 08:00-18:00",
            ),
            ("0 22 * * 5,6", "0 4 * * 6,0", "[Fri, Sat] 22:00-04:00"),
            ("0 22 * * 7", "0 4 * * 1", "[Sun] 22:00-04:00"),
        ] {
            assert_eq!(read(start, end).as_deref(), Ok(window), "{start} to {end}");
        }
    }

    #[test]
    fn what_is_none_is_said_to_be() {
        for (start, end, why) in [
            ("*/5 8 * * *", "0 18 * * *", "is not one time"),
            ("0 8 1 * *", "0 18 * * *", "is not one time"),
            ("0 8 * * *", "0 18 * *", "is not one time"),
            ("0 8 * * 9", "0 18 * * *", "is not one time"),
            ("0 18 * * 5", "0 8 * * 1", "more than a day"),
            ("0 8 * * *", "0 8 * * *", "ends when it begins"),
        ] {
            let error = read(start, end).unwrap_err();
            assert!(error.contains(why), "{start} to {end}: {error}");
        }
    }
}
