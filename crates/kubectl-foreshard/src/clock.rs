//! Times as people read them.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Now, in Unix seconds.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A span as kubectl shows an age: `45s`, `12m`, `5h`, `3d`.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    // Two of a unit before the next larger one.
    match seconds {
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 2 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

/// `in 3h` or `5m ago`.
pub(crate) fn relative(at: i64, now: i64) -> String {
    if at > now {
        format!("in {}", span(at - now))
    } else {
        format!("{} ago", span(now - at))
    }
}

/// `2026-03-01T12:00:00Z`.
pub(crate) fn utc(at: i64) -> String {
    Timestamp::from_second(at).map_or_else(|_| "an unknown time".to_owned(), |at| at.to_string())
}

/// `2026-03-01T12:00:00Z (in 3h)`.
pub(crate) fn both(at: i64, now: i64) -> String {
    format!("{} ({})", utc(at), relative(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit() {
        let spans = [-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(span);
        assert_eq!(spans, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
        assert_eq!(both(7200, 0), "1970-01-01T02:00:00Z (in 2h)");
        assert_eq!(relative(0, 60), "60s ago");
    }
}
