//! What is counted over the scored ticks of one run.

use super::count::SLACK;
use super::play::Run;
use super::world::{TICK_SECONDS, World};

const DAY_SECONDS: i64 = 86_400;
/// Above this share of what is ready, a tick is hot.
const HOT_SHARE: f64 = 0.9;

/// Sums over the scored ticks of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    pub(crate) ticks: u64,
    pub(crate) over: u64,
    pub(crate) hot: u64,
    pub(crate) under: u64,
    pub(crate) changes: u64,
    /// Instance-ticks.
    pub(crate) paid: u64,
    /// `r*`-ticks.
    pub(crate) required: u64,
    pub(crate) demand: f64,
    pub(crate) lost: f64,
    pub(crate) under_depth: f64,
    pub(crate) excess_depth: f64,
    pub(crate) longest_over: u64,
    pub(crate) worst_day_share: f64,
}

/// Ticks over capacity in a UTC day and in a row.
#[derive(Default)]
struct Spells {
    day: i64,
    day_ticks: u64,
    day_over: u64,
    row: u64,
}

impl Ledger {
    /// Counts `run` up.
    pub(crate) fn of(world: &World, run: &Run) -> Self {
        let mut ledger = Self::default();
        let mut spells = Spells::default();
        for tick in world.scored_start()..world.end() {
            let i = tick - world.run_start();
            let changed = run.wanted[i] != run.wanted[i - 1];
            let over = ledger.count(world, tick, run.ready[i]);
            ledger.paid += u64::from(run.wanted[i]);
            ledger.changes += u64::from(changed);
            ledger.spell(&mut spells, world.time(tick), over);
        }
        ledger.close_day(&spells);
        ledger
    }

    /// Adds one tick with `ready` instances; whether it was over capacity.
    fn count(&mut self, world: &World, tick: usize, ready: u32) -> bool {
        let demand = world.demand(tick);
        let required = world.required(tick);
        let over = world.exceeds(tick, 1.0, ready);
        self.ticks += 1;
        self.over += u64::from(over);
        self.hot += u64::from(world.exceeds(tick, HOT_SHARE, ready));
        self.under += u64::from(ready < required);
        self.required += u64::from(required);
        self.demand += demand;
        self.lost += (demand - f64::from(ready) * world.capacity()).max(0.0);
        self.under_depth += f64::from(required.saturating_sub(ready)) / f64::from(required);
        self.excess_depth += f64::from(ready.saturating_sub(required)) / f64::from(required);
        over
    }

    fn spell(&mut self, spells: &mut Spells, time: i64, over: bool) {
        let day = time.div_euclid(DAY_SECONDS);
        if day != spells.day {
            self.close_day(spells);
            (spells.day, spells.day_ticks, spells.day_over) = (day, 0, 0);
        }
        spells.day_ticks += 1;
        spells.day_over += u64::from(over);
        spells.row = if over { spells.row + 1 } else { 0 };
        self.longest_over = self.longest_over.max(spells.row);
    }

    fn close_day(&mut self, spells: &Spells) {
        if spells.day_ticks > 0 {
            let share = spells.day_over as f64 / spells.day_ticks as f64;
            self.worst_day_share = self.worst_day_share.max(share);
        }
    }

    /// Share of the ticks over capacity.
    pub(crate) fn over_share(&self) -> f64 {
        self.over as f64 / self.ticks as f64
    }

    /// Share of the load above capacity; none of no load.
    pub(crate) fn lost_share(&self) -> f64 {
        if self.demand > 0.0 {
            self.lost / self.demand
        } else {
            0.0
        }
    }

    /// Scored days.
    pub(crate) fn days(&self) -> f64 {
        self.ticks as f64 * TICK_SECONDS as f64 / DAY_SECONDS as f64
    }

    /// Whether the harm is less: less over capacity, then less lost.
    pub(crate) fn less_harm_than(&self, other: &Self) -> bool {
        self.over < other.over
            || (self.over == other.over && self.lost_share() < other.lost_share() - SLACK)
    }
}
