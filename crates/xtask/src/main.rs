//! The builder's tool: sets up what is missing, builds, checks and tests. `cargo xtask --help` lists what there is.
#![forbid(unsafe_code)]

mod bench;
mod console;
mod demo;
mod e2e;
mod failures;
mod generate;
mod image;
mod lane;
mod policies;
mod report;
mod shell;
mod test;
mod testbed;
mod tidy;
mod wasm_target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up what is missing, builds, checks and tests Foreshard.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build policies, console and the release binary, and run `foreshard demo ARGS`.
    Demo {
        /// For `foreshard demo`, such as `--once` or `--speed 1h`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every check and test; the last line says how it went.
    Test {
        /// Leave out what takes minutes: the licence check, API docs and the control-plane lane.
        #[arg(long)]
        fast: bool,
    },
    /// Build the built-in policies as WebAssembly components into `target/policies`.
    Policies,
    /// Build the console's files into `console/dist`.
    Console,
    /// Write what follows from the code: `deploy/crds` and `docs/crd-reference.md`.
    Generate {
        /// Write nothing; fail where a file differs.
        #[arg(long)]
        check: bool,
    },
    /// Write the operator's container image as an OCI archive into `target/images`.
    Image(image::Args),
    /// Check what the compiler does not: crate edges, file sizes, headers, words, generated files.
    Tidy,
    /// Build, start and end real Kubernetes, Vitess and Prometheus on this machine.
    Testbed {
        #[command(subcommand)]
        what: testbed::Command,
    },
    /// Run the node lane: tests on a real Kubernetes node and a real Vitess (some need root).
    E2e(e2e::Args),
    /// Run the commands behind the README's figures.
    ///
    /// FORESHARD_BINARY names a binary to be measured instead of the release binary, which is built first.
    Bench {
        /// Only those whose name contains this.
        name: Option<String>,
    },
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse().task {
        Task::Demo { args } => demo::run(&args),
        Task::Test { fast } => test::run(fast),
        Task::Policies => wasm_target::ensure()
            .and_then(|()| policies::build())
            .map(done),
        Task::Console => console::build()
            .and_then(console::Outcome::required)
            .map(done),
        Task::Generate { check } => generate::run(if check {
            generate::Mode::Check
        } else {
            generate::Mode::Write
        })
        .map(done),
        Task::Image(args) => image::run(args).map(done),
        Task::Tidy => tidy::run().map(done),
        Task::Testbed { what } => testbed::run(what).map(done),
        Task::E2e(args) => e2e::run(&args),
        Task::Bench { name } => bench::run(name.as_deref()).map(done),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
