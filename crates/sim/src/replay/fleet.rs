//! Instances of one part: ordered, pending, ready.

use std::collections::VecDeque;

/// Instances that were ordered and are not ready yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How many.
    pub count: u32,
    /// The tick at which they become ready.
    pub ready_at: usize,
}

/// The instances of one part. Every wanted instance is paid for, ready or not.
///
/// At each tick, first [`Fleet::advance`], then at most one [`Fleet::want`].
#[derive(Clone, Debug)]
pub struct Fleet {
    lag_ticks: usize,
    ready: u32,
    /// Oldest first.
    pending: VecDeque<Pending>,
}

impl Fleet {
    /// `count` ready instances; new ones take `lag_ticks` ticks.
    #[must_use]
    pub fn new(count: u32, lag_ticks: usize) -> Self {
        Self {
            lag_ticks,
            ready: count,
            pending: VecDeque::new(),
        }
    }

    /// Lets what is due at tick `now` become ready.
    pub fn advance(&mut self, now: usize) {
        while let Some(due) = self.pending.pop_front_if(|order| order.ready_at <= now) {
            self.ready += due.count;
        }
    }

    /// Sets the wanted count at tick `now`: what is missing is ordered; surplus is taken from the newest orders first,
    /// then from the ready ones.
    pub fn want(&mut self, now: usize, count: u32) {
        let wanted = self.wanted();
        if count > wanted {
            self.pending.push_back(Pending {
                count: count - wanted,
                ready_at: now + self.lag_ticks,
            });
            self.advance(now);
            return;
        }
        let mut surplus = wanted - count;
        while surplus > 0 {
            let Some(newest) = self.pending.back_mut() else {
                self.ready -= surplus;
                return;
            };
            let cancelled = surplus.min(newest.count);
            newest.count -= cancelled;
            surplus -= cancelled;
            self.pending.pop_back_if(|order| order.count == 0);
        }
    }

    /// Instances that serve.
    #[must_use]
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// Instances that are ready or ordered; all of them are paid for.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        self.ready + self.pending.iter().map(|order| order.count).sum::<u32>()
    }

    /// What was ordered and is not ready yet, oldest first.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = Pending> {
        self.pending.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn surplus_is_taken_from_the_newest_order_first() {
        let mut fleet = Fleet::new(4, 3);
        fleet.want(0, 6);
        fleet.advance(1);
        fleet.want(1, 9);
        fleet.advance(2);
        fleet.want(2, 7);
        assert_eq!((fleet.ready(), fleet.wanted()), (4, 7));
        let pending: Vec<_> = fleet
            .pending()
            .map(|order| (order.count, order.ready_at))
            .collect();
        assert_eq!(pending, [(2, 3), (1, 4)]);
        fleet.advance(3);
        fleet.want(3, 5);
        assert_eq!(
            (fleet.ready(), fleet.wanted(), fleet.pending().len()),
            (5, 5, 0)
        );
    }

    proptest! {
        #[test]
        fn ready_is_the_least_wanted_within_the_lag(
            wanted in prop::collection::vec(2_u32..12, 1..80),
            lag in 0_usize..9,
            initial in 2_u32..12,
        ) {
            let mut fleet = Fleet::new(initial, lag);
            for (now, &count) in wanted.iter().enumerate() {
                fleet.advance(now);
                fleet.want(now, count);
                let before = (now < lag).then_some(initial);
                let least = wanted[now.saturating_sub(lag)..=now].iter().copied().chain(before).min();
                prop_assert_eq!(Some(fleet.ready()), least);
                prop_assert_eq!(fleet.wanted(), count);
                prop_assert!(fleet.pending().all(|order| order.count > 0 && order.ready_at > now));
            }
        }
    }
}
