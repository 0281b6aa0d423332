//! Flags and the settings file as the operator's configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use foreshard_operator::{Config, OperatorSource};
use serde::Deserialize;

use super::Args;

/// What is in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct File {
    sources: Vec<OperatorSource>,
}

pub(super) async fn config(args: &Args) -> anyhow::Result<Config> {
    let file = match &args.config {
        None => File::default(),
        Some(path) => {
            let text = tokio::fs::read_to_string(path)
                .await
                .with_context(|| format!("reading --config {}", path.display()))?;
            serde_saphyr::from_str(&text).with_context(|| format!("--config {}", path.display()))?
        }
    };
    for source in &file.sources {
        source.check().map_err(anyhow::Error::msg)?;
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = file.sources.iter().find(|it| !names.insert(&it.name)) {
        anyhow::bail!(
            "sources: two of them have the name {}: policies could not say which one they mean",
            twice.name
        );
    }
    Ok(Config {
        namespace: args.namespace.clone(),
        identity: args.identity.clone().unwrap_or_else(identity),
        watch_namespace: args.watch_namespace.clone(),
        leader_election: !args.no_leader_election,
        sources: file.sources,
        poll_every: Duration::from_secs(u64::try_from(args.poll_every).unwrap_or(5).max(1)),
        evaluations_max: args.evaluations_max,
        shrinking_max: args.shrinking_max,
        state_directory: args.state_directory.clone(),
        external_metrics: args.external.registration(&args.namespace),
    })
}

pub(super) fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}
