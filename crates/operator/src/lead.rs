//! How long orders take on one target, learned from what happened.
//!
//! An order begins when the count asked for grows, whoever asked, and is fulfilled when as many are ready. Only growth
//! counts: taking away is quick and nothing waits for it. An order that is replaced by a larger one goes on as that one;
//! one that is taken back, or was not fulfilled in [`GIVEN_UP_SECONDS`], teaches nothing but that it was not. Nor does
//! one in whose time the target said that it was stuck: that was an outage and no delay.

use std::collections::VecDeque;

use foreshard_decide::contract::LeadTime;
use serde::{Deserialize, Serialize};

/// Orders that are remembered.
const REMEMBERED: usize = 64;
/// Fewest orders that are believed more than the configured lead time.
const BELIEVED: usize = 3;
/// An order older than this was not fulfilled.
pub(crate) const GIVEN_UP_SECONDS: i64 = 6 * 3600;

/// What is known of the delay of one action on one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lead {
    /// Seconds of fulfilled orders, oldest first.
    seconds: VecDeque<u32>,
    open: Option<Order>,
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
}

impl Lead {
    /// Takes in what is seen at `now`; answers the seconds of an order that was just fulfilled.
    pub(crate) fn see(&mut self, now: i64, wanted: u32, ready: u32) -> Option<u32> {
        let before = self.wanted.replace(wanted);
        if let Some(order) = &mut self.open {
            if wanted < order.to || now - order.at > GIVEN_UP_SECONDS {
                self.open = None;
            } else {
                order.to = wanted;
            }
        }
        if self.open.is_none() && before.is_some_and(|before| wanted > before) && ready < wanted {
            self.open = Some(Order {
                at: now,
                to: wanted,
                stuck: false,
            });
        }
        let order = self.open.filter(|order| ready >= order.to)?;
        self.open = None;
        if order.stuck {
            return None;
        }
        let took = u32::try_from((now - order.at).max(0)).unwrap_or(u32::MAX);
        self.seconds.push_back(took);
        if self.seconds.len() > REMEMBERED {
            self.seconds.pop_front();
        }
        Some(took)
    }

    /// The target says that it does not get on.
    pub(crate) fn stuck(&mut self) {
        if let Some(order) = &mut self.open {
            order.stuck = true;
        }
    }

    /// The order that is being carried out.
    #[must_use]
    pub(crate) fn open(&self) -> Option<Order> {
        self.open
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
    fn an_order_that_grows_goes_on_and_one_taken_back_teaches_nothing() {
        let mut lead = Lead::default();
        lead.see(0, 2, 2);
        lead.see(10, 4, 2);
        lead.see(20, 6, 4);
        assert_eq!(lead.open().map(|it| (it.at, it.to)), Some((10, 6)));
        assert_eq!(lead.see(40, 6, 6), Some(30));
        lead.see(50, 9, 6);
        assert_eq!(lead.see(60, 6, 6), None);
        assert_eq!(lead.open(), None);
        // The first sight of a target is no order.
        assert_eq!(Lead::default().see(0, 5, 1), None);
        assert_eq!(Lead::default().open(), None);
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
