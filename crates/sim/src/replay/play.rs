//! A policy living through a world.

use foreshard_forecast::{Sample, Series};

use super::count::bounded;
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

/// The bins of a trace that may be seen, growing tick by tick, so that nothing ahead can be read even by mistake.
struct Visible {
    history: Series,
}

impl Visible {
    fn new(world: &World) -> Self {
        let series = world.series();
        Self {
            history: Series {
                start: series.start,
                step: series.step,
                values: Vec::with_capacity(series.values.len()),
            },
        }
    }

    fn at(&mut self, world: &World, tick: usize) -> &Series {
        let seen = self.history.values.len();
        let complete = world.visible_bins(tick);
        self.history
            .values
            .extend_from_slice(&world.series().values[seen..complete]);
        &self.history
    }
}

/// Lives `scaler` through the run of `world`.
pub fn play(world: &World, scaler: &mut dyn Scaler) -> Run {
    let mut fleet = Fleet::new(world.initial(), world.lag_ticks());
    let mut visible = Visible::new(world);
    let mut pending = Vec::new();
    let ticks = world.end() - world.run_start();
    let mut run = Run {
        wanted: Vec::with_capacity(ticks),
        ready: Vec::with_capacity(ticks),
    };
    for tick in world.run_start()..world.end() {
        fleet.advance(tick);
        pending.clear();
        pending.extend(
            fleet
                .pending()
                .map(|Pending { count, ready_at }| (count, world.time(ready_at))),
        );
        let decision = scaler.decide(&View {
            now: world.time(tick),
            history: visible.at(world, tick),
            seen: world.seen(tick),
            wanted: fleet.wanted(),
            ready: fleet.ready(),
            pending: &pending,
            lag_seconds: world.lag_seconds(),
            capacity: world.capacity(),
            min: super::MIN_INSTANCES,
            max: super::MAX_INSTANCES,
        });
        if let Some(count) = decision {
            fleet.want(tick, bounded(count));
        }
        run.wanted.push(fleet.wanted());
        run.ready.push(fleet.ready());
    }
    run
}

#[cfg(test)]
mod tests;
