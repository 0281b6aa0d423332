//! The three forms in which a trace may write its times.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::error::{TraceProblem, shortened};

/// Unix seconds beyond this (the year 5138) are milliseconds of our days.
const UNIX_SECONDS_MAX: i64 = 100_000_000_000;

/// How a time is written; a file keeps to one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Without an offset: taken as UTC.
    Plain,
    /// RFC 3339 with this offset from UTC, in seconds.
    Offset(i32),
    /// Whole Unix seconds.
    Unix,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("times without an offset"),
            Self::Offset(0) => f.write_str("times in UTC (`Z`)"),
            Self::Offset(seconds) => {
                let sign = if *seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                write!(f, "times at {sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Self::Unix => f.write_str("Unix seconds"),
        }
    }
}

/// A time and how it was written.
pub(super) struct Timestamp {
    pub(super) unix_seconds: i64,
    pub(super) form: Form,
}

impl Timestamp {
    pub(super) fn parse(text: &str) -> Result<Self, TraceProblem> {
        let Some(first) = text.bytes().next() else {
            return Err(TraceProblem::TimestampMissing);
        };
        // A date has its first hyphen after the year; a Unix time has none, or it is the sign.
        if first == b'-' || !text[1..].contains('-') {
            return Self::parse_unix(text);
        }
        Self::parse_date(text)
    }

    fn parse_unix(text: &str) -> Result<Self, TraceProblem> {
        let found = || shortened(text);
        let whole = match text.split_once('.') {
            None => text,
            Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
            Some((whole, fraction)) => {
                let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
                return Err(if digits(whole) && digits(fraction) {
                    TraceProblem::TimestampFraction { found: found() }
                } else {
                    TraceProblem::TimestampForm { found: found() }
                });
            }
        };
        let unix_seconds: i64 = whole
            .parse()
            .map_err(|_| TraceProblem::TimestampForm { found: found() })?;
        if unix_seconds.abs() > UNIX_SECONDS_MAX {
            return Err(TraceProblem::TimestampUnit { found: found() });
        }
        Ok(Self {
            unix_seconds,
            form: Form::Unix,
        })
    }

    fn parse_date(text: &str) -> Result<Self, TraceProblem> {
        let wrong = || TraceProblem::TimestampForm {
            found: shortened(text),
        };
        // `YYYY-MM-DD` is ten bytes, so a sign or a `Z` after them belongs to the offset. A bare date would be read as
        // midnight, and nobody has a load of one value a day in mind when a time is forgotten.
        if !text.is_ascii() || text.len() < "YYYY-MM-DD HH:MM".len() || text.ends_with(']') {
            return Err(wrong());
        }
        let (date_time, form) = match text[10..].find(['Z', 'z', '+', '-']) {
            None => (text, Form::Plain),
            Some(index) => {
                let (date_time, offset) = text.split_at(10 + index);
                (
                    date_time,
                    Form::Offset(parse_offset(offset).ok_or_else(wrong)?),
                )
            }
        };
        let civil: DateTime = date_time.parse().map_err(|_| wrong())?;
        if civil.subsec_nanosecond() != 0 {
            return Err(TraceProblem::TimestampFraction {
                found: shortened(text),
            });
        }
        let utc = Offset::UTC.to_timestamp(civil).map_err(|_| wrong())?;
        let offset = match form {
            Form::Offset(seconds) => i64::from(seconds),
            Form::Plain | Form::Unix => 0,
        };
        Ok(Self {
            unix_seconds: utc.as_second() - offset,
            form,
        })
    }
}

/// Seconds of `Z`, `+HH:MM`, `+HHMM` or `+HH`.
fn parse_offset(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "0"),
        4 => digits.split_at(2),
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let number = |part: &str, max: i32| -> Option<i32> {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|n| digits && *n <= max)
    };
    Some(sign * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60))
}
