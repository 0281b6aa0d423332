//! What is printed.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use foreshard_forecast::evaluate::{
    Group, PathSummary, PeakSummary, TraceRun, summarise_paths, summarise_peaks,
};
use serde::Serialize;

use crate::output::Format;

/// Hours over which forecasts are scored, and how they are called.
const SPANS: [(usize, &str); 2] = [(1, "60 min"), (24, "24 h")];

/// Accuracy of every series and of groups of them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    series: Vec<Row>,
    groups: Vec<Row>,
    peaks: Vec<Peaks>,
    milliseconds: Milliseconds,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    series: usize,
    span_hours: usize,
    /// Relative to seasonal-naive-week, as the pinball losses.
    mae: f64,
    pinball_p50: f64,
    pinball_p90: f64,
    pinball_p99: f64,
    coverage_p90: f64,
    coverage_p90_worst: f64,
    coverage_p99: f64,
    coverage_p99_worst: f64,
    reliable_share: f64,
    milliseconds: f64,
}

#[derive(Debug, Serialize)]
struct Peaks {
    lead_seconds: i64,
    window_seconds: i64,
    coverage_p90: f64,
    coverage_p90_worst: f64,
    coverage_p99: f64,
    envelope_coverage_p90: f64,
    envelope_coverage_p90_worst: f64,
    envelope_coverage_p99: f64,
    /// Over the envelope's.
    pinball_p50: f64,
    pinball_p90: f64,
    pinball_p99: f64,
}

/// Of fit and prediction together, and of the prediction alone.
#[derive(Debug, Serialize)]
struct Milliseconds {
    fit_and_predict_median: f64,
    fit_and_predict_max: f64,
    predict_median: f64,
}

impl Report {
    pub(super) fn new(names: &[&str], runs: &[TraceRun]) -> Self {
        let single = names.iter().zip(runs).flat_map(|(name, run)| {
            let one = std::slice::from_ref(run);
            SPANS
                .into_iter()
                .filter_map(move |(hours, _)| row(name, one, hours, Group::All))
        });
        let groups = [
            ("all", Group::All),
            ("history under 10 days", Group::Short),
            ("history of 10 days and more", Group::Long),
        ];
        let groups = SPANS.into_iter().flat_map(|(hours, _)| {
            groups
                .iter()
                .filter_map(move |(name, group)| row(name, runs, hours, *group))
        });
        Self {
            series: single.collect(),
            groups: groups.collect(),
            peaks: summarise_peaks(runs).iter().map(Peaks::of).collect(),
            milliseconds: Milliseconds::of(runs),
        }
    }
}

fn row(name: &str, runs: &[TraceRun], hours: usize, group: Group) -> Option<Row> {
    let summary: PathSummary = summarise_paths(runs, hours, group)?;
    let issues = || {
        runs.iter()
            .flat_map(|r| &r.issues)
            .filter(|i| group.holds(i))
    };
    let count = issues().count() as f64;
    Some(Row {
        name: name.to_owned(),
        series: summary.series,
        span_hours: hours,
        mae: summary.mae,
        pinball_p50: summary.pinball[0],
        pinball_p90: summary.pinball[1],
        pinball_p99: summary.pinball[2],
        coverage_p90: summary.coverage_p90,
        coverage_p90_worst: summary.coverage_p90_worst,
        coverage_p99: summary.coverage_p99,
        coverage_p99_worst: summary.coverage_p99_worst,
        reliable_share: issues().filter(|i| i.reliable).count() as f64 / count,
        milliseconds: issues().map(|i| i.fit_ms).sum::<f64>() / count,
    })
}

impl Peaks {
    fn of(summary: &PeakSummary) -> Self {
        Self {
            lead_seconds: summary.window.lead,
            window_seconds: summary.window.window,
            coverage_p90: summary.calibrated.coverage_p90,
            coverage_p90_worst: summary.calibrated.coverage_p90_worst,
            coverage_p99: summary.calibrated.coverage_p99,
            envelope_coverage_p90: summary.envelope.coverage_p90,
            envelope_coverage_p90_worst: summary.envelope.coverage_p90_worst,
            envelope_coverage_p99: summary.envelope.coverage_p99,
            pinball_p50: summary.pinball_ratio[0],
            pinball_p90: summary.pinball_ratio[1],
            pinball_p99: summary.pinball_ratio[2],
        }
    }
}

impl Milliseconds {
    fn of(runs: &[TraceRun]) -> Self {
        let sorted = |of: fn(&foreshard_forecast::evaluate::Issue) -> f64| {
            let mut all: Vec<f64> = runs.iter().flat_map(|r| r.issues.iter().map(of)).collect();
            all.sort_unstable_by(f64::total_cmp);
            all
        };
        let (both, predict) = (sorted(|i| i.fit_ms), sorted(|i| i.predict_ms));
        let middle = |all: &[f64]| all.get(all.len() / 2).copied().unwrap_or(f64::NAN);
        Self {
            fit_and_predict_median: middle(&both),
            fit_and_predict_max: both.last().copied().unwrap_or(f64::NAN),
            predict_median: middle(&predict),
        }
    }
}

pub(super) fn print(report: &Report, output: Format) -> anyhow::Result<()> {
    if output == Format::Json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    println!("{}", accuracy_table(report));
    println!("MAE and pinball losses relative to repeating the week before: below 1 is better.\n");
    println!("{}", peaks_table(&report.peaks));
    println!("Window maxima; losses relative to the largest quantile of single bins.\n");
    let spent = &report.milliseconds;
    println!(
        "Fit and prediction: median {:.1} ms, longest {:.1} ms; prediction alone: median {:.2} ms",
        spent.fit_and_predict_median, spent.fit_and_predict_max, spent.predict_median
    );
    Ok(())
}

fn accuracy_table(report: &Report) -> Table {
    let mut table = table(&[
        "series",
        "over",
        "MAE",
        "P50",
        "P90",
        "P99",
        "below P90",
        "worst",
        "below P99",
        "worst",
        "trusted",
        "ms",
    ]);
    let spans = |hours: usize| {
        SPANS
            .iter()
            .find(|(h, _)| *h == hours)
            .map_or("", |(_, name)| name)
    };
    for row in report.series.iter().chain(&report.groups) {
        table.add_row([
            row.name.clone(),
            spans(row.span_hours).to_owned(),
            ratio(row.mae),
            ratio(row.pinball_p50),
            ratio(row.pinball_p90),
            ratio(row.pinball_p99),
            percent(row.coverage_p90),
            percent(row.coverage_p90_worst),
            percent(row.coverage_p99),
            percent(row.coverage_p99_worst),
            percent(row.reliable_share),
            format!("{:.1}", row.milliseconds),
        ]);
    }
    align(&mut table, 2);
    table
}

fn peaks_table(peaks: &[Peaks]) -> Table {
    let mut table = table(&[
        "lead",
        "window",
        "below P90",
        "worst",
        "below P99",
        "P50",
        "P90",
        "P99",
        "single bins: below P90",
        "worst",
        "below P99",
    ]);
    for peak in peaks {
        table.add_row([
            format!("{} s", peak.lead_seconds),
            format!("{} s", peak.window_seconds),
            percent(peak.coverage_p90),
            percent(peak.coverage_p90_worst),
            percent(peak.coverage_p99),
            ratio(peak.pinball_p50),
            ratio(peak.pinball_p90),
            ratio(peak.pinball_p99),
            percent(peak.envelope_coverage_p90),
            percent(peak.envelope_coverage_p90_worst),
            percent(peak.envelope_coverage_p99),
        ]);
    }
    align(&mut table, 0);
    table
}

/// Accuracy by age of the fit.
#[derive(Debug, Serialize)]
pub(super) struct FitAge {
    fit_age_hours: i64,
    span_hours: usize,
    mae: f64,
    pinball_p90: f64,
    pinball_p99: f64,
    coverage_p90: f64,
    coverage_p90_worst: f64,
}

pub(super) fn fit_ages(runs: &[(i64, Vec<TraceRun>)]) -> Vec<FitAge> {
    let ages = runs.iter().flat_map(|(age, runs)| {
        SPANS.into_iter().filter_map(move |(hours, _)| {
            let summary = summarise_paths(runs, hours, Group::All)?;
            Some(FitAge {
                fit_age_hours: *age,
                span_hours: hours,
                mae: summary.mae,
                pinball_p90: summary.pinball[1],
                pinball_p99: summary.pinball[2],
                coverage_p90: summary.coverage_p90,
                coverage_p90_worst: summary.coverage_p90_worst,
            })
        })
    });
    ages.collect()
}

pub(super) fn print_fit_ages(ages: &[FitAge], output: Format) -> anyhow::Result<()> {
    if output == Format::Json {
        println!("{}", serde_json::to_string_pretty(ages)?);
        return Ok(());
    }
    let mut table = table(&["fit age", "over", "MAE", "P90", "P99", "below P90", "worst"]);
    for age in ages {
        table.add_row([
            format!("{} h", age.fit_age_hours),
            format!("{} h", age.span_hours),
            ratio(age.mae),
            ratio(age.pinball_p90),
            ratio(age.pinball_p99),
            percent(age.coverage_p90),
            percent(age.coverage_p90_worst),
        ]);
    }
    align(&mut table, 0);
    println!("{table}");
    Ok(())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table
}

/// Numbers to the right, from column `from` on.
fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn ratio(value: f64) -> String {
    format!("{value:.3}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
