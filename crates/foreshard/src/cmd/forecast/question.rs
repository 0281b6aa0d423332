//! What was asked, checked against itself and against the file.

use std::path::Path;

use anyhow::bail;
use foreshard_forecast::{PeakWindow, Series};
use jiff::Timestamp;

use super::{Args, ensure_few};

/// A question that can be answered, if the file reaches far enough.
pub(super) struct Question {
    at: Option<i64>,
    /// Seconds.
    pub(super) horizon: i64,
    /// Ascending, each once.
    pub(super) levels: Vec<f64>,
    /// Each once, in the order asked.
    pub(super) peaks: Vec<PeakWindow>,
}

impl Question {
    pub(super) fn parse(args: &Args) -> anyhow::Result<Self> {
        let mut levels = args.quantiles.clone();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        ensure_few(levels.len(), "quantile")?;
        let mut peaks: Vec<PeakWindow> = Vec::new();
        for peak in &args.peaks {
            if !peaks.contains(peak) {
                peaks.push(*peak);
            }
        }
        ensure_few(peaks.len(), "peak")?;
        Ok(Self {
            at: args.at,
            horizon: args.horizon,
            levels,
            peaks,
        })
    }

    /// The moment of the forecast, in Unix seconds: within the file and between two of its bins.
    pub(super) fn moment(&self, path: &Path, series: &Series) -> anyhow::Result<i64> {
        let (start, end, step) = (series.start, series.end(), series.step);
        let Some(at) = self.at else {
            return Ok(end);
        };
        if at <= start || at > end {
            bail!(
                "--at {}: outside {}, which holds {} to {}; give a time after its first sample and not after its end",
                show(at),
                path.display(),
                show(start),
                show(end)
            );
        }
        let within = (at - start) % step;
        if within != 0 {
            let (before, after) = (at - within, at - within + step);
            bail!(
                "--at {}: within a bin of {step} s, which is not known before it ends; give {} or {}",
                show(at),
                show(before),
                show(after)
            );
        }
        Ok(at)
    }
}

/// Unix seconds as people write them, in UTC.
pub(super) fn show(time: i64) -> String {
    Timestamp::from_second(time).map_or_else(
        |_| format!("{time} (Unix seconds)"),
        |time| time.to_string(),
    )
}
