//! How long orders take on one target, learned from what happened.
//!
//! An order begins when the count asked for grows, whoever asked, and is fulfilled when as many are ready. Only growth
//! counts: taking away is quick and nothing waits for it. While the count goes on growing, each step is an order of its
//! own. One that is taken back, or was not fulfilled in [`GIVEN_UP_SECONDS`], teaches nothing but that it was not. Nor does
//! one in whose time the target said that it was stuck: that was an outage and no delay.

use std::collections::VecDeque;

use foreshard_decide::contract::LeadTime;
use serde::{Deserialize, Serialize};

/// Orders that are remembered.
const REMEMBERED: usize = 64;
/// Orders that are followed at the same time; of more, the newest are followed as one.
const OPEN_MAX: usize = 32;
/// Fewest orders that are believed more than the configured lead time.
const BELIEVED: usize = 3;
/// An order older than this was not fulfilled.
pub(crate) const GIVEN_UP_SECONDS: i64 = 6 * 3600;

/// What is known of the delay of one action on one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lead {
    /// Seconds of fulfilled orders, oldest first.
    seconds: VecDeque<u32>,
    /// Those that are not fulfilled yet, oldest and smallest first.
    #[serde(default)]
    orders: VecDeque<Order>,
    /// The newest count asked for.
    wanted: Option<u32>,
}

/// An order that is not fulfilled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Unix seconds.
    pub(crate) at: i64,
    /// The count asked for.
    pub(crate) to: u32,
    /// The target was stuck meanwhile.
    #[serde(default)]
    pub(crate) stuck: bool,
    /// It was told that it is late.
    #[serde(default)]
    told: bool,
}

impl Lead {
    /// Takes in what is seen at `now`; answers the seconds of the newest order that was just fulfilled.
    pub(crate) fn see(&mut self, now: i64, wanted: u32, ready: u32) -> Option<u32> {
        let before = self.wanted.replace(wanted);
        self.orders
            .retain(|order| order.to <= wanted && now - order.at <= GIVEN_UP_SECONDS);
        if before.is_some_and(|before| wanted > before) && ready < wanted {
            self.ordered(now, wanted);
        }
        let mut newest = None;
        while let Some(order) = self.orders.front().copied()
            && ready >= order.to
        {
            self.orders.pop_front();
            if !order.stuck {
                newest = Some(self.fulfilled(now - order.at));
            }
        }
        newest
    }

    fn ordered(&mut self, at: i64, to: u32) {
        if self.orders.len() >= OPEN_MAX
            && let Some(last) = self.orders.back_mut()
        {
            last.to = to;
            return;
        }
        self.orders.push_back(Order {
            at,
            to,
            stuck: false,
            told: false,
        });
    }

    fn fulfilled(&mut self, seconds: i64) -> u32 {
        let took = u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
        self.seconds.push_back(took);
        if self.seconds.len() > REMEMBERED {
            self.seconds.pop_front();
        }
        took
    }

    /// The target says that it does not get on.
    pub(crate) fn stuck(&mut self) {
        for order in &mut self.orders {
            order.stuck = true;
        }
    }

    /// The oldest order that is being carried out.
    #[must_use]
    pub(crate) fn open(&self) -> Option<Order> {
        self.orders.front().copied()
    }

    /// The oldest order, if it is open for longer than so many seconds; each one once.
    pub(crate) fn late(&mut self, now: i64, seconds: f64) -> Option<Order> {
        let order = self.orders.front_mut()?;
        if order.told || (now - order.at) as f64 <= seconds {
            return None;
        }
        order.told = true;
        Some(*order)
    }

    /// The distribution; `assumed` seconds until enough was observed.
    #[must_use]
    pub(crate) fn time(&self, assumed: i64) -> LeadTime {
        let observations = u32::try_from(self.seconds.len()).unwrap_or(u32::MAX);
        if self.seconds.len() < BELIEVED {
            let assumed = assumed as f64;
            return LeadTime {
                p50: assumed,
                p90: assumed,
                p99: assumed,
                observations,
            };
        }
        let mut sorted: Vec<u32> = self.seconds.iter().copied().collect();
        sorted.sort_unstable();
        // The smallest value that so many of the orders did not exceed; never below a second.
        let quantile = |level: f64| {
            let rank = (level * sorted.len() as f64).ceil() as usize;
            f64::from(sorted[rank.clamp(1, sorted.len()) - 1].max(1))
        };
        LeadTime {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            observations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fulfilled(lead: &mut Lead, at: i64, to: u32, took: i64) {
        assert_eq!(lead.see(at, to, to - 1), None);
        assert_eq!(lead.see(at + took, to, to), Some(took as u32));
    }

    #[test]
    fn delays_are_learned_from_fulfilled_orders() {
        let mut lead = Lead::default();
        lead.see(0, 1, 1);
        assert_eq!(lead.time(90).p90, 90.0);
        for (index, took) in [30, 40, 50, 200].into_iter().enumerate() {
            let to = 2 + index as u32;
            fulfilled(&mut lead, 1000 * (index as i64 + 1), to, took);
        }
        let time = lead.time(90);
        assert_eq!((time.p50, time.p90, time.observations), (40.0, 200.0, 4));
    }

    #[test]
    fn each_step_of_a_ramp_is_an_order_and_one_taken_back_teaches_nothing() {
        let mut lead = Lead::default();
        lead.see(0, 2, 2);
        // One more each minute, ready after 90 s.
        for minute in 1..20 {
            let now = 60 * minute;
            let ready = 2 + u32::try_from((minute - 2).max(0)).unwrap();
            let took = lead.see(now, 2 + minute as u32, ready);
            assert_eq!(took, (minute > 2).then_some(120), "{minute}");
        }
        let time = lead.time(60);
        assert_eq!((time.p50, time.p99), (120.0, 120.0));
        lead.see(1200, 40, 21);
        assert_eq!(lead.see(1260, 21, 21), None);
        assert_eq!(lead.open(), None);
        // The first sight of a target is no order.
        assert_eq!(Lead::default().see(0, 5, 1), None);
        assert_eq!(Lead::default().open(), None);
    }

    #[test]
    fn a_late_order_is_told_once() {
        let mut lead = Lead::default();
        lead.see(0, 2, 2);
        lead.see(10, 3, 2);
        lead.see(400, 4, 2);
        assert_eq!(lead.late(600, 600.0), None);
        assert_eq!(lead.late(620, 600.0).map(|it| it.to), Some(3));
        assert_eq!(lead.late(9000, 600.0), None);
    }

    #[test]
    fn so_many_orders_are_followed_and_no_more() {
        let mut lead = Lead::default();
        for wanted in 1..100 {
            lead.see(i64::from(wanted), wanted, 1);
        }
        assert_eq!(lead.orders.len(), OPEN_MAX);
        lead.see(200, 99, 99);
        assert_eq!(lead.open(), None);
    }

    #[test]
    fn an_outage_is_no_delay() {
        let mut lead = Lead::default();
        lead.see(0, 1, 1);
        lead.stuck();
        fulfilled(&mut lead, 10, 2, 30);
        lead.see(100, 3, 2);
        lead.stuck();
        assert_eq!(lead.see(9_000, 3, 3), None);
        assert_eq!((lead.open(), lead.time(60).observations), (None, 1));
    }

    #[test]
    fn a_stuck_order_is_given_up() {
        let mut lead = Lead::default();
        lead.see(0, 1, 1);
        lead.see(10, 2, 1);
        assert_eq!(lead.see(20 + GIVEN_UP_SECONDS, 2, 2), None);
        assert_eq!(lead.time(60).observations, 0);
    }
}
