//! The load that the cluster is under.

use std::path::Path;

use foreshard_forecast::Series;
use foreshard_history::trace::{self, ReadOptions};

use crate::reading;

/// CPU of an auto-scaling group, from the Numenta Anomaly Benchmark; see `examples/traces/NOTICE`.
const BUILT_IN: &[u8] = include_bytes!("../../../../../examples/traces/nab_asg_cpu.csv.gz");
const BUILT_IN_NAME: &str = "nab_asg_cpu";
/// Two weeks of history and two weeks to live through.
const BUILT_IN_SECONDS: i64 = 28 * 86_400;
/// The built-in trace is in percent of a CPU; a percent stands for this many queries a second.
const BUILT_IN_FACTOR: f64 = 100.0;

/// A load and what it is called.
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) series: Series,
    /// Queries a second for each unit of the series.
    pub(crate) factor: f64,
}

/// The load in `path`, or the one that is built in.
pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Load> {
    if let Some(path) = path {
        return Ok(Load {
            name: trace::name(path),
            series: reading::series(path)?,
            factor: 1.0,
        });
    }
    let series = trace::read_bytes(Path::new(BUILT_IN_NAME), BUILT_IN, &ReadOptions::default())?;
    let series = series.until(series.start + BUILT_IN_SECONDS);
    Ok(Load {
        name: BUILT_IN_NAME.to_owned(),
        series,
        factor: BUILT_IN_FACTOR,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_load_is_four_weeks_at_five_minutes() {
        let load = load(None).unwrap();
        assert_eq!(
            (load.series.step, load.series.values.len()),
            (300, 28 * 288)
        );
    }
}
