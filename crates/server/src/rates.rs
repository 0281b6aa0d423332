//! How often one caller may ask.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use axum::http::StatusCode;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};

use crate::{limits::Rate, problem::Problem};

/// Callers that are counted at one time; those that have not asked for a while are forgotten then.
const CALLERS_MAX: usize = 10_000;

/// The rates of all callers.
pub(crate) struct Rates {
    requests: Limiter<String>,
    changes: Limiter<String>,
}

type Keyed<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock>;

/// One rate for each of many.
pub(crate) struct Limiter<K: Eq + Hash + Clone>(Keyed<K>);

impl Rates {
    pub(crate) fn new(requests: Rate, changes: Rate) -> Self {
        Self {
            requests: Limiter::new(requests),
            changes: Limiter::new(changes),
        }
    }

    /// Counts a request of a user.
    pub(crate) fn count(&self, user: &str, changes_something: bool) -> Result<(), Problem> {
        let user = user.to_owned();
        let detail = || format!("user {user:?} asks too often");
        self.requests.count(&user, detail)?;
        if changes_something {
            self.changes.count(&user, detail)?;
        }
        Ok(())
    }
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
        // A period of zero is refused; a nanosecond is as good as none.
        let period = rate.period.max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(burst));
        Self(RateLimiter::keyed(quota.allow_burst(burst)))
    }

    /// Counts one more; a problem says who asks too often in the words of `detail`.
    pub(crate) fn count(&self, key: &K, detail: impl Fn() -> String) -> Result<(), Problem> {
        if self.0.len() > CALLERS_MAX {
            self.0.retain_recent();
        }
        self.0.check_key(key).map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            too_many(detail(), seconds)
        })
    }
}

/// Says to come again later.
pub(crate) fn too_many(detail: String, seconds: u32) -> Problem {
    let status = StatusCode::TOO_MANY_REQUESTS;
    Problem::new(status, "too-many-requests", detail).retry_after(seconds)
}
