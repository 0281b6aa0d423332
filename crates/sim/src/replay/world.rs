//! One trace at one lag: demand, what may be seen of it, and capacity.

use foreshard_forecast::{Sample, Series};

use super::count::{MIN_INSTANCES, SLACK, TARGET_UTILIZATION, bounded, ceil_count, percentile};
use super::options::{MAX_LAG_SECONDS, Options, ReplayError};

/// Seconds from tick to tick; ticks are whole minutes.
pub const TICK_SECONDS: i64 = 60;
/// How old the newest sample that a policy sees is, in ticks.
pub(crate) const METRIC_DELAY_TICKS: usize = 1;
/// How long the world settles before anything is scored, in ticks.
const SETTLING_TICKS: usize = 120;
/// At the run's 99.9th percentile of demand, this many instances run at [`TARGET_UTILIZATION`].
const PEAK_INSTANCES: f64 = 40.0;
const PEAK_PERCENTILE: f64 = 0.999;

/// One trace at one lag.
///
/// Ticks are counted from the first whole minute of the trace; the run covers those from [`World::run_start`] on.
pub struct World {
    series: Series,
    first_tick: i64,
    demand: Vec<f64>,
    /// Whether the trace's bin around the tick holds a value.
    live: Vec<bool>,
    run_start: usize,
    scored_start: usize,
    lag_ticks: usize,
    capacity: f64,
    seed: u64,
    /// `r*` at each tick of the run.
    required: Vec<u32>,
}

impl World {
    /// The world of `series` (load in work units per second) under `options`.
    ///
    /// # Errors
    /// When the trace is too short or empty, or no capacity follows from it.
    pub fn new(series: &Series, options: &Options) -> Result<Self, ReplayError> {
        check(series, options)?;
        let first_tick = ceil_to_tick(series.start);
        let ticks = usize::try_from((series.end() - first_tick + TICK_SECONDS - 1) / TICK_SECONDS)
            .unwrap_or(0);
        // The middle may lie on half a second, so twice the times are compared.
        let span = series.end() - series.start;
        let twice_ahead = (2 * series.start + span - 2 * first_tick).max(0);
        let run_start = (twice_ahead + 2 * TICK_SECONDS - 1) / (2 * TICK_SECONDS);
        let run_start = usize::try_from(run_start).unwrap_or(usize::MAX);
        let scored_start = run_start.saturating_add(SETTLING_TICKS);
        if scored_start >= ticks {
            return Err(ReplayError::TooShort { span_seconds: span });
        }
        let (demand, live) = demand_at_ticks(series, first_tick, ticks)?;
        let capacity = match options.capacity {
            Some(capacity) => capacity,
            None => derived_capacity(&demand[run_start..])?,
        };
        let required = demand[run_start..]
            .iter()
            .map(|demand| required(demand / capacity))
            .collect();
        Ok(Self {
            series: series.clone(),
            first_tick,
            demand,
            live,
            run_start,
            scored_start,
            lag_ticks: lag_ticks(options.lag_seconds),
            capacity,
            seed: options.seed,
            required,
        })
    }

    /// The first tick of the run.
    #[must_use]
    pub fn run_start(&self) -> usize {
        self.run_start
    }

    /// The first tick that is scored.
    #[must_use]
    pub fn scored_start(&self) -> usize {
        self.scored_start
    }

    /// The tick after the last.
    #[must_use]
    pub fn end(&self) -> usize {
        self.demand.len()
    }

    /// Unix seconds of a tick.
    #[must_use]
    pub fn time(&self, tick: usize) -> i64 {
        self.first_tick + TICK_SECONDS * tick as i64
    }

    /// Where the trace ends, in Unix seconds.
    #[must_use]
    pub fn trace_end(&self) -> i64 {
        self.series.end()
    }

    /// Step of the trace, in seconds.
    #[must_use]
    pub fn step_seconds(&self) -> i64 {
        self.series.step
    }

    /// From the order of an instance to its being ready, in ticks.
    #[must_use]
    pub fn lag_ticks(&self) -> usize {
        self.lag_ticks
    }

    /// From the order of an instance to its being ready, in seconds.
    #[must_use]
    pub fn lag_seconds(&self) -> i64 {
        self.lag_ticks as i64 * TICK_SECONDS
    }

    /// Load that one instance serves, in the trace's unit.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.capacity
    }

    /// Seed of the peer `crane`.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the lag may be judged on this trace: a live sample leaks some of the bin that follows, so a step must
    /// be at most half the lag.
    #[must_use]
    pub fn judged(&self) -> bool {
        2 * self.series.step <= self.lag_seconds()
    }

    /// Demand at a tick, in the trace's unit.
    #[must_use]
    pub fn demand(&self, tick: usize) -> f64 {
        self.demand[tick]
    }

    /// Demand `ticks_before` ticks before `tick`; the first one before the trace begins.
    pub(crate) fn demand_before(&self, tick: usize, ticks_before: usize) -> f64 {
        self.demand[tick.saturating_sub(ticks_before)]
    }

    /// Demand at every tick before `tick`.
    pub(crate) fn demand_until(&self, tick: usize) -> &[f64] {
        &self.demand[..tick]
    }

    /// Whether the tick lies in a bin of the trace that holds a value.
    pub(crate) fn is_live(&self, tick: usize) -> bool {
        self.live[tick]
    }

    /// The newest sample that a policy sees at a tick; none where it is missing.
    #[must_use]
    pub fn seen(&self, tick: usize) -> Option<Sample> {
        let at = tick.checked_sub(METRIC_DELAY_TICKS)?;
        self.live[at].then(|| Sample {
            at: self.time(at),
            value: self.demand[at],
        })
    }

    /// How many bins of the trace are complete and seen at a tick.
    #[must_use]
    pub fn visible_bins(&self, tick: usize) -> usize {
        let seen_to = self.time(tick) - METRIC_DELAY_TICKS as i64 * TICK_SECONDS;
        let bins = (seen_to - self.series.start).max(0) / self.series.step;
        (bins as usize).min(self.series.values.len())
    }

    /// The trace; a policy may see [`World::visible_bins`] of it.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// `r*` at a tick of the run: what the demand takes at 70 %, at least 2, without upper bound.
    #[must_use]
    pub fn required(&self, tick: usize) -> u32 {
        self.required[tick - self.run_start]
    }

    /// `r*` at each tick of the run.
    pub(crate) fn required_counts(&self) -> &[u32] {
        &self.required
    }

    /// The count with which the run starts, ready.
    #[must_use]
    pub fn initial(&self) -> u32 {
        bounded(self.required[0])
    }

    /// Whether the demand at a tick exceeds `share` of what `ready` instances serve.
    pub(crate) fn exceeds(&self, tick: usize, share: f64, ready: u32) -> bool {
        self.demand[tick] / self.capacity > share * f64::from(ready) + SLACK
    }

    /// Instances that a load takes at `utilization` of their capacity, within what a policy may want.
    pub(crate) fn count_at(&self, load: f64, utilization: f64) -> u32 {
        bounded(ceil_count(load / (utilization * self.capacity)))
    }
}

/// `r*` of a demand in instances.
fn required(instances: f64) -> u32 {
    ceil_count(instances / TARGET_UTILIZATION).max(MIN_INSTANCES)
}

fn check(series: &Series, options: &Options) -> Result<(), ReplayError> {
    if series.step < 1 {
        return Err(ReplayError::Step {
            step_seconds: series.step,
        });
    }
    if !(0..=MAX_LAG_SECONDS).contains(&options.lag_seconds) {
        return Err(ReplayError::Lag {
            lag_seconds: options.lag_seconds,
        });
    }
    match options.capacity {
        Some(capacity) if !(capacity.is_finite() && capacity > 0.0) => {
            Err(ReplayError::Capacity { capacity })
        }
        _ => Ok(()),
    }
}

/// A lag in whole ticks, rounded up.
pub(crate) fn lag_ticks(lag_seconds: i64) -> usize {
    usize::try_from((lag_seconds + TICK_SECONDS - 1) / TICK_SECONDS).unwrap_or(0)
}

fn ceil_to_tick(time: i64) -> i64 {
    -(-time).div_euclid(TICK_SECONDS) * TICK_SECONDS
}

fn derived_capacity(run: &[f64]) -> Result<f64, ReplayError> {
    let percentile = percentile(run, PEAK_PERCENTILE).ok_or(ReplayError::NoValues)?;
    let capacity = percentile / (PEAK_INSTANCES * TARGET_UTILIZATION);
    // `is_normal` also refuses loads so small that counts would lose their meaning.
    if capacity.is_normal() && capacity > 0.0 {
        Ok(capacity)
    } else {
        Err(ReplayError::NoLoad { percentile })
    }
}

/// Demand at each tick, on the straight line between the mid-points of the bins that hold a value, and whether the
/// bin around it holds one.
fn demand_at_ticks(
    series: &Series,
    first_tick: i64,
    ticks: usize,
) -> Result<(Vec<f64>, Vec<bool>), ReplayError> {
    let middle = |bin: usize| (bin as f64 + 0.5) * series.step as f64;
    let mut known = series
        .values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .map(|(bin, &value)| (middle(bin), value));
    let mut before = known.next().ok_or(ReplayError::NoValues)?;
    let mut after = before;
    let mut demand = Vec::with_capacity(ticks);
    let mut live = Vec::with_capacity(ticks);
    for tick in 0..ticks {
        let offset = first_tick - series.start + TICK_SECONDS * tick as i64;
        let at = offset as f64;
        while after.0 < at {
            before = after;
            match known.next() {
                Some(next) => after = next,
                None => break,
            }
        }
        demand.push(between(before, after, at));
        let bin = (offset / series.step) as usize;
        live.push(
            series
                .values
                .get(bin)
                .is_some_and(|value| value.is_finite()),
        );
    }
    Ok((demand, live))
}

/// The straight line from `before` to `after` at `at`, constant outside.
fn between(before: (f64, f64), after: (f64, f64), at: f64) -> f64 {
    if at >= after.0 {
        after.1
    } else if at <= before.0 {
        before.1
    } else {
        before.1 + (after.1 - before.1) * (at - before.0) / (after.0 - before.0)
    }
}

#[cfg(test)]
mod tests;
