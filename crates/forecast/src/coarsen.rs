//! From fine bins to coarser ones.

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
