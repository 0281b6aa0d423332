//! Yesterday's load, scaled by how today compares.

use super::super::count::TARGET_UTILIZATION;
use super::super::window::maximum_ahead;
use super::super::world::{METRIC_DELAY_TICKS, TICK_SECONDS, World};

const DAY_TICKS: usize = (86_400 / TICK_SECONDS) as usize;
/// How many ticks today and yesterday are compared over.
const COMPARED_TICKS: usize = (3600 / TICK_SECONDS) as usize;
/// Between what today may be of yesterday.
const LOWEST_RATIO: f64 = 0.25;
const HIGHEST_RATIO: f64 = 4.0;

/// The counts for the maximum of yesterday's load over `[t, t + lag + 60]`, times today's ratio, at 70 %.
pub(super) fn wanted(world: &World) -> Vec<u32> {
    let ticks = world.run_start()..world.end();
    let ahead = world.lag_ticks() + METRIC_DELAY_TICKS;
    let yesterday: Vec<f64> = (ticks.start..ticks.end + ahead)
        .map(|tick| world.demand_before(tick, DAY_TICKS))
        .collect();
    let peaks = maximum_ahead(&yesterday, ahead);
    ticks
        .zip(peaks)
        .map(|(tick, peak)| world.count_at(peak * ratio(world, tick), TARGET_UTILIZATION))
        .collect()
}

/// Today's live samples of the last hour over yesterday's load at the same times.
fn ratio(world: &World, tick: usize) -> f64 {
    let end = tick - METRIC_DELAY_TICKS;
    let (mut today, mut yesterday) = (0.0, 0.0);
    for at in (end + 1).saturating_sub(COMPARED_TICKS)..=end {
        if world.is_live(at) {
            today += world.demand(at);
            yesterday += world.demand_before(at, DAY_TICKS);
        }
    }
    if yesterday > 0.0 {
        (today / yesterday).clamp(LOWEST_RATIO, HIGHEST_RATIO)
    } else if today > 0.0 {
        HIGHEST_RATIO
    } else {
        1.0
    }
}
