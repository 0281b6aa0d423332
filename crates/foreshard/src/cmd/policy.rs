//! `foreshard policy`: what a policy is and needs, whether it still decides as recorded, and where it is to run.

mod check;
mod difference;
mod fixture;
mod push;

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use foreshard_policy::{INERT_WASI, Limits};

use crate::bound::{BUILTIN, builtin};
use crate::output::{self, Format};

/// Look into a policy, test it against recorded contexts, upload it, and print the limits that policies meet.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check a policy as the platform checks an upload, and show what is inside.
    ///
    /// Exit code 3: the platform would refuse it, or the policy refuses the config that is given.
    Check(check::Args),
    /// Ask a policy what it decides in recorded contexts, and compare.
    ///
    /// A fixture is a directory with `context.json` (what the policy is told) and `verdict.json` (what it should
    /// answer). Exit code 3: some verdict differs.
    Test(fixture::Args),
    /// Upload a policy to a server, which checks it and stores it under a name.
    ///
    /// Exit code 3: the server refuses the component.
    #[command(after_long_help = push::EXAMPLES)]
    Push(Box<push::Args>),
    /// Print the limits that policies meet, and the WASI interfaces that are given without effect.
    Limits,
}

pub(crate) fn run(args: Args, output: Format) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => check::run(&args, output),
        Command::Test(args) => fixture::run(&args, output),
        Command::Push(args) => push::run(&args, output),
        Command::Limits => limits(output),
    }
}

/// The bytes of `builtin:NAME` or of a file.
fn component(policy: &str) -> anyhow::Result<Cow<'static, [u8]>> {
    if let Some(name) = policy.strip_prefix(BUILTIN) {
        return Ok(Cow::Borrowed(builtin(name)?));
    }
    let bytes = std::fs::read(PathBuf::from(policy)).with_context(|| {
        format!("reading the policy {policy} (a component's file, or {BUILTIN}NAME)")
    })?;
    Ok(Cow::Owned(bytes))
}

fn limits(output: Format) -> anyhow::Result<ExitCode> {
    let limits = Limits::default();
    if output == Format::Json {
        output::json(&serde_json::json!({ "limits": limits, "inert-wasi": INERT_WASI }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = plain_table();
    table.set_header(["limit", "value"]);
    for (group, name, value) in limits.rows() {
        table.add_row([format!("{group}.{name}"), value.to_string()]);
    }
    let inert = INERT_WASI.join("\n  ");
    output::text(&format!(
        "{table}\n\nWASI 0.2 interfaces that are given without effect:\n  {inert}\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}
