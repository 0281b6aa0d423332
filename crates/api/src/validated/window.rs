//! Recurring spans of local time.

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{Invalid, zone};
use crate::v1alpha1::{Day, Window};

/// Minutes after midnight, local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(u16);

impl LocalTime {
    fn parse(path: &str, text: &str) -> Result<Self, Invalid> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (text.len() == 5 && hour < 24 && minute < 60).then_some(Self(hour * 60 + minute))
        };
        read()
            .ok_or_else(|| Invalid::new(path, format!("{text:?} is not a time such as \"08:30\"")))
    }
}

/// A span of local time that comes back on some days of the week.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurring {
    /// Monday is 0; all false: every day.
    days: [bool; 7],
    start: LocalTime,
    end: LocalTime,
    zone: TimeZone,
}

impl Recurring {
    pub(super) fn parse(path: &str, window: &Window, default: &TimeZone) -> Result<Self, Invalid> {
        let mut days = [window.days.is_empty(); 7];
        for day in &window.days {
            days[index(*day)] = true;
        }
        let zone = match &window.time_zone {
            Some(name) => zone(&format!("{path}.timeZone"), name)?,
            None => default.clone(),
        };
        Ok(Self {
            days,
            start: LocalTime::parse(&format!("{path}.start"), &window.start)?,
            end: LocalTime::parse(&format!("{path}.end"), &window.end)?,
            zone,
        })
    }

    /// Whether it holds at `now`, in Unix seconds. By the clock on the wall: an hour that summer time skips or repeats
    /// is what that clock shows.
    #[must_use]
    pub fn holds(&self, now: i64) -> bool {
        let Ok(at) = Timestamp::from_second(now) else {
            return false;
        };
        let local = self.zone.to_datetime(at);
        let minute = LocalTime(local.hour() as u16 * 60 + local.minute() as u16);
        let today = weekday(local.date());
        let yesterday = (today + 6) % 7;
        if self.start < self.end {
            return self.days[today] && self.start <= minute && minute < self.end;
        }
        (self.days[today] && self.start <= minute) || (self.days[yesterday] && minute < self.end)
    }
}

fn weekday(date: civil::Date) -> usize {
    date.weekday().to_monday_zero_offset() as usize
}

fn index(day: Day) -> usize {
    match day {
        Day::Mon => 0,
        Day::Tue => 1,
        Day::Wed => 2,
        Day::Thu => 3,
        Day::Fri => 4,
        Day::Sat => 5,
        Day::Sun => 6,
    }
}
