//! How fast virtual time passes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Seconds between two ticks.
const TICK_SECONDS: f64 = foreshard_sim::replay::TICK_SECONDS as f64;
/// How long a wait may be before somebody looks whether the user wants to stop.
const SLICE: Duration = Duration::from_millis(100);
/// Time that a busy machine has lost is not made up for beyond this.
const BEHIND_MAX: Duration = Duration::from_millis(500);

/// How fast virtual time passes.
#[derive(Debug)]
pub(crate) enum Pace {
    /// As fast as it goes.
    FlatOut,
    /// A tick is due at the moment, and the next one after the span.
    Steady { due: Instant, tick: Duration },
}

impl Pace {
    /// So many virtual seconds in a real one; 0 counts as 1.
    pub(crate) fn virtual_seconds(speed: i64) -> Self {
        let tick = Duration::from_secs_f64(TICK_SECONDS / speed.max(1) as f64);
        Self::Steady {
            due: Instant::now(),
            tick,
        }
    }

    /// The first tick is due now.
    pub(crate) fn begin(&mut self, now: Instant) {
        if let Self::Steady { due, .. } = self {
            *due = now;
        }
    }

    /// Waits until the next tick is due, or until the user wants to stop.
    pub(crate) fn wait(&mut self, stopped: &AtomicBool) {
        let Self::Steady { due, tick } = self else {
            return;
        };
        let now = Instant::now();
        *due = next(*due, *tick, now);
        while let Some(left) = due.checked_duration_since(Instant::now())
            && !left.is_zero()
            && !stopped.load(Ordering::Relaxed)
        {
            thread::sleep(left.min(SLICE));
        }
    }
}

/// When the tick after the one that was due is due.
fn next(due: Instant, tick: Duration, now: Instant) -> Instant {
    let earliest = now.checked_sub(BEHIND_MAX).unwrap_or(now);
    (due + tick).max(earliest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_tick_is_made_up_for_and_a_long_pause_is_not() {
        let (begin, tick) = (Instant::now(), Duration::from_millis(10));
        let after = |millis| begin + Duration::from_millis(millis);
        assert_eq!(next(begin, tick, after(3)), after(10));
        assert_eq!(next(begin, tick, after(300)), after(10));
        assert_eq!(next(begin, tick, after(5000)), after(4500));
    }
}
