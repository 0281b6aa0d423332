//! The DSP predictor of gocrane/crane, restated: the low-passed last period, repeated.
//!
//! It predicts only when a periodogram and the autocorrelation agree on a period of exactly a day or a week.

mod filter;
mod period;

use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use super::super::count::{MIN_INSTANCES, TARGET_UTILIZATION};
use super::super::window::maximum_ahead;
use super::super::world::{TICK_SECONDS, World};

const DAY_SECONDS: i64 = 86_400;
const HISTORY_DAYS: usize = 15;
/// How long a fit is used, in ticks.
const REFIT_TICKS: usize = (12 * 3600 / TICK_SECONDS) as usize;
/// How far ahead the served maximum reaches, in seconds.
const AHEAD_SECONDS: i64 = 3600;
/// Fewer bins a day have no period that the filter could keep.
const FEWEST_BINS_A_DAY: usize = 8;

/// The counts for the predicted maximum over the bins of `[t, t + 3600]`, at 70 %; the fewest where there is no
/// prediction.
pub(super) fn wanted(world: &World) -> Vec<u32> {
    let ticks: Vec<usize> = (world.run_start()..world.end()).collect();
    let step = world.step_seconds();
    let bins_a_day = (DAY_SECONDS / step) as usize;
    if DAY_SECONDS % step != 0 || bins_a_day < FEWEST_BINS_A_DAY {
        return vec![MIN_INSTANCES; ticks.len()];
    }
    let mut random = Pcg64Mcg::seed_from_u64(world.seed());
    let mut counts = Vec::with_capacity(ticks.len());
    for served in ticks.chunks(REFIT_TICKS) {
        let complete = world.visible_bins(served[0]);
        let known = recent(
            &world.series().values[..complete],
            HISTORY_DAYS * bins_a_day,
        );
        match last_period(&known, bins_a_day, &mut random) {
            Some(period) => counts.extend(serve(world, served, complete, &period)),
            None => counts.resize(counts.len() + served.len(), MIN_INSTANCES),
        }
    }
    counts
}

/// The counts at the ticks `served` when `period` repeats from bin `first` on.
fn serve(world: &World, served: &[usize], first: usize, period: &[f64]) -> Vec<u32> {
    let bin = |time: i64| ((time - world.series().start) / world.step_seconds()) as usize - first;
    let (from, to) = (world.time(served[0]), world.time(served[served.len() - 1]));
    let repeated: Vec<f64> = period
        .iter()
        .copied()
        .cycle()
        .take(bin(to + AHEAD_SECONDS) + 1)
        .collect();
    // From the bin of a tick on, the bin an hour later is as many bins on, or one less, by where in its bin it lies.
    let whole = (AHEAD_SECONDS / world.step_seconds()) as usize;
    let (short, long) = (
        maximum_ahead(&repeated, whole),
        maximum_ahead(&repeated, whole + 1),
    );
    debug_assert!(bin(from) < repeated.len());
    served
        .iter()
        .map(|&tick| {
            let now = world.time(tick);
            let at = bin(now);
            let maxima = if bin(now + AHEAD_SECONDS) - at == whole {
                &short
            } else {
                &long
            };
            world.count_at(maxima[at], TARGET_UTILIZATION)
        })
        .collect()
}

/// The last `count` values with gaps bridged by straight lines, constant at the ends; empty if there are none.
fn recent(values: &[f64], count: usize) -> Vec<f64> {
    let from = values.len().saturating_sub(count);
    let mut before = values[..from]
        .iter()
        .rposition(|value| value.is_finite())
        .map(|bin| (bin, values[bin]));
    let mut filled: Vec<f64> = Vec::with_capacity(values.len() - from);
    for (bin, &value) in values
        .iter()
        .enumerate()
        .skip(from)
        .filter(|(_, value)| value.is_finite())
    {
        let (start, level) = before.unwrap_or((bin, value));
        for gap in from + filled.len()..bin {
            let passed = (gap as f64 - start as f64) / (bin as f64 - start as f64);
            filled.push(if start < bin {
                level + (value - level) * passed
            } else {
                value
            });
        }
        filled.push(value);
        before = Some((bin, value));
    }
    if let Some((_, last)) = before {
        filled.resize(values.len() - from, last);
    }
    filled
}

/// The filtered last period of `known`, if there is one.
fn last_period(known: &[f64], bins_a_day: usize, random: &mut Pcg64Mcg) -> Option<Vec<f64>> {
    let unit = [7 * bins_a_day, bins_a_day]
        .into_iter()
        .find(|unit| known.len() / unit > 1)?;
    let whole = &known[known.len() - known.len() / unit * unit..];
    let period = period::find(whole, bins_a_day, random)
        .filter(|&period| period == bins_a_day || period == 7 * bins_a_day)?;
    if known.len() / period < 2 {
        return None;
    }
    let whole = &known[known.len() - known.len() / period * period..];
    let filter = filter::best(whole, period, bins_a_day);
    Some(filter.last_period(whole, period, bins_a_day))
}

#[cfg(test)]
mod tests;
