//! The way to the API server.

use std::path::Path;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Connects by a kubeconfig if one is named, else by what is there.
pub(super) async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> anyhow::Result<Client> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = match kubeconfig {
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
    let address = config.cluster_url.to_string();
    let client = Client::try_from(config)?;
    let version = client
        .apiserver_version()
        .await
        .with_context(|| format!("asking the API server at {address} for its version"))?;
    tracing::info!(address, version = version.git_version, "connected");
    Ok(client)
}
