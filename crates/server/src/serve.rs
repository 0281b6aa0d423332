//! The service behind listeners, until it is told to stop.

use std::{future::Future, sync::Arc};

use axum::Router;
use foreshard_listener::{Bounds, Protocol, Tls, accept};
use tokio::net::TcpListener;

use crate::{
    app::{app, health_app},
    hub::Hub,
    limits::Limits,
};

/// Requests on one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 64;

/// Serves until `shutdown` is done; then takes nothing new, ends the event streams, and lets what is open go on for
/// [`Limits::drain`]. With [`Tls`], its files are looked at now and then.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (limits, app) = (hub.limits, app(Arc::clone(&hub)));
    let stop = async move {
        shutdown.await;
        hub.close();
    };
    behind(listener, tls, app, limits, stop).await;
}

/// Serves health and metrics alone, in plain HTTP and open to all who reach the port.
pub async fn serve_health(
    listener: TcpListener,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let limits = hub.limits;
    behind(listener, None, health_app(hub), limits, shutdown).await;
}

async fn behind(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    app: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send,
) {
    let bounds = Bounds {
        connections_max: limits.connections_max,
        connections_of_peer_max: limits.connections_of_peer_max,
        streams_max: STREAMS_MAX,
        head_timeout: limits.head_timeout,
        idle_timeout: limits.idle_timeout,
        stall_timeout: limits.stall_timeout,
        drain: limits.drain,
    };
    accept(listener, tls, Protocol::Http1, app, bounds, stop).await;
}
