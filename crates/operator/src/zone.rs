//! Time zones as the calendars that the forecaster takes.

use foreshard_forecast::{Calendar, UtcOffset};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How far before and after now offsets are listed, in seconds: history and forecasts lie in there.
const MARGIN_SECONDS: i64 = 400 * 86_400;

/// Local time in `zone` around `now` (Unix seconds), without holidays.
#[must_use]
pub fn calendar(zone: &TimeZone, now: i64) -> Calendar {
    let moment = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let (start, end) = (
        moment(now.saturating_sub(MARGIN_SECONDS)),
        moment(now.saturating_add(MARGIN_SECONDS)),
    );
    let first = UtcOffset {
        since: start.as_second(),
        seconds: zone.to_offset(start).seconds(),
    };
    let changes = zone
        .following(start)
        .take_while(|change| change.timestamp() <= end)
        .map(|change| UtcOffset {
            since: change.timestamp().as_second(),
            seconds: change.offset().seconds(),
        });
    Calendar {
        offsets: std::iter::once(first).chain(changes).collect(),
        holidays: Vec::new(),
    }
}
