//! `foreshard policy test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use foreshard_decide::contract::Context;
use foreshard_policy::{Evaluation, Failure, Host, Log, Module};
use serde::Serialize;
use serde_json::Value;

use super::difference::differences;
use crate::bound::{host, load};
use crate::output::{self, Format, NOT_GOOD};

const CONTEXT: &str = "context.json";
const VERDICT: &str = "verdict.json";

/// What to test.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A component's file, or `builtin:NAME`.
    policy: String,
    /// A directory with `context.json` and `verdict.json`, or one with several such directories.
    #[arg(long)]
    fixture: PathBuf,
    /// Write what the policy answers as the expected verdicts.
    #[arg(long)]
    bless: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Same,
    Different,
    Blessed,
}

#[derive(Debug, Serialize)]
struct Tested {
    fixture: String,
    outcome: Outcome,
    differences: Vec<String>,
    finding: Option<Failure>,
    fuel_used: u64,
    memory_bytes: usize,
    micros: f64,
    log: Log,
}

pub(super) fn run(args: &Args, output: Format) -> anyhow::Result<ExitCode> {
    let host = host()?;
    let module = load(&host, &args.policy)?;
    let mut tested = Vec::new();
    for directory in fixtures(&args.fixture)? {
        tested.push(test(&host, &module, &directory, args.bless)?);
    }
    match output {
        Format::Json => output::json(&tested)?,
        Format::Table => output::text(&table(&tested))?,
    }
    let good = tested.iter().all(|one| one.outcome != Outcome::Different);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_GOOD)
    })
}

/// The directory itself, or the ones in it that have a context, sorted.
fn fixtures(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if directory.join(CONTEXT).is_file() {
        return Ok(vec![directory.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?
    {
        let path = entry?.path();
        if path.join(CONTEXT).is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!(
            "{} has no fixture: a directory with {CONTEXT} and {VERDICT}",
            directory.display()
        );
    }
    found.sort();
    Ok(found)
}

fn test(host: &Host, module: &Module, directory: &Path, bless: bool) -> anyhow::Result<Tested> {
    let path = directory.join(CONTEXT);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let context: Context =
        serde_json::from_str(&text).with_context(|| format!("{} is no context", path.display()))?;
    let evaluation = host.evaluate(module, &context);
    let got = serde_json::to_value(&evaluation.verdict)?;
    let path = directory.join(VERDICT);
    let (outcome, differences) = if bless {
        let text = serde_json::to_string_pretty(&got)? + "\n";
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        (Outcome::Blessed, Vec::new())
    } else {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("reading {} (`--bless` writes it)", path.display()))?;
        let expected: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        let differences = differences(&expected, &got);
        (
            if differences.is_empty() {
                Outcome::Same
            } else {
                Outcome::Different
            },
            differences,
        )
    };
    Ok(tested(directory, outcome, differences, evaluation))
}

fn tested(
    directory: &Path,
    outcome: Outcome,
    differences: Vec<String>,
    evaluation: Evaluation,
) -> Tested {
    let name = directory.file_name().unwrap_or(directory.as_os_str());
    Tested {
        fixture: name.to_string_lossy().into_owned(),
        outcome,
        differences,
        finding: evaluation.finding,
        fuel_used: evaluation.fuel_used,
        memory_bytes: evaluation.memory_bytes,
        micros: evaluation.duration.as_secs_f64() * 1e6,
        log: evaluation.log,
    }
}

fn table(all: &[Tested]) -> String {
    let mut table = super::plain_table();
    table.set_header(["fixture", "verdict", "fuel", "memory KiB", "µs"]);
    for one in all {
        let outcome = match one.outcome {
            Outcome::Same => "as expected",
            Outcome::Different => "DIFFERENT",
            Outcome::Blessed => "written",
        };
        table.add_row([
            one.fixture.clone(),
            outcome.to_owned(),
            one.fuel_used.to_string(),
            (one.memory_bytes / 1024).to_string(),
            format!("{:.0}", one.micros),
        ]);
    }
    let mut text = format!("{table}\n");
    for one in all {
        let about = |line: &str| format!("\n{}: {line}", one.fixture);
        text.extend(
            one.finding
                .iter()
                .map(|finding| about(&format!("the policy failed: {finding}"))),
        );
        text.extend(one.differences.iter().map(|line| about(line)));
        text.extend(
            one.log
                .lines
                .iter()
                .map(|line| about(&format!("log: {}", line.message))),
        );
    }
    text.trim_end().to_owned() + "\n"
}
