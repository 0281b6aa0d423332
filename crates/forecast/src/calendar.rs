//! Local time without zone data: offsets over the span that matters.

/// Local time and holidays, over history and horizon.
///
/// `Calendar::default()` is UTC without holidays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar {
    /// `local = UTC + seconds` from `since` (Unix seconds) on, ascending; before the first, the first holds.
    pub offsets: Vec<UtcOffset>,
    /// Unix seconds of local midnights that begin a holiday, ascending.
    pub holidays: Vec<i64>,
}

/// One offset from UTC and since when it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcOffset {
    /// Unix seconds.
    pub since: i64,
    /// Seconds to add to UTC.
    pub seconds: i32,
}

impl Calendar {
    /// Local minus UTC at `time` (Unix seconds), in seconds.
    #[must_use]
    pub fn offset_at(&self, time: i64) -> i64 {
        let after = self.offsets.partition_point(|o| o.since <= time);
        let offset = self.offsets.get(after.saturating_sub(1));
        offset.map_or(0, |o| i64::from(o.seconds))
    }
}
