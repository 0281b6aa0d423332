//! `foreshard backtest`.

pub(crate) mod job;
pub(crate) mod parse;
mod picture;
mod progress;
mod sweep;
pub(crate) mod table;
mod traces;
mod user;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use foreshard_engine::Policies;
use foreshard_forecast::Calendar;
use foreshard_sim::replay::{Options, Peers, Report, Summary, Timeline, World};
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;

use crate::bound::Bound;
use crate::output::{self, Format};
use crate::zone;
use user::UserPolicy;

const EXAMPLES: &str = "\
What is played:
  The first half of the load is history that forecasts learn from. The second half is lived through minute by minute: \
the policy sees samples that are a minute old and never what lies ahead; what it orders is paid for at once and serves \
after the lag.

How to read it:
  The row marked ▶ is your policy. Compare it with `reactive at equal cost`: HPA given just the head-room that makes \
it cost as much. `foresight` knows the future; `bound` is the least that anybody could pay.

Examples:
  The default policy on a trace, instances that take ten minutes to be ready:
    foreshard backtest --trace examples/traces/nab_asg_cpu.csv.gz --lag 10m
  Your own policy, its decisions minute by minute into a file:
    foreshard backtest --trace load.csv --policy mine.wasm --policy-config '{\"headroom\": 0.1}' --timeline run.csv
  A month from Prometheus:
    foreshard backtest --prometheus http://127.0.0.1:9090 --query 'sum(rate(vtgate_queries_total[5m]))' \\
      --from 2026-03-01 --to 2026-04-01 --step 60s
  What a smaller or larger budget would cost:
    foreshard backtest --trace load.csv --sweep-budget --svg pareto.svg

The trace file is csv or csv.gz with a header `timestamp,value`: when each bin begins, and the mean load over it.";

/// Replay a recorded load: how a policy would have done, what it would have cost, and what others would have done.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A recorded load, csv or csv.gz with `timestamp,value`; may be given several times.
    #[arg(long, value_name = "FILE", required_unless_present = "prometheus")]
    trace: Vec<PathBuf>,
    /// A Prometheus server to take the load from instead.
    #[arg(long, value_name = "URL", conflicts_with = "trace", requires_all = ["query", "from", "to"])]
    prometheus: Option<String>,
    /// The load, in work units per second: an expression that gives one series.
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    query: Option<String>,
    /// Where the load begins: RFC 3339, or a date in UTC.
    #[arg(long, value_name = "TIME", requires = "prometheus", value_parser = parse::time)]
    from: Option<i64>,
    /// Where it ends.
    #[arg(long, value_name = "TIME", requires = "prometheus", value_parser = parse::time)]
    to: Option<i64>,
    /// Length of a bin.
    #[arg(long, value_name = "SPAN", requires = "prometheus", value_parser = parse::span, default_value = "60s")]
    step: i64,
    /// From the order of an instance to its being ready, in whole minutes; at least twice the step of the trace.
    #[arg(long, value_name = "SPAN", value_parser = parse::span, default_value = "600s")]
    lag: i64,
    /// The policy: a component, or `builtin:` and a name.
    #[arg(
        long,
        value_name = "FILE.wasm|builtin:NAME",
        default_value = "builtin:forecast-headroom"
    )]
    policy: String,
    /// The policy's configuration, in JSON.
    #[arg(long, value_name = "JSON", value_parser = parse::json, default_value = "{}")]
    policy_config: String,
    /// Share of time that load may exceed capacity.
    #[arg(long, value_name = "SHARE", value_parser = parse::share, default_value = "1%")]
    budget: f64,
    /// Load that one instance serves, in the trace's unit; without it, the peak takes 40 instances at 70 %.
    #[arg(long, value_name = "LOAD", value_parser = parse::load)]
    capacity: Option<f64>,
    /// Write each minute of the run as csv; every figure can be recomputed from it.
    #[arg(long, value_name = "OUT.csv")]
    timeline: Option<PathBuf>,
    /// Seed of the one random thing in here: the shuffles of the peer `crane`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Zone of the local time that days and weeks follow.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// Play the policy at several budgets, and the reactive rules at several head-rooms.
    #[arg(long, conflicts_with_all = ["budget", "timeline"])]
    sweep_budget: bool,
    /// Draw the curves of --sweep-budget.
    #[arg(long, value_name = "OUT.svg", requires = "sweep_budget")]
    svg: Option<PathBuf>,
}

/// One trace, ready to be played.
struct Prepared {
    name: String,
    world: World,
    peers: Peers,
    calendar: Calendar,
}

impl Prepared {
    /// What is lived through, in minutes.
    fn minutes(&self) -> u64 {
        (self.world.end() - self.world.run_start()) as u64
    }
}

/// The result on one trace.
#[derive(Serialize)]
pub(crate) struct Judged {
    #[serde(flatten)]
    report: Report,
    /// Share of the evaluations in which the forecast was let act.
    #[serde(rename = "forecast_acted_share")]
    acted_share: f64,
    /// Whether the skill gate calls the load predictable.
    predictable: bool,
    /// Where it is not: the head-room that reactive scaling needs to keep the budget at this lag, a share.
    advised_headroom: Option<f64>,
}

/// The results on several traces.
#[derive(Serialize)]
struct Several<'a> {
    model: &'static str,
    traces: &'a [Judged],
    summary: &'a Summary,
}

pub(crate) fn run(args: Args, format: Format) -> anyhow::Result<ExitCode> {
    if args.timeline.is_some() && args.trace.len() > 1 {
        anyhow::bail!(
            "--timeline holds one run: give one --trace, not {}",
            args.trace.len()
        );
    }
    let user = user::bind(&args)?;
    let prepared = prepare(&args)?;
    if args.sweep_budget {
        return show_sweep(&args, &prepared, &user, format);
    }
    let bar = progress::bar(prepared.iter().map(Prepared::minutes).sum(), "minutes");
    let results: Vec<Judged> = prepared
        .par_iter()
        .map(|one| judge(one, &user, args.timeline.as_deref(), &bar))
        .collect::<Result<_, _>>()?;
    bar.finish_and_clear();
    show(&results, format)?;
    Ok(ExitCode::SUCCESS)
}

fn prepare(args: &Args) -> anyhow::Result<Vec<Prepared>> {
    let options = Options {
        lag_seconds: args.lag,
        capacity: args.capacity,
        seed: args.seed,
    };
    let traces = traces::load(args)?;
    traces
        .into_par_iter()
        .map(|trace| {
            let world = World::new(&trace.series, &options).with_context(|| trace.name.clone())?;
            let calendar = zone::calendar(&args.timezone, trace.series.start, trace.series.end())?;
            Ok(Prepared {
                name: trace.name,
                peers: Peers::new(&world),
                world,
                calendar,
            })
        })
        .collect()
}

fn judge<P: Policies + Clone>(
    one: &Prepared,
    user: &UserPolicy<P>,
    timeline: Option<&Path>,
    bar: &ProgressBar,
) -> anyhow::Result<Judged> {
    let (run, trust) = user.play(one, user.budget, bar);
    if let Some(path) = timeline {
        let written = File::create(path)
            .and_then(|file| Timeline::new(&one.world, &run).write_csv(BufWriter::new(file)));
        written.with_context(|| format!("writing the timeline {}", path.display()))?;
    }
    Ok(Judged {
        report: Report::new(&one.name, &user.name, &one.world, &run, &one.peers),
        acted_share: trust.share(),
        predictable: trust.predictable(),
        advised_headroom: (!trust.predictable())
            .then(|| user.advise(&one.world))
            .flatten(),
    })
}

fn show(results: &[Judged], format: Format) -> anyhow::Result<()> {
    let reports: Vec<Report> = results.iter().map(|result| result.report.clone()).collect();
    match (results, Summary::new(&reports), format) {
        ([one], _, Format::Json) => output::json(one),
        ([one], _, Format::Table) => output::text(&table::one(one)),
        (_, Some(summary), Format::Json) => {
            let model = foreshard_sim::replay::MODEL;
            output::json(&Several {
                model,
                traces: results,
                summary: &summary,
            })
        }
        (_, Some(summary), Format::Table) => output::text(&table::several(results, &summary)),
        (_, None, _) => Ok(()),
    }
}

fn show_sweep(
    args: &Args,
    prepared: &[Prepared],
    user: &UserPolicy<Bound>,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let sweep = sweep::sweep(prepared, user);
    if let Some(path) = &args.svg {
        picture::write(path, &sweep)?;
    }
    match format {
        Format::Json => output::json(&sweep)?,
        Format::Table => output::text(&sweep::text(&sweep))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
