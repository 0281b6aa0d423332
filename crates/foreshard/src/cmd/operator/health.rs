//! What machines ask about the operator, on a port of its own and without credentials.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use foreshard_operator::Metrics;
use foreshard_server::{Hub, listen};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Serves `/livez`, `/readyz` and `/metrics` until `stop`.
pub(super) async fn serve(
    address: SocketAddr,
    hub: Arc<Hub>,
    metrics: Metrics,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let listener = listen(address).await?;
    tracing::info!(%address, "health and metrics are served");
    hub.add_metrics(move || metrics.text());
    let app = foreshard_server::health_app(hub);
    Ok(tokio::spawn(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
            .context("serving health and metrics")
    }))
}
