//! The figures by which a policy is judged.

use serde::{Deserialize, Serialize};

use super::count::SLACK;
use super::ledger::Ledger;
use super::world::TICK_SECONDS;

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The figures of one policy over the scored ticks. Shares lie in 0..=1; `d` is demand, `c` the load that one
        /// instance serves, and `r*` the `max(2, ceil(d / (0.7 c)))` instances that keep it at 70 %.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Figures { $($(#[$doc])* pub $name: f64),* }

        impl Figures {
            /// Folds several figures into one, field by field; `values` come in the order given.
            pub(crate) fn fold(all: &[Self], fold: impl Fn(&[f64]) -> f64) -> Self {
                Self { $($name: fold(&all.iter().map(|figures| figures.$name).collect::<Vec<_>>())),* }
            }
        }
    };
}

figures! {
    /// Share of ticks with `d > ready * c`.
    over_capacity_share,
    /// Load above capacity over all load.
    lost_share,
    /// Share of ticks with `ready < r*`.
    under_share,
    /// Mean of `max(r* - ready, 0) / r*`.
    under_depth,
    /// Mean of `max(ready - r*, 0) / r*`.
    excess_depth,
    /// Share of ticks with `d > 0.9 * ready * c`.
    hot_share,
    /// Paid instance-ticks over the sum of `r*`.
    cost,
    /// Paid instance-ticks over those of `foresight`, the best at 70 % that knows the future.
    cost_vs_foresight,
    /// Paid instance-ticks over those of `bound`, the least without a tick over capacity.
    cost_vs_bound,
    /// Ticks whose wanted count differs from the tick before, per day.
    changes_per_day,
    /// Share of the scored ticks over capacity in the worst UTC day.
    worst_day_over_capacity_share,
    /// The longest time over capacity without a break, in seconds.
    longest_over_capacity_seconds,
}

impl Figures {
    pub(crate) fn new(ledger: &Ledger, foresight_paid: u64, bound_paid: u64) -> Self {
        let ticks = ledger.ticks as f64;
        let paid = ledger.paid as f64;
        Self {
            over_capacity_share: ledger.over_share(),
            lost_share: ledger.lost_share(),
            under_share: ledger.under as f64 / ticks,
            under_depth: ledger.under_depth / ticks,
            excess_depth: ledger.excess_depth / ticks,
            hot_share: ledger.hot as f64 / ticks,
            cost: paid / ledger.required as f64,
            cost_vs_foresight: paid / foresight_paid as f64,
            cost_vs_bound: paid / bound_paid as f64,
            changes_per_day: ledger.changes as f64 / ledger.days(),
            worst_day_over_capacity_share: ledger.worst_day_share,
            longest_over_capacity_seconds: (ledger.longest_over as i64 * TICK_SECONDS) as f64,
        }
    }

    /// The mean of each figure.
    #[must_use]
    pub fn mean(all: &[Self]) -> Self {
        Self::fold(all, |values| {
            values.iter().sum::<f64>() / values.len() as f64
        })
    }

    /// Whether neither more time over capacity nor more load is lost than with `other`.
    #[must_use]
    pub fn no_worse_than(&self, other: &Self) -> bool {
        self.over_capacity_share <= other.over_capacity_share + SLACK
            && self.lost_share <= other.lost_share + SLACK
    }
}

#[cfg(test)]
mod tests;
