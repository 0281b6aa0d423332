//! Both services behind their listeners.

use std::{future::Future, sync::Arc, time::Duration};

use foreshard_listener::{Bounds, Protocol, Tls, accept};
use tokio::net::TcpListener;

use crate::{
    metrics_api::MetricsApi,
    scaler::{STREAMS_MAX, Scaler},
};

/// KEDA keeps one connection for each of its processes, the API server a few.
const CONNECTIONS_MAX: usize = 64;
/// For TLS, and for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// KEDA asks every 30 s, or as seldom as its user wants.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Answers are small; who takes none is gone.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// What is open may go on for so long at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// Requests beside streams on one connection at one time. KEDA sends everything over one; with too few it would wait
/// for its own streams.
const REQUESTS_MAX: u32 = 512;

/// Serves KEDA until `stop`. Without [`Tls`] in plain HTTP/2.
pub async fn serve_scaler(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    scaler: Scaler,
    stop: impl Future<Output = ()> + Send,
) {
    let streams = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
    let bounds = bounds(streams.saturating_add(REQUESTS_MAX));
    accept(
        listener,
        tls,
        Protocol::Http2,
        scaler.router(),
        bounds,
        stop,
    )
    .await;
}

/// Serves the API server's aggregation layer until `stop`.
pub async fn serve_metrics(
    listener: TcpListener,
    tls: Arc<Tls>,
    api: MetricsApi,
    stop: impl Future<Output = ()> + Send,
) {
    let (tls, bounds) = (Some(tls), bounds(REQUESTS_MAX));
    accept(listener, tls, Protocol::Http1, api.router(), bounds, stop).await;
}

fn bounds(streams_max: u32) -> Bounds {
    Bounds {
        connections_max: CONNECTIONS_MAX,
        connections_of_peer_max: CONNECTIONS_MAX / 2,
        streams_max,
        head_timeout: HEAD_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        stall_timeout: STALL_TIMEOUT,
        drain: DRAIN,
    }
}
