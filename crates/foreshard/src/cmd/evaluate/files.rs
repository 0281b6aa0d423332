//! Every forecast issued, so that anybody can score it again.

use std::path::Path;

use foreshard_forecast::{Series, evaluate::TraceRun};
use jiff::Timestamp;

/// One row a bin: `trace,origin,timestamp,q50,q90,q99`.
pub(super) fn write_forecasts(
    path: &Path,
    names: &[&str],
    traces: &[(String, Series)],
    runs: &[TraceRun],
) -> anyhow::Result<()> {
    let mut out = csv::Writer::from_path(path)?;
    out.write_record(["trace", "origin", "timestamp", "q50", "q90", "q99"])?;
    for ((name, (_, series)), run) in names.iter().zip(traces).zip(runs) {
        for issue in &run.issues {
            let origin = moment(issue.at)?;
            for bin in 0..issue.truth.len() {
                let time = moment(issue.at + series.step * bin as i64)?;
                let quantiles = issue.paths.iter().map(|path| path[bin].to_string());
                let row = [(*name).to_owned(), origin.clone(), time].into_iter();
                out.write_record(row.chain(quantiles))?;
            }
        }
    }
    Ok(out.flush()?)
}

/// One row a window: `trace,origin,lead_seconds,window_seconds,q50,q90,q99,truth`; an unknown truth is empty.
pub(super) fn write_peaks(path: &Path, names: &[&str], runs: &[TraceRun]) -> anyhow::Result<()> {
    let mut out = csv::Writer::from_path(path)?;
    let header = [
        "trace",
        "origin",
        "lead_seconds",
        "window_seconds",
        "q50",
        "q90",
        "q99",
        "truth",
    ];
    out.write_record(header)?;
    for (name, run) in names.iter().zip(runs) {
        for issue in &run.issues {
            let origin = moment(issue.at)?;
            for peak in &issue.peaks {
                let known = peak.truth.is_finite();
                let truth = if known {
                    peak.truth.to_string()
                } else {
                    String::new()
                };
                let window = [peak.window.lead.to_string(), peak.window.window.to_string()];
                let row = [(*name).to_owned(), origin.clone()]
                    .into_iter()
                    .chain(window);
                let quantiles = peak.values.iter().map(f64::to_string);
                out.write_record(row.chain(quantiles).chain([truth]))?;
            }
        }
    }
    Ok(out.flush()?)
}

/// RFC 3339 in UTC.
fn moment(seconds: i64) -> anyhow::Result<String> {
    Ok(Timestamp::from_second(seconds)?.to_string())
}
