//! `foreshard evaluate`.

mod files;
mod report;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use foreshard_forecast::{
    Series,
    evaluate::{Protocol, TraceRun, run as issue_all},
};
use foreshard_history::trace;
use indicatif::{ProgressBar, ProgressStyle};

use self::report::Report;
use crate::{output::Format, reading, zone};

/// Ages of the fit that `--fit-age` compares, in hours.
const FIT_AGES_HOURS: [i64; 4] = [0, 1, 6, 24];

/// Measure how well recorded loads would have been forecast.
///
/// From origins spread evenly over the tail of each series, with at most 28 days of history, the next 24 hours are
/// forecast and scored: mean absolute error and pinball loss over the first hour and the whole day, relative to
/// repeating the week before (below 1 is better; the mean over series is geometric), and how many truths lay below the
/// P90 and P99. Maxima over windows ahead are scored beside the largest quantile of the window's single bins.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Trace files, csv or csv.gz with the columns timestamp and value; each holds at least 8 days.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Origins per series.
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    origins: u32,
    /// Write every forecast issued: trace,origin,timestamp,q50,q90,q99.
    #[arg(long, value_name = "OUT.csv")]
    forecasts: Option<PathBuf>,
    /// Write every window maximum issued: trace,origin,lead_seconds,window_seconds,q50,q90,q99,truth.
    #[arg(long, value_name = "OUT.csv")]
    peaks: Option<PathBuf>,
    /// Time zone of the people behind the load, for days and clock changes, e.g. Europe/Berlin.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
    /// Compare fits that are 0, 1, 6 and 24 hours old when they predict.
    #[arg(long, conflicts_with_all = ["forecasts", "peaks"])]
    fit_age: bool,
}

pub(crate) fn run(args: Args, output: Format) -> anyhow::Result<ExitCode> {
    let traces = read(&args.files)?;
    let origins = args.origins as usize;
    if args.fit_age {
        let runs: anyhow::Result<Vec<(i64, Vec<TraceRun>)>> = FIT_AGES_HOURS
            .into_iter()
            .map(|hours| {
                let protocol = Protocol {
                    origins,
                    fit_age: 3600 * hours,
                    ..Protocol::default()
                };
                Ok((hours, evaluate(&traces, &protocol, &args.timezone)?))
            })
            .collect();
        report::print_fit_ages(&report::fit_ages(&runs?), output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let protocol = Protocol {
        origins,
        ..Protocol::default()
    };
    let runs = evaluate(&traces, &protocol, &args.timezone)?;
    let names: Vec<&str> = traces.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(path) = &args.forecasts {
        files::write_forecasts(path, &names, &traces, &runs)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &args.peaks {
        files::write_peaks(path, &names, &runs)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    report::print(&Report::new(&names, &runs), output)?;
    Ok(ExitCode::SUCCESS)
}

/// Names and series; every file is read before the first is evaluated, so that a bad one is told at once.
fn read(files: &[PathBuf]) -> anyhow::Result<Vec<(String, Series)>> {
    let read = |path: &PathBuf| {
        let series = reading::series(path)?;
        long_enough(path, &series)?;
        Ok((trace::name(path), series))
    };
    files.iter().map(read).collect()
}

fn long_enough(path: &Path, series: &Series) -> anyhow::Result<()> {
    let days = (series.end() - series.start) as f64 / 86_400.0;
    anyhow::ensure!(
        days >= 8.0,
        "{}: {days:.1} days are too short to evaluate; give at least 8, a week of history and a day to score",
        path.display()
    );
    anyhow::ensure!(
        series.step <= 3600,
        "{}: a step of {} s is too coarse to evaluate; give at most 3600 s, an hour ahead is scored",
        path.display(),
        series.step
    );
    Ok(())
}

fn evaluate(
    traces: &[(String, Series)],
    protocol: &Protocol,
    timezone: &str,
) -> anyhow::Result<Vec<TraceRun>> {
    let style = "{bar:40} {pos}/{len} origins, {eta} left: {msg}";
    let bar = ProgressBar::new((traces.len() * protocol.origins) as u64)
        .with_style(ProgressStyle::with_template(style)?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let began = Instant::now();
    let watch = || began.elapsed().as_secs_f64() * 1e3;
    let runs = traces.iter().map(|(name, series)| {
        bar.set_message(name.clone());
        let calendar = zone::calendar(timezone, series.start, series.end())?;
        Ok(issue_all(series, &calendar, protocol, &watch, &mut || {
            bar.inc(1)
        }))
    });
    let runs: anyhow::Result<Vec<TraceRun>> = runs.collect();
    bar.finish_and_clear();
    runs
}
