//! Reactive scaling at the cost of another policy.

use super::super::figures::Figures;
use super::super::ledger::Ledger;
use super::super::world::World;
use super::hpa::{self, Rule};

/// Head-rooms between which the cost is sought.
const LOWEST: f64 = -0.6;
const HIGHEST: f64 = 4.0;
const HALVINGS: u32 = 30;

/// The better reactive rule at a given cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EqualCost {
    /// The rule.
    pub rule: Rule,
    /// The head-room at which it costs as much; a share, so 0.15 aims at `0.7 / 1.15`.
    pub headroom: f64,
    /// Its figures.
    pub figures: Figures,
}

/// A rule at a head-room.
pub(super) struct Found {
    pub(super) rule: Rule,
    pub(super) headroom: f64,
    pub(super) ledger: Ledger,
}

/// The rule that does less harm at the head-room where it pays `paid` instance-ticks; `hpa` where they tie.
pub(super) fn search(world: &World, paid: u64) -> Found {
    let hpa = at_cost(world, Rule::Hpa, paid);
    let hold = at_cost(world, Rule::HpaHold, paid);
    if hold.ledger.less_harm_than(&hpa.ledger) {
        hold
    } else {
        hpa
    }
}

pub(super) fn at_cost(world: &World, rule: Rule, paid: u64) -> Found {
    let at = |headroom| Found {
        rule,
        headroom,
        ledger: super::ledger(world, hpa::wanted(world, rule, headroom)),
    };
    let lowest = at(LOWEST);
    if lowest.ledger.paid >= paid {
        return lowest;
    }
    let (mut low, mut high) = (LOWEST, at(HIGHEST));
    if high.ledger.paid <= paid {
        return high;
    }
    for _ in 0..HALVINGS {
        let middle = at(f64::midpoint(low, high.headroom));
        if middle.ledger.paid < paid {
            low = middle.headroom;
        } else {
            high = middle;
        }
    }
    high
}
