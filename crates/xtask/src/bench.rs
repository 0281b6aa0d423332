//! `cargo xtask bench`: the commands behind the README's figures.

use std::path::PathBuf;
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context as _, ensure};

use crate::{demo, shell};

mod crowd;

/// The traces that a figure is made from.
#[derive(Clone, Copy, Debug)]
enum Traces {
    /// All 24.
    All,
    /// The eight with a step of one minute.
    Minutes,
    /// Those with a step of five minutes.
    FiveMinutes,
    /// Those with a step of at most 30 minutes.
    HalfHours,
    /// Just this one.
    One(&'static str),
}

/// One figure, made by the binary.
struct Figure {
    name: &'static str,
    shows: &'static str,
    args: &'static [&'static str],
    /// What stands before each trace; empty: nothing.
    option: &'static str,
    traces: Traces,
}

const FIGURES: &[Figure] = &[
    Figure {
        name: "accuracy",
        shows: "error and coverage of the forecasts, 96 origins",
        args: &["evaluate", "--origins", "96"],
        option: "",
        traces: Traces::All,
    },
    Figure {
        name: "fit-age",
        shows: "the same with fits of 0, 1, 6 and 24 hours",
        args: &["evaluate", "--fit-age"],
        option: "",
        traces: Traces::All,
    },
    Figure {
        name: "lag-120",
        shows: "the default policy where instances take two minutes",
        args: &["backtest", "--lag", "120s"],
        option: "--trace",
        traces: Traces::Minutes,
    },
    Figure {
        name: "lag-600",
        shows: "the default policy where instances take ten minutes",
        args: &["backtest", "--lag", "600s"],
        option: "--trace",
        traces: Traces::FiveMinutes,
    },
    Figure {
        name: "lag-3600",
        shows: "the default policy where instances take an hour",
        args: &["backtest", "--lag", "3600s"],
        option: "--trace",
        traces: Traces::HalfHours,
    },
    Figure {
        name: "budget",
        shows: "what a smaller or larger budget costs",
        args: &["backtest", "--lag", "600s", "--sweep-budget"],
        option: "--trace",
        traces: Traces::One("nab_asg_cpu.csv.gz"),
    },
];

/// Figures about time, made by criterion: name and package.
const TIMES: &[(&str, &str)] = &[
    ("time-forecast", "foreshard-forecast"),
    ("time-policy", "foreshard-policy"),
];

/// Prefixes of the traces with longer steps; all others have five minutes.
const HOURLY: &[&str] = &["ms_api", "ms_purchase"];
const HALF_HOURLY: &[&str] = &["nab_nyc"];

/// Names a binary to be measured instead of one that is built now.
const BINARY_VARIABLE: &str = "FORESHARD_BINARY";

/// The figure of many policies on a real control plane.
const CROWD: &str = "crowd";

/// Runs the figures whose name contains `filter`, all without one.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    let wanted = |name: &str| filter.is_none_or(|part| name.contains(part));
    let figures: Vec<_> = FIGURES
        .iter()
        .filter(|figure| wanted(figure.name))
        .collect();
    let times: Vec<_> = TIMES.iter().filter(|(name, _)| wanted(name)).collect();
    let names = || {
        FIGURES
            .iter()
            .map(|figure| figure.name)
            .chain(TIMES.iter().map(|(name, _)| *name))
            .chain([CROWD])
    };
    ensure!(
        !figures.is_empty() || !times.is_empty() || wanted(CROWD),
        "no figure has such a name; there are {}",
        names().collect::<Vec<_>>().join(", ")
    );
    let foreshard = match std::env::var_os(BINARY_VARIABLE) {
        Some(binary) => PathBuf::from(binary),
        None => demo::build_release()?,
    };
    for figure in figures {
        let begun = begin(figure.name, figure.shows);
        let mut command = shell::program(&foreshard, figure.args);
        for trace in files(figure.traces)? {
            if !figure.option.is_empty() {
                command.arg(figure.option);
            }
            command.arg(trace);
        }
        shell::run(&mut command)?;
        end(figure.name, begun);
    }
    for (name, package) in times {
        let begun = begin(name, "milliseconds, by criterion");
        shell::run(&mut shell::cargo(["bench", "--package", package]))?;
        end(name, begun);
    }
    if wanted(CROWD) {
        let begun = begin(
            CROWD,
            "1,000 ScalingPolicies of 3 signals on a real control plane",
        );
        crowd::run(&foreshard)?;
        end(CROWD, begun);
    }
    Ok(())
}

fn begin(name: &str, shows: &str) -> Instant {
    println!("\n==> {name}: {shows}");
    Instant::now()
}

fn end(name: &str, begun: Instant) {
    println!("==> {name}: {:.1} s", begun.elapsed().as_secs_f64());
}

/// The files of a choice, sorted, as seen from the root.
fn files(traces: Traces) -> anyhow::Result<Vec<PathBuf>> {
    let folder = PathBuf::from(match traces {
        Traces::Minutes => "examples/traces/1min",
        _ => "examples/traces",
    });
    if let Traces::One(name) = traces {
        return Ok(vec![folder.join(name)]);
    }
    let entries = fs::read_dir(shell::root().join(&folder))
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .with_context(|| format!("failed to read {}", folder.display()))?;
    let names = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(".csv.gz") && is_among(name, traces))
        .collect();
    names.sort();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

fn is_among(name: &str, traces: Traces) -> bool {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match traces {
        Traces::FiveMinutes => !begins(HOURLY) && !begins(HALF_HOURLY),
        Traces::HalfHours => !begins(HOURLY),
        Traces::All | Traces::Minutes | Traces::One(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_have_the_traces_that_the_figures_speak_of() {
        for (traces, count) in [
            (Traces::All, 24),
            (Traces::Minutes, 8),
            (Traces::FiveMinutes, 20),
            (Traces::HalfHours, 21),
            (Traces::One("nab_asg_cpu.csv.gz"), 1),
        ] {
            assert_eq!(files(traces).unwrap().len(), count, "{traces:?}");
        }
    }
}
