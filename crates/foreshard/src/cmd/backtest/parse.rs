//! Values of options.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

/// A span such as `600s`, `10m` or `1h 30m`, in seconds.
pub(crate) fn span(text: &str) -> Result<i64, String> {
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

/// A share of time, as `1%` or `0.01`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let share = number
        .trim()
        .parse::<f64>()
        .map_or(f64::NAN, |number| number / unit);
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("give a share of time above 0 and below 100%, such as 1% or 0.01".to_owned())
    }
}

/// A load above zero.
pub(crate) fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(load) if load > 0.0 && load.is_finite() => Ok(load),
        _ => Err("give the load that one instance serves, a number above 0".to_owned()),
    }
}

/// A time in RFC 3339, or a date with or without a time of day, in UTC; as Unix seconds.
pub(crate) fn time(text: &str) -> Result<i64, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_second());
    }
    text.parse::<DateTime>()
        .and_then(|local| TimeZone::UTC.to_timestamp(local))
        .map(|time| time.as_second())
        .map_err(|_| "give a time such as 2026-03-01 or 2026-03-01T06:30:00Z".to_owned())
}

/// A JSON document, as it is written.
pub(crate) fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not JSON: {error}")),
    }
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
    fn shares_are_percent_or_fractions() {
        assert_eq!(
            (share("1%"), share("0.5 %"), share("0.02")),
            (Ok(0.01), Ok(0.005), Ok(0.02))
        );
        for text in ["0", "100%", "1", "-1%", "NaN", "inf", "%", "few"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_utc_unless_they_say_otherwise() {
        assert_eq!(time("1970-01-02"), Ok(86_400));
        assert_eq!(time("1970-01-01T01:00:00"), Ok(3600));
        assert_eq!(time("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn loads_and_documents_are_checked() {
        assert_eq!(load("250.5"), Ok(250.5));
        assert!(
            ["0", "-1", "inf", "many"]
                .iter()
                .all(|text| load(text).is_err())
        );
        assert_eq!(json(r#"{"a": 1}"#).as_deref(), Ok(r#"{"a": 1}"#));
        assert!(json("{a: 1}").unwrap_err().contains("line 1"));
    }
}
