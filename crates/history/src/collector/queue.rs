//! What is due when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

/// Units in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    queued: Vec<bool>,
}

impl Queue {
    /// Empties it for a new plan of so many units.
    pub(super) fn clear(&mut self, units: usize) {
        self.heap.clear();
        self.queued.clear();
        self.queued.resize(units, false);
    }

    /// Puts a unit in, unless it is in already.
    pub(super) fn push(&mut self, due: Instant, unit: usize) {
        if let Some(queued) = self.queued.get_mut(unit).filter(|queued| !**queued) {
            *queued = true;
            self.heap.push(Reverse((due, unit)));
        }
    }

    /// When the first is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the first out if it is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        self.due().filter(|due| *due <= now)?;
        let Reverse((_, unit)) = self.heap.pop()?;
        if let Some(queued) = self.queued.get_mut(unit) {
            *queued = false;
        }
        Some(unit)
    }
}
