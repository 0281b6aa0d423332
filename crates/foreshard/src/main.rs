//! The command line: wiring only.
#![forbid(unsafe_code)]

mod bound;
mod cmd;
mod reading;
mod telemetry;
mod zone;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use cmd::backtest::job;
use foreshard_cli::output;
use foreshard_policy::jail;

use output::Format;
use telemetry::{LogFormat, Telemetry};

/// Keeps Vitess, and anything else with a scale, ahead of its load.
///
/// Foreshard learns a load from its history, forecasts it with calibrated quantiles, asks a policy (a WebAssembly
/// component, built in or yours) and guards what it says. `demo` shows all of it at once; `backtest` replays your own
/// history and compares the outcome with what other autoscalers would have made of it.
#[derive(Debug, Parser)]
#[command(
    name = "foreshard",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(before_long_help = EXAMPLES, after_help = EXIT_CODES)]
struct Cli {
    /// How results are printed: `table` for people, `json` for programs [default: table; `forecast` prints json unless
    /// in a terminal].
    #[arg(long, short, global = true, value_enum)]
    output: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(cmd::demo::Args),
    Backtest(Box<cmd::backtest::Args>),
    Forecast(cmd::forecast::Args),
    Evaluate(cmd::evaluate::Args),
    Policy(cmd::policy::Args),
    Operator(Box<cmd::operator::Args>),
    Crds(cmd::crds::Args),
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETION_HELP)]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const EXAMPLES: &str = "\
First steps:
  foreshard demo
      a simulated Vitess cluster under a real load, live
  foreshard backtest --trace load.csv.gz --lag 10m
      your load, replayed: harm and cost beside those of other autoscalers
  foreshard forecast --input load.csv.gz --peak 10m/5m
      the next day, and the highest load that an action must cover
  foreshard policy check mine.wasm
      what a policy of yours imports, needs and costs";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed: a file, a server or a limit; the message says which and what to do
  2  the command line is wrong
  3  it ran, and what was checked is not good: a policy refused, a fixture whose verdict differs

Results go to standard output, everything else to standard error. RUST_LOG=debug shows what goes on inside.";

const COMPLETION_HELP: &str = "\
Install it for good:
  bash  foreshard completion bash > ~/.local/share/bash-completion/completions/foreshard
  zsh   foreshard completion zsh > ~/.zfunc/_foreshard     (with fpath+=~/.zfunc before compinit)
  fish  foreshard completion fish > ~/.config/fish/completions/foreshard.fish";

fn main() -> ExitCode {
    // The policy host compiles uploads in a child that is this same program.
    if jail::is_child(std::env::args_os().nth(1)) {
        return jail::child_main();
    }
    // And a server replays in one.
    if job::is_child(std::env::args_os().nth(1)) {
        return job::child_main();
    }
    output::end_quietly_on_closed_pipe();
    let cli = Cli::parse();
    let started = telemetry::start(telemetry(&cli.command));
    let result = started.and_then(|_flushes_at_the_end| run(cli));
    result.unwrap_or_else(|error| output::fail(&error))
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let output = cli.output.unwrap_or_default();
    match cli.command {
        Command::Demo(args) => cmd::demo::run(args, output),
        Command::Backtest(args) => cmd::backtest::run(*args, output),
        Command::Forecast(args) => {
            let piped = if io::stdout().is_terminal() {
                Format::Table
            } else {
                Format::Json
            };
            cmd::forecast::run(args, cli.output.unwrap_or(piped))
        }
        Command::Evaluate(args) => cmd::evaluate::run(args, output),
        Command::Policy(args) => cmd::policy::run(args, output),
        Command::Operator(args) => cmd::operator::run(*args),
        Command::Crds(args) => cmd::crds::run(&args, output),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "foreshard", &mut script);
            output::text(&String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Of an operator, what it does; else warnings. `RUST_LOG` asks for more or less.
fn telemetry(command: &Command) -> Telemetry<'_> {
    match command {
        Command::Operator(args) => args.telemetry(),
        _ => Telemetry {
            usual: "warn",
            format: LogFormat::Text,
            otlp_endpoint: None,
        },
    }
}
