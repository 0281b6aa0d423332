//! The circuit breaker of one target's actions, and the slots that all targets share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Failures in a row that open the breaker.
const FAILURES_MAX: u32 = 3;
/// Seconds that it stays open the first time; twice as long each time after that.
const OPEN_SECONDS: i64 = 300;
const OPEN_SECONDS_MAX: i64 = 3600;

/// Stops acting on a target after failed actions, for longer each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    failures: u32,
    /// How often it has opened since the last success.
    opened: u32,
    until: Option<i64>,
    why: String,
}

impl Breaker {
    /// An action succeeded.
    pub(crate) fn success(&mut self) {
        *self = Self::default();
    }

    /// An action failed at `now`; answers whether the breaker just opened.
    pub(crate) fn failure(&mut self, now: i64, why: &str) -> bool {
        self.failures += 1;
        why.clone_into(&mut self.why);
        // After the first opening one failure is enough.
        if self.failures < FAILURES_MAX && self.opened == 0 {
            return false;
        }
        let seconds = (OPEN_SECONDS << self.opened.min(6)).min(OPEN_SECONDS_MAX);
        self.until = Some(now + seconds);
        self.opened += 1;
        self.failures = 0;
        true
    }

    /// Until when nothing is done at `now`, and why.
    #[must_use]
    pub(crate) fn open(&self, now: i64) -> Option<(i64, &str)> {
        let until = self.until.filter(|until| now < *until)?;
        Some((until, &self.why))
    }
}

/// Targets that may shrink at the same time. Growing needs no slot: it disturbs nothing that serves.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    held: Arc<Mutex<BTreeMap<String, i64>>>,
    max: usize,
}

/// Seconds after which a slot is free again whatever became of the step.
const SLOT_SECONDS: i64 = 60;

impl Slots {
    /// So many slots.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self {
            held: Arc::default(),
            max: max.max(1),
        }
    }

    /// Takes one for `target` at `now`, if there is one; who has one keeps it.
    #[must_use]
    pub(crate) fn take(&self, target: &str, now: i64) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, since| now - *since < SLOT_SECONDS);
        if held.contains_key(target) || held.len() >= self.max {
            return held.contains_key(target);
        }
        held.insert(target.to_owned(), now);
        true
    }

    /// Gives it back before its time: nothing was changed.
    pub(crate) fn give_back(&self, target: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_for_longer_each_time() {
        let mut breaker = Breaker::default();
        assert!(!breaker.failure(0, "a") && !breaker.failure(1, "b") && breaker.failure(2, "c"));
        assert_eq!(breaker.open(2), Some((302, "c")));
        assert_eq!(breaker.open(302), None);
        assert!(breaker.failure(302, "d"));
        assert_eq!(breaker.open(302), Some((902, "d")));
        breaker.success();
        assert!(!breaker.failure(903, "e"));
        assert_eq!(breaker.open(903), None);
    }

    #[test]
    fn only_so_many_shrink_at_once() {
        let slots = Slots::new(2);
        assert!(slots.take("a", 0) && slots.take("b", 0) && !slots.take("c", 0));
        assert!(slots.take("a", 1));
        slots.give_back("b");
        assert!(slots.take("c", 1));
        assert!(!slots.take("d", 59) && slots.take("d", 60));
    }
}
