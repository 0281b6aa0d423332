//! `cargo xtask bench`: the commands behind the README's figures.

use std::time::Instant;

use anyhow::ensure;

use crate::{demo, shell};

/// Name, what it shows, and the arguments of `foreshard`; a shell expands the patterns.
const FIGURES: &[(&str, &str, &str)] = &[
    (
        "accuracy",
        "forecast accuracy on the 24 traces",
        "evaluate examples/traces/*.csv.gz --origins 96",
    ),
    (
        "lag-120",
        "default policy at a lag of 120 s",
        "backtest --trace examples/traces/1min/*.csv.gz --lag 120s",
    ),
    (
        "lag-600",
        "default policy at a lag of 600 s",
        "backtest --trace examples/traces/*.csv.gz --lag 600s",
    ),
    (
        "lag-3600",
        "default policy at a lag of one hour",
        "backtest --trace examples/traces/*.csv.gz --lag 3600s",
    ),
];

/// Runs the figures whose name contains `filter`, all without one.
pub(crate) fn run(filter: Option<&str>) -> anyhow::Result<()> {
    let chosen: Vec<_> = FIGURES
        .iter()
        .filter(|(name, ..)| filter.is_none_or(|part| name.contains(part)))
        .collect();
    let names: Vec<_> = FIGURES.iter().map(|(name, ..)| *name).collect();
    ensure!(
        !chosen.is_empty(),
        "no figure has such a name; there are {}",
        names.join(", ")
    );
    let foreshard = demo::build_release()?;
    for (name, what, args) in chosen {
        println!("\n==> {name}: {what}");
        let begun = Instant::now();
        let line = format!("exec '{}' {args}", foreshard.display());
        shell::run(&mut shell::program("sh", ["-c", &line]))?;
        println!("==> {name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    Ok(())
}
