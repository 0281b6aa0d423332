//! Worlds for tests.

use foreshard_forecast::Series;

use crate::replay::{Options, World};

/// Ticks of history, and ticks that the world settles, in [`scripted`].
pub(crate) const HISTORY: usize = 600;
pub(crate) const SETTLING: usize = 120;

/// A world whose demand is `calm` up to the first scored tick and then `script`, in instances (one serves 1).
///
/// Bins are a minute long and begin on half minutes, so that their mid-points are ticks and demand is what is written.
pub(crate) fn scripted(lag_seconds: i64, calm: f64, script: &[f64]) -> World {
    let run = SETTLING + script.len();
    let history = HISTORY.max(run);
    // History is as long as the run, so that the run begins in the middle.
    let mut values = vec![calm; 2 * history];
    values.truncate(history + SETTLING);
    values.extend_from_slice(script);
    values.resize(2 * history, script.last().copied().unwrap_or(calm));
    world(lag_seconds, values)
}

/// A world whose demand at tick `i` is `values[i]`, in instances.
pub(crate) fn world(lag_seconds: i64, values: Vec<f64>) -> World {
    let series = Series {
        start: 30,
        step: 60,
        values,
    };
    World::new(&series, &options(lag_seconds)).expect("a world")
}

/// Instances that serve 1.
pub(crate) fn options(lag_seconds: i64) -> Options {
    Options {
        lag_seconds,
        capacity: Some(1.0),
        seed: 1,
    }
}

/// Load that looks like a day: a wave with noise from a fixed generator, in instances.
pub(crate) fn daily(step: i64, bins: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..bins)
        .map(|bin| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
            let phase = (bin as i64 * step) as f64 / 86_400.0 * std::f64::consts::TAU;
            18.0 - 10.0 * phase.cos() + 2.0 * noise
        })
        .collect()
}
