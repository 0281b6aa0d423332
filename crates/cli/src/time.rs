//! Spans and moments as people write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A span such as `600s`, `10m` or `1h 30m`, in seconds.
///
/// # Errors
/// Says what would be right, for clap.
pub fn span(text: &str) -> Result<i64, String> {
    let wrong =
        || "give a span with its unit (s, m, h, d or w), such as 600s, 10m or 1h30m".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    // A day is 24 hours here; months and years have no fixed length.
    let span = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    if span.is_negative() {
        return Err("give a span that is not negative".to_owned());
    }
    Ok(span.as_secs() + i64::from(span.subsec_nanos() > 0))
}

/// A time in RFC 3339, or a date with or without a time of day, in UTC; as Unix seconds.
///
/// # Errors
/// Says what would be right, for clap.
pub fn moment(text: &str) -> Result<i64, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    text.parse::<DateTime>()
        .and_then(|local| TimeZone::UTC.to_timestamp(local))
        .map(|time| time.as_second())
        .map_err(|_| "give a time such as 2026-03-01 or 2026-03-01T06:30:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_carry_their_unit() {
        for (text, seconds) in [
            ("600s", 600),
            ("10m", 600),
            ("1h30m", 5400),
            ("PT2H", 7200),
            ("1500ms", 2),
            ("7d", 604_800),
        ] {
            assert_eq!(span(text), Ok(seconds), "{text}");
        }
        for text in ["", "600", "-5m", "1y", "soon"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_utc_unless_they_say_otherwise() {
        assert_eq!(moment("1970-01-02"), Ok(86_400));
        assert_eq!(moment("1970-01-01T01:00:00"), Ok(3600));
        assert_eq!(moment("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(moment("yesterday").is_err());
    }
}
