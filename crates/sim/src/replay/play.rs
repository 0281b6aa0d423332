//! A policy living through a world.

use foreshard_forecast::{Sample, Series};

use super::count::{MAX_INSTANCES, MIN_INSTANCES, bounded};
use super::fleet::{Fleet, Pending};
use super::world::World;

/// A scaling policy under test.
pub trait Scaler {
    /// The wanted count from this tick on, or none to leave it as it is. It is kept within the view's bounds.
    fn decide(&mut self, view: &View<'_>) -> Option<u32>;
}

/// What a policy may know at one tick. Times are Unix seconds.
#[derive(Debug)]
pub struct View<'a> {
    /// The tick's time.
    pub now: i64,
    /// The complete bins that ended at or before `now - 60`; a gap is NaN.
    pub history: &'a Series,
    /// The newest live sample, at `now - 60`; none inside a missing bin.
    pub seen: Option<Sample>,
    /// Instances ready or ordered.
    pub wanted: u32,
    /// Instances that serve.
    pub ready: u32,
    /// What was ordered and is not ready yet, oldest first: how many, and when they become ready.
    pub pending: &'a [(u32, i64)],
    /// From an order to its being ready, in seconds.
    pub lag_seconds: i64,
    /// Load that one instance serves.
    pub capacity: f64,
    /// The fewest instances allowed.
    pub min: u32,
    /// The most instances allowed.
    pub max: u32,
}

/// What a policy wanted and what was ready, at each tick of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The wanted counts; what is wanted is paid.
    pub wanted: Vec<u32>,
    /// The ready counts.
    pub ready: Vec<u32>,
}

impl Run {
    /// What becomes ready when `wanted` is asked for tick by tick from the start of the run.
    pub(crate) fn of_wanted(world: &World, wanted: Vec<u32>) -> Self {
        let mut fleet = Fleet::new(world.initial(), world.lag_ticks());
        let ready = wanted
            .iter()
            .enumerate()
            .map(|(now, &count)| {
                fleet.advance(now);
                fleet.want(now, count);
                fleet.ready()
            })
            .collect();
        Self { wanted, ready }
    }
}

/// One part living through a world, tick by tick.
///
/// Only the bins that may be seen are in here, growing with every tick, so that nothing ahead can be read even by
/// mistake.
#[derive(Debug)]
pub(crate) struct Life {
    tick: usize,
    fleet: Fleet,
    history: Series,
    pending: Vec<(u32, i64)>,
    run: Run,
}

impl Life {
    /// At the first tick of the run.
    pub(crate) fn new(world: &World) -> Self {
        let ticks = world.end() - world.run_start();
        let series = world.series();
        let mut life = Self {
            tick: world.run_start(),
            fleet: Fleet::new(world.initial(), world.lag_ticks()),
            history: Series {
                start: series.start,
                step: series.step,
                values: Vec::with_capacity(series.values.len()),
            },
            pending: Vec::new(),
            run: Run {
                wanted: Vec::with_capacity(ticks),
                ready: Vec::with_capacity(ticks),
            },
        };
        life.look(world);
        life
    }

    /// The current tick; the world's end when the run is over.
    pub(crate) fn tick(&self) -> usize {
        self.tick
    }

    /// What may be known at the current tick.
    pub(crate) fn view(&self, world: &World) -> View<'_> {
        View {
            now: world.time(self.tick),
            history: &self.history,
            seen: world.seen(self.tick),
            wanted: self.fleet.wanted(),
            ready: self.fleet.ready(),
            pending: &self.pending,
            lag_seconds: world.lag_seconds(),
            capacity: world.capacity(),
            min: MIN_INSTANCES,
            max: MAX_INSTANCES,
        }
    }

    /// Wants `count` instances from the current tick on, within the bounds; what is then wanted.
    pub(crate) fn want(&mut self, world: &World, count: u32) -> u32 {
        self.fleet.want(self.tick, bounded(count));
        self.list_pending(world);
        self.fleet.wanted()
    }

    /// Ends the current tick and begins the next one.
    pub(crate) fn next(&mut self, world: &World) {
        self.run.wanted.push(self.fleet.wanted());
        self.run.ready.push(self.fleet.ready());
        self.tick += 1;
        if self.tick < world.end() {
            self.fleet.advance(self.tick);
            self.look(world);
        }
    }

    /// What was wanted and ready so far.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    fn look(&mut self, world: &World) {
        let complete = world.visible_bins(self.tick);
        let seen = self.history.values.len();
        self.history
            .values
            .extend_from_slice(&world.series().values[seen..complete]);
        self.list_pending(world);
    }

    fn list_pending(&mut self, world: &World) {
        let pending = self.fleet.pending();
        self.pending.clear();
        self.pending
            .extend(pending.map(|Pending { count, ready_at }| (count, world.time(ready_at))));
    }
}

/// Lives `scaler` through the run of `world`.
pub fn play(world: &World, scaler: &mut dyn Scaler) -> Run {
    let mut life = Life::new(world);
    while life.tick() < world.end() {
        if let Some(count) = scaler.decide(&life.view(world)) {
            life.want(world, count);
        }
        life.next(world);
    }
    life.run
}

#[cfg(test)]
mod tests;
