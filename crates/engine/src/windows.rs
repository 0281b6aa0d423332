//! What really happened in a window.

use foreshard_forecast::{PeakWindow, Series};

/// The maximum of the bins that lie at least partly in a window issued at `at`; none where one of them is unknown.
pub(crate) fn maximum(series: &Series, at: i64, window: PeakWindow) -> Option<f64> {
    let from = at + window.lead;
    let to = (from + window.window).max(from + 1);
    let first = (from - series.start).div_euclid(series.step);
    let last = (to - 1 - series.start).div_euclid(series.step);
    let bins = usize::try_from(first).ok()?..=usize::try_from(last).ok()?;
    let bins = series.values.get(bins)?;
    bins.iter().try_fold(f64::NEG_INFINITY, |most, &bin| {
        (!bin.is_nan()).then(|| most.max(bin))
    })
}
