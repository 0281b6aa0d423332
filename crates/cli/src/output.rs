//! How results and errors are printed.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs; one document on standard output.
    Json,
}

/// Exit code: it ran, and what was checked or asked for is not good.
pub const NOT_GOOD: u8 = 3;

/// Standard output cannot be written to. A type of its own: a socket breaks with the same words as a closed pipe, and
/// only the latter is a quiet end.
#[derive(Debug)]
struct NotPrinted(io::Error);

impl fmt::Display for NotPrinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output cannot be written to")
    }
}

impl Error for NotPrinted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Prints one document as JSON.
///
/// # Errors
/// Standard output cannot be written to.
pub fn json(document: &impl Serialize) -> anyhow::Result<()> {
    text(&(serde_json::to_string_pretty(document)? + "\n"))
}

/// Prints text for people.
///
/// # Errors
/// Standard output cannot be written to.
pub fn text(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(written.map_err(NotPrinted)?)
}

/// Whether standard output shows colors and wants them (<https://no-color.org>).
#[must_use]
pub fn colored() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !unwanted
}

/// Prints an error with its causes and gives the exit code.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    if has_seen_enough(error) {
        return ExitCode::SUCCESS;
    }
    // Where standard error is gone as well nobody is left to tell.
    let _ = writeln!(io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

/// Whether the reader of our output has closed it, as `head` does.
fn has_seen_enough(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let not_printed = cause.downcast_ref::<NotPrinted>();
        not_printed.is_some_and(|it| it.0.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Makes `println!` into a closed pipe a quiet end, where it would otherwise be a panic.
pub fn end_quietly_on_closed_pipe() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|text| {
            text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
        }) {
            std::process::exit(0);
        }
        usual(panic);
    }));
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn only_a_closed_standard_output_is_a_quiet_end() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let printing = || anyhow::Error::from(NotPrinted(broken()));
        let told = Err::<(), _>(printing()).context("printing the report");
        for (error, quiet) in [
            (printing(), true),
            (told.unwrap_err(), true),
            (NotPrinted(full).into(), false),
            (broken().into(), false),
            (
                anyhow::Error::from(io::Error::other(broken())).context("asking the server"),
                false,
            ),
        ] {
            assert_eq!(has_seen_enough(&error), quiet, "{error:#}");
        }
    }
}
