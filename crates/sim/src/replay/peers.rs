//! The policies that every result is held against.

mod crane;
mod equal_cost;
mod hpa;
mod oracle;
mod seasonal;

pub use equal_cost::EqualCost;
pub use hpa::Rule;

use super::count::TARGET_UTILIZATION;
use super::figures::Figures;
use super::ledger::Ledger;
use super::play::Run;
use super::world::World;

/// How much lower the utilisation of `hpa+15%` is than 70 %.
const FIXED_HEADROOM: f64 = 0.15;

/// The peers of one world, played once.
///
/// *Reactive at equal cost* depends on what it is compared with: see [`Peers::at_cost_of`].
pub struct Peers {
    before: Vec<(&'static str, Ledger)>,
    after: Vec<(&'static str, Ledger)>,
    foresight_paid: u64,
    bound_paid: u64,
}

impl Peers {
    /// Plays all peers.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let hpa = hpa::wanted(world, Rule::Hpa, 0.0);
        let seasonal = larger(&seasonal::wanted(world), &hpa);
        let crane = larger(&crane::wanted(world), &hpa);
        let foresight = ledger(world, oracle::foresight(world));
        let bound = ledger(world, oracle::bound(world));
        let (foresight_paid, bound_paid) = (foresight.paid, bound.paid);
        let hold = hpa::wanted(world, Rule::HpaHold, 0.0);
        let fifteen = hpa::wanted(world, Rule::Hpa, FIXED_HEADROOM);
        Self {
            before: vec![
                ("static", ledger(world, oracle::fixed(world))),
                ("hpa", ledger(world, hpa)),
                ("hpa-hold", ledger(world, hold)),
                ("hpa+15%", ledger(world, fifteen)),
            ],
            after: vec![
                ("seasonal", ledger(world, seasonal)),
                ("crane", ledger(world, crane)),
                ("foresight", foresight),
                ("bound", bound),
            ],
            foresight_paid,
            bound_paid,
        }
    }

    /// The figures of `run`.
    #[must_use]
    pub fn figures(&self, world: &World, run: &Run) -> Figures {
        self.of(&Ledger::of(world, run))
    }

    /// Reactive at the cost of `run`.
    #[must_use]
    pub fn at_cost_of(&self, world: &World, run: &Run) -> EqualCost {
        let found = equal_cost::search(world, Ledger::of(world, run).paid);
        EqualCost {
            rule: found.rule,
            headroom: found.headroom,
            figures: self.of(&found.ledger),
        }
    }

    /// The figures of a reactive rule at a head-room: a share, 0.15 for 15 % more instances.
    #[must_use]
    pub fn reactive(&self, world: &World, rule: Rule, headroom: f64) -> Figures {
        self.of(&ledger(world, hpa::wanted(world, rule, headroom)))
    }

    /// The peers listed before *reactive at equal cost*, with their figures.
    pub(crate) fn before(&self) -> impl Iterator<Item = (&'static str, Figures)> {
        self.before
            .iter()
            .map(|(name, ledger)| (*name, self.of(ledger)))
    }

    /// The peers listed after *reactive at equal cost*, with their figures.
    pub(crate) fn after(&self) -> impl Iterator<Item = (&'static str, Figures)> {
        self.after
            .iter()
            .map(|(name, ledger)| (*name, self.of(ledger)))
    }

    fn of(&self, ledger: &Ledger) -> Figures {
        Figures::new(ledger, self.foresight_paid, self.bound_paid)
    }
}

fn ledger(world: &World, wanted: Vec<u32>) -> Ledger {
    Ledger::of(world, &Run::of_wanted(world, wanted))
}

/// Tick by tick the larger of the two.
fn larger(one: &[u32], other: &[u32]) -> Vec<u32> {
    one.iter()
        .zip(other)
        .map(|(&one, &other)| one.max(other))
        .collect()
}

/// The utilisation that leaves a head-room.
fn utilization(headroom: f64) -> f64 {
    TARGET_UTILIZATION / (1.0 + headroom)
}

#[cfg(test)]
mod tests;
