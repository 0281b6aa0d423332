//! How results and errors are printed.

use std::process::ExitCode;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs; one document on standard output.
    Json,
}

/// What each exit code means, for `--help`.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
  0  done
  1  it failed: a file, a server or a limit; the message says which and what to do
  2  the command line is wrong
  3  it ran, and what was checked is not good: a policy refused, a fixture whose verdict differs";

/// What was checked is not good.
pub(crate) const NOT_GOOD: u8 = 3;

/// Prints an error with its causes and gives the exit code.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
