//! The command line: wiring only.
#![forbid(unsafe_code)]

mod cmd;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Keeps Vitess, and anything else with a scale, ahead of its load.
#[derive(Debug, Parser)]
#[command(name = "foreshard", version, propagate_version = true, after_help = output::EXIT_CODES_HELP)]
struct Cli {
    /// How results are printed: `table` for people, `json` for programs.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: output::Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backtest(Box<cmd::backtest::Args>),
    Demo(cmd::demo::Args),
    Evaluate(cmd::evaluate::Args),
    Forecast(cmd::forecast::Args),
    Policy(cmd::policy::Args),
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Backtest(args) => cmd::backtest::run(*args, cli.output),
        Command::Demo(args) => cmd::demo::run(args, cli.output),
        Command::Evaluate(args) => cmd::evaluate::run(args, cli.output),
        Command::Forecast(args) => cmd::forecast::run(args, cli.output),
        Command::Policy(args) => cmd::policy::run(args, cli.output),
        Command::Completion { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "foreshard",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| output::fail(&error))
}
