//! `foreshard evaluate`.

use std::process::ExitCode;

use crate::output::Format;

/// (in the making)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args, _output: Format) -> anyhow::Result<ExitCode> {
    anyhow::bail!("evaluate is in the making")
}
