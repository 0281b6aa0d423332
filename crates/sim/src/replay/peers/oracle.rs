//! Policies that know the load: a fixed count, and two that see the future.

use super::super::count::{MIN_INSTANCES, TARGET_UTILIZATION, bounded, ceil_count, percentile};
use super::super::window::{TrailingMax, maximum_ahead};
use super::super::world::{TICK_SECONDS, World};
use super::hpa::STABILIZATION_SECONDS;

const PEAK_PERCENTILE: f64 = 0.999;

/// `static`: what the history half's 99.9th percentile takes at 70 %, always.
pub(super) fn fixed(world: &World) -> Vec<u32> {
    let history = world.demand_until(world.run_start());
    let count = percentile(history, PEAK_PERCENTILE).map_or(MIN_INSTANCES, |peak| {
        world.count_at(peak, TARGET_UTILIZATION)
    });
    vec![count; world.end() - world.run_start()]
}

/// `foresight`: the most that the next lag takes at 70 %, decreases held for 300 s.
pub(super) fn foresight(world: &World) -> Vec<u32> {
    let mut held = TrailingMax::new((STABILIZATION_SECONDS / TICK_SECONDS) as usize);
    maximum_ahead(world.required_counts(), world.lag_ticks())
        .into_iter()
        .enumerate()
        .map(|(now, count)| {
            held.push(now, count);
            bounded(held.get(now).unwrap_or(count))
        })
        .collect()
}

/// `bound`: the most that the next lag takes at 100 %.
pub(super) fn bound(world: &World) -> Vec<u32> {
    let least: Vec<u32> = (world.run_start()..world.end())
        .map(|tick| bounded(ceil_count(world.demand(tick) / world.capacity())))
        .collect();
    maximum_ahead(&least, world.lag_ticks())
}
