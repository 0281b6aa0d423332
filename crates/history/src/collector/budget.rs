//! So many queries a minute and no more.

use std::time::Duration;

use tokio::time::Instant;

/// Seconds of the window in which queries are counted.
const WINDOW_SECONDS: f64 = 60.0;

/// A bucket of tokens, one for each query. However it is used, no 60 seconds see more than the limit: what is in the full
/// bucket and what runs into it meanwhile are together the limit.
#[derive(Debug)]
pub(super) struct Budget {
    tokens_max: f64,
    tokens_per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Budget {
    /// A full bucket.
    pub(super) fn new(queries_per_minute_max: u32, now: Instant) -> Self {
        let limit = f64::from(queries_per_minute_max).max(1.0);
        // A second's worth at once.
        let tokens_max = (limit / WINDOW_SECONDS).max(1.0);
        // With a limit of one the bucket is all there is.
        let tokens_per_second = (limit - tokens_max).max(0.5) / WINDOW_SECONDS;
        Self {
            tokens_max,
            tokens_per_second,
            tokens: tokens_max,
            filled: now,
        }
    }

    /// The same bucket with another limit: whoever changes it again and again gets no more by that.
    pub(super) fn limit(&mut self, queries_per_minute_max: u32, now: Instant) {
        // What has run in meanwhile; when there is a token does not matter here.
        let _ = self.ready(now);
        let new = Self::new(queries_per_minute_max, now);
        *self = Self {
            tokens: self.tokens.min(new.tokens_max),
            ..new
        };
    }

    /// Whether there is a token, or when there will be one.
    pub(super) fn ready(&mut self, now: Instant) -> Result<(), Instant> {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * self.tokens_per_second).min(self.tokens_max);
        self.filled = now;
        if self.tokens >= 1.0 {
            return Ok(());
        }
        // Rounded up: a timer that is early by a hair finds nothing.
        let wait = (1.0 - self.tokens) / self.tokens_per_second + 0.001;
        Err(now + Duration::from_secs_f64(wait))
    }

    /// Takes a token that is [`ready`](Self::ready).
    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_the_limit() {
        for limit in [2, 10, 60, 100, 3000] {
            let mut budget = Budget::new(limit, Instant::now());
            let mut taken = Vec::new();
            let end = Instant::now() + Duration::from_secs(300);
            while Instant::now() < end {
                match budget.ready(Instant::now()) {
                    Ok(()) => {
                        budget.take();
                        taken.push(Instant::now());
                    }
                    Err(when) => tokio::time::sleep_until(when).await,
                }
            }
            let window = Duration::from_secs(60);
            let mut first = 0;
            for (i, time) in taken.iter().enumerate() {
                while taken[first] + window <= *time {
                    first += 1;
                }
                assert!(i - first < limit as usize, "{limit}");
            }
            // And not much less than that.
            let least = if limit < 60 { 2.0 } else { 4.5 };
            let count = taken.len() as f64;
            assert!(count > least * f64::from(limit), "{limit}: {count}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_changes_again_and_again_gives_no_more() {
        let mut budget = Budget::new(600, Instant::now());
        let mut taken = 0;
        for second in 0..60 {
            while budget.ready(Instant::now()).is_ok() {
                budget.take();
                taken += 1;
            }
            budget.limit(600 - second % 2, Instant::now());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(taken <= 600, "{taken}");
    }
}
