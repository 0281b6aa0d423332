//! Reading a trace file with a progress bar, for a person who waits.

use std::path::Path;
use std::time::Duration;

use foreshard_forecast::Series;
use foreshard_history::trace::{self, ReadOptions};
use indicatif::{ProgressBar, ProgressStyle};

/// Reads `path`; the bar is on standard error, and only where that is a terminal.
pub(crate) fn series(path: &Path) -> anyhow::Result<Series> {
    let style = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {bar:40} {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0)
        .with_style(style)
        .with_message(format!("reading {}", path.display()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let series = trace::read(path, &ReadOptions::default(), &mut |read| {
        bar.set_length(read.bytes_total);
        bar.set_position(read.bytes);
    });
    bar.finish_and_clear();
    Ok(series?)
}
