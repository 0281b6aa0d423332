//! The plugin of kubectl: what Foreshard does in a cluster, and a person's word about it.
#![forbid(unsafe_code)]

mod advice;
mod clock;
mod cluster;
mod cmd;
mod found;
mod kill_switch;
mod orders;
mod print;
mod state;
mod trouble;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use foreshard_cli::output;
use tracing_subscriber::EnvFilter;

use cluster::ClusterArgs;
use print::Format;

/// The field manager of what is written, and the value of the label by which it is found again.
const MANAGER: &str = "kubectl-foreshard";

/// Looks after Foreshard in a cluster: what is forecast and recommended, and why; approvals and pauses; a policy from
/// the autoscaler that you have, and a backtest of it.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-foreshard",
    bin_name = "kubectl foreshard",
    version,
    arg_required_else_help = true
)]
#[command(before_long_help = EXAMPLES, after_help = EXIT_CODES)]
struct Cli {
    /// How results are printed.
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        value_name = "table|json|yaml",
        hide_possible_values = true
    )]
    output: Option<Format>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(cmd::status::Args),
    Explain(cmd::explain::Args),
    Approve(cmd::approve::Args),
    Pause(cmd::pause::Args),
    Resume(cmd::resume::Args),
    Adopt(cmd::adopt::Args),
    Backtest(cmd::backtest::Args),
    /// Print a completion script for a shell.
    #[command(after_help = COMPLETION_HELP)]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const EXAMPLES: &str = "\
First steps:
  kubectl foreshard status -A
      every policy: load to come, replicas now and recommended, what holds it
  kubectl foreshard explain web -n shop
      why the newest recommendation is what it is
  kubectl foreshard approve web-68f1a2 -n shop
      let a plan be carried out, once and for a while
  kubectl foreshard pause web -n shop --for 2h
      nothing is changed for two hours; `resume` ends it
  kubectl foreshard adopt hpa web -n shop > web.yaml
      a policy from the autoscaler that you have; it only watches";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed: the cluster, a right or a program; the message says which and what to do
  2  the command line is wrong
  3  it ran, and what was asked for is not to be had: a plan that expired, an autoscaler that cannot be adopted

Results go to standard output, everything else to standard error. RUST_LOG=debug shows what goes on inside.";

const COMPLETION_HELP: &str = "\
For `kubectl foreshard <TAB>` kubectl runs `kubectl_complete-foreshard` from the PATH; docs/kubectl-foreshard.md has one.
For `kubectl-foreshard` itself:
  bash  kubectl foreshard completion bash > ~/.local/share/bash-completion/completions/kubectl-foreshard
  zsh   kubectl foreshard completion zsh > ~/.zfunc/_kubectl-foreshard   (with fpath+=~/.zfunc before compinit)
  fish  kubectl foreshard completion fish > ~/.config/fish/completions/kubectl-foreshard.fish";

fn main() -> ExitCode {
    output::end_quietly_on_closed_pipe();
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    run(cli).unwrap_or_else(|error| print::fail(&error))
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime for network requests")?;
    runtime.block_on(carry_out(cli))
}

async fn carry_out(cli: Cli) -> anyhow::Result<ExitCode> {
    let format = cli.output.unwrap_or_default();
    let flags = &cli.cluster;
    match cli.command {
        Command::Status(args) => cmd::status::run(&args, &flags.connect().await?, format).await?,
        Command::Explain(args) => cmd::explain::run(&args, &flags.connect().await?, format).await?,
        Command::Approve(args) => cmd::approve::run(&args, &flags.connect().await?, format).await?,
        Command::Pause(args) => cmd::pause::run(&args, &flags.connect().await?, format).await?,
        Command::Resume(args) => cmd::resume::run(&args, &flags.connect().await?).await?,
        Command::Adopt(args) => cmd::adopt::run(&args, &flags.connect().await?, cli.output).await?,
        Command::Backtest(args) => {
            return cmd::backtest::run(&args, flags, format).await;
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "kubectl-foreshard", &mut script);
            output::text(&String::from_utf8_lossy(&script))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends with a message about the command line, as clap does.
fn usage(message: &str) -> ! {
    Cli::command()
        .error(clap::error::ErrorKind::MissingRequiredArgument, message)
        .exit()
}
