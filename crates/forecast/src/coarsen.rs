//! From fine bins to coarser ones.

use std::ops::Range;

use crate::series::Series;

/// The series in bins of `step`, a multiple of its own, aligned to its beginning; a bin is known if half of it is.
/// An incomplete last bin is left out.
pub(crate) fn to_step(series: &Series, step: i64) -> Series {
    let factor = (step / series.step.max(1)).max(1) as usize;
    if factor == 1 {
        return series.clone();
    }
    let mean = |chunk: &[f64]| {
        let known: Vec<f64> = chunk.iter().copied().filter(|v| v.is_finite()).collect();
        let count = known.len() as f64;
        if 2 * known.len() >= factor {
            known.iter().map(|v| v / count).sum()
        } else {
            f64::NAN
        }
    };
    Series {
        start: series.start,
        step,
        values: series.values.chunks_exact(factor).map(mean).collect(),
    }
}

/// Which of the `bins` bins of `step` from `start` on `series` has in full, and which of its own they are made of.
pub(crate) fn covered(
    series: &Series,
    start: i64,
    step: i64,
    bins: usize,
) -> (Range<usize>, Range<usize>) {
    let fine = series.step.max(1);
    let factor = (step / fine).max(1) as usize;
    let first = (series.start - start + step - 1).div_euclid(step).max(0) as usize;
    let from = (start + step * first as i64 - series.start).div_euclid(fine) as usize;
    let given = series.values.len().saturating_sub(from) / factor;
    let count = given.min(bins.saturating_sub(first));
    let first = first.min(bins);
    let from = from.min(series.values.len());
    (first..first + count, from..from + count * factor)
}
