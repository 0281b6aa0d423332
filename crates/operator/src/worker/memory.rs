//! What a worker knows of its target from pass to pass.

use std::collections::VecDeque;

use foreshard_decide::contract::{Action, PastChange};
use foreshard_engine::Engine;

use crate::breaker::Breaker;
use crate::lead::Lead;
use crate::outlook::Outlook;
use crate::part::PART;
use crate::recommendation::Ration;
use crate::shadow::Shadow;

/// Changes that are told to policies.
const RECENT_MAX: usize = 16;
/// Changes by somebody else within [`CONTESTED_SECONDS`] that mean that two fight over one target.
const CONTESTED_MAX: usize = 3;
/// See above; for as long nothing is done then.
const CONTESTED_SECONDS: i64 = 600;

/// What is known of one target.
pub(super) struct Memory {
    /// None while it is on another thread, and after it broke there.
    pub(super) engine: Option<Box<Engine>>,
    /// What an engine of before the restart has left; empty: nothing.
    pub(super) snapshot: Vec<u8>,
    pub(super) lead: Lead,
    pub(super) shadow: Shadow,
    pub(super) ration: Ration,
    pub(super) breaker: Breaker,
    pub(super) recent: Vec<PastChange>,
    /// The count that we asked for last, and when.
    pub(super) ordered: Option<(u32, i64)>,
    /// The count of our newest write, whether it is known to have gone through or not.
    pub(super) attempted: Option<u32>,
    /// The count asked for as it was seen last.
    pub(super) wanted_seen: Option<u32>,
    /// When somebody else changed the count after we had.
    others: VecDeque<i64>,
    pub(super) outlook: Outlook,
    pub(super) status_written: Option<i64>,
}

impl Memory {
    pub(super) fn new(engine: Option<Box<Engine>>) -> Self {
        Self {
            engine,
            snapshot: Vec::new(),
            lead: Lead::default(),
            shadow: Shadow::default(),
            ration: Ration::default(),
            breaker: Breaker::default(),
            recent: Vec::new(),
            ordered: None,
            attempted: None,
            wanted_seen: None,
            others: VecDeque::new(),
            outlook: Outlook::default(),
            status_written: None,
        }
    }

    /// What was learned, to be kept over a restart. Before the first evaluation that is what was learned before the last
    /// restart: a target that cannot be read costs nothing.
    pub(super) fn learned(&self) -> Vec<u8> {
        let engine = self.engine.as_ref();
        engine.map_or_else(|| self.snapshot.clone(), |it| it.snapshot())
    }

    /// Takes in the count asked for at `now`; answers the one of before if somebody else has changed it.
    /// Who does not lead (`leads`) is not fought with: the leader is one of the others.
    pub(super) fn see(&mut self, now: i64, wanted: u32, leads: bool) -> Option<u32> {
        let before = self.wanted_seen.replace(wanted)?;
        let ours = self.ordered.is_some_and(|(count, _)| count == wanted);
        // An answer that never came may have been a yes.
        let ours = ours || self.attempted.take().is_some_and(|count| count == wanted);
        if before == wanted || ours || !leads {
            return None;
        }
        if self.ordered.is_some() {
            self.others.push_back(now);
        }
        Some(before)
    }

    /// Until when nothing is done because somebody else scales the target as well.
    pub(super) fn contested(&mut self, now: i64) -> Option<i64> {
        while self
            .others
            .front()
            .is_some_and(|at| now - at >= CONTESTED_SECONDS)
        {
            self.others.pop_front();
        }
        let last = self.others.back().copied()?;
        (self.others.len() >= CONTESTED_MAX).then_some(last + CONTESTED_SECONDS)
    }

    /// We have changed the count at `now`.
    pub(super) fn changed(&mut self, now: i64, count: u32) {
        self.ordered = Some((count, now));
        self.wanted_seen = Some(count);
        let change = PastChange {
            at: now as f64,
            part: PART.to_owned(),
            action: Action::Replicas(count),
            outcome: "ordered".to_owned(),
        };
        self.recent.insert(0, change);
        self.recent.truncate(RECENT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_before_a_restart_outlives_the_next_one_as_well() {
        let mut memory = Memory::new(None);
        memory.snapshot = vec![1, 2, 3];
        assert_eq!(memory.learned(), [1, 2, 3]);
    }

    #[test]
    fn who_changes_the_count_again_and_again_is_not_fought() {
        let mut memory = Memory::new(None);
        assert_eq!(memory.see(0, 3, true), None);
        // Before we have ever acted, others may do as they like.
        assert_eq!(memory.see(10, 4, true), Some(3));
        assert_eq!(memory.contested(10), None);
        for round in 0..3 {
            let now = 100 * (round + 1);
            memory.changed(now, 8);
            assert_eq!(memory.see(now + 1, 8, true), None);
            assert_eq!(memory.contested(now + 1), None);
            assert_eq!(memory.see(now + 50, 4, true), Some(8));
        }
        assert_eq!(memory.contested(351), Some(950));
        assert_eq!(memory.contested(950), None);
    }
}
