//! Kubernetes' times and Unix seconds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// A time of Kubernetes; the first or last that there is where `seconds` lies beyond.
#[must_use]
pub fn from_unix(seconds: i64) -> Time {
    let bound = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Time(Timestamp::from_second(seconds).unwrap_or(bound))
}

/// Unix seconds, rounded down.
#[must_use]
pub fn unix(time: &Time) -> i64 {
    time.0.as_second()
}
