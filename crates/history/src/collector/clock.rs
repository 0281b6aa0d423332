//! The time of the world, which tests can turn.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where the time comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// This machine's.
    System,
    /// Unix seconds at an instant of the runtime, which a test can have stand still.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests turn the clock"))]
    Since(Instant, Duration),
}

impl Clock {
    /// Unix seconds.
    pub(super) fn unix(self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs() as i64),
            Self::Since(start, unix) => (unix + start.elapsed()).as_secs() as i64,
        }
    }
}
