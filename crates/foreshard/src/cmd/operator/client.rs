//! The way to the API server.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Of an API server in the middle of an answer. A watch ends after 290 s.
const SILENCE_MAX: Duration = Duration::from_secs(330);

/// Connects by a kubeconfig if one is named, else by what is there.
pub(super) async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> anyhow::Result<Client> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = match kubeconfig {
        Some(file) => {
            let read = Kubeconfig::read_from(file)
                .with_context(|| format!("reading the kubeconfig {}", file.display()))?;
            Config::from_custom_kubeconfig(read, &options).await?
        }
        None if context.is_some() => Config::from_kubeconfig(&options).await?,
        None => Config::infer().await.context(
            "finding the cluster: there is no kubeconfig and this is no pod; name one with --kubeconfig",
        )?,
    };
    // kube limits a watch that has begun, and each call here has a limit of its own; a list or watch that is taken and
    // never answered has this one. It is longer than any watch is silent.
    config.read_timeout = Some(SILENCE_MAX);
    config.reset_reader_on_write = true;
    let address = config.cluster_url.to_string();
    let client = Client::try_from(config)?;
    let version = client
        .apiserver_version()
        .await
        .with_context(|| format!("asking the API server at {address} for its version"))?;
    tracing::info!(address, version = version.git_version, "connected");
    Ok(client)
}
