//! Time zones by name, as the calendars that the forecaster takes.

use anyhow::Context as _;
use foreshard_forecast::{Calendar, UtcOffset};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How far before and after the asked span offsets are listed, in seconds: forecasts reach beyond the data.
const MARGIN_SECONDS: i64 = 400 * 86_400;

/// Local time in the IANA zone `name` around the Unix seconds `from..to`, without holidays.
pub(crate) fn calendar(name: &str, from: i64, to: i64) -> anyhow::Result<Calendar> {
    let zone = TimeZone::get(name).with_context(|| {
        format!("--timezone {name}: no such zone; give an IANA name such as Europe/Berlin or UTC")
    })?;
    let moment = |seconds: i64| Timestamp::from_second(seconds).context("a time is out of range");
    let start = moment(from.saturating_sub(MARGIN_SECONDS))?;
    let end = moment(to.saturating_add(MARGIN_SECONDS))?;
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
    Ok(Calendar {
        offsets: std::iter::once(first).chain(changes).collect(),
        holidays: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daylight_saving_time_changes_the_offset() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        let (from, to) = (at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"));
        let calendar = calendar("Europe/Berlin", from, to).unwrap();
        let summer = UtcOffset {
            since: at("2026-03-29T01:00:00Z"),
            seconds: 7200,
        };
        assert!(calendar.offsets.contains(&summer), "{:?}", calendar.offsets);
        assert!(calendar.offsets.is_sorted_by_key(|offset| offset.since));
        assert_eq!(super::calendar("UTC", from, to).unwrap().offsets.len(), 1);
        let error = format!(
            "{:#}",
            super::calendar("Mars/Olympus", from, to).unwrap_err()
        );
        assert!(
            error.contains("Mars/Olympus") && error.contains("Europe/Berlin"),
            "{error}"
        );
    }
}
