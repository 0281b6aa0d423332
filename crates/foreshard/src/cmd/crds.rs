//! `foreshard crds`.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::output::{self, Format};

const EXAMPLES: &str = "\
Examples:
  Install or upgrade the definitions:
    foreshard crds | kubectl apply --server-side -f -
  Look at one field's documentation in the cluster:
    kubectl explain scalingpolicy.spec.signals";

/// Print the definitions of all kinds in `foreshard.dev`, for `kubectl apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, format: Format) -> anyhow::Result<ExitCode> {
    let all = foreshard_api::crds();
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&serde_json::json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": all,
        }))?,
        Format::Table => {
            let documents = all.iter().map(|definition| {
                serde_saphyr::to_string(definition).context("writing a definition as YAML")
            });
            documents.collect::<anyhow::Result<Vec<_>>>()?.join("---\n")
        }
    };
    output::text(&text)?;
    Ok(ExitCode::SUCCESS)
}
