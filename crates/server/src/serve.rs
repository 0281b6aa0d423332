//! The service behind listeners, until it is told to stop.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    app::{app, health_app},
    connection::Connection,
    hub::Hub,
    limits::Limits,
    tls::Tls,
};

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there.
    #[error("{0} is in use by another program; stop it, or choose another address with --listen")]
    InUse(SocketAddr),
    /// The system does not let us listen there.
    #[error("can't listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Others could read tokens on their way.
    #[error(
        "{0} is reached from other machines, and there is no TLS: give certificate and key, listen on loopback, or \
         say --insecure where something else encrypts"
    )]
    Plain(SocketAddr),
}

/// Listens on the address; port 0 takes a free one.
///
/// # Errors
/// [`ServeError::InUse`] and [`ServeError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::InUse(address),
            _ => ServeError::Listen { address, source },
        })
}

/// Whether plain HTTP may be spoken there: on loopback, or where the user insists.
///
/// # Errors
/// [`ServeError::Plain`].
pub fn require_tls(
    address: SocketAddr,
    tls: Option<&Tls>,
    insecure: bool,
) -> Result<(), ServeError> {
    if tls.is_some() || insecure || address.ip().is_loopback() {
        return Ok(());
    }
    Err(ServeError::Plain(address))
}

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
    accept(listener, tls, app, limits, stop).await;
}

/// Serves health and metrics alone, in plain HTTP and open to all who reach the port.
pub async fn serve_health(
    listener: TcpListener,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let limits = hub.limits;
    accept(listener, None, health_app(hub), limits, shutdown).await;
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    app: Router,
    limits: Limits,
    stop: impl Future<Output = ()> + Send,
) {
    let (closing, closed) = watch::channel(false);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut open = JoinSet::new();
    let fresh = async {
        match &tls {
            Some(tls) => tls.keep_fresh().await,
            None => std::future::pending().await,
        }
    };
    let taking = async {
        loop {
            // The semaphore is never closed.
            let place = Arc::clone(&places).acquire_owned().await;
            let (stream, peer) = taken(&listener).await;
            while open.try_join_next().is_some() {}
            let connection = Connection {
                peer,
                app: app.clone(),
                closed: closed.clone(),
                limits,
            };
            let acceptor = tls.as_ref().map(|tls| tls.acceptor());
            open.spawn(async move {
                let _place = place;
                connection.serve(stream, acceptor).await;
            });
        }
    };
    tokio::select! {
        () = stop => {}
        () = taking => {}
        () = fresh => {}
    }
    drop(listener);
    closing.send_replace(true);
    let ending = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, ending).await.is_err() {
        tracing::warn!(
            seconds = limits.drain.as_secs(),
            "Open requests were cut off."
        );
    }
}

/// The next connection. Errors are those of a single connection, or pass when others end.
async fn taken(listener: &TcpListener) -> (tokio::net::TcpStream, SocketAddr) {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);
    loop {
        match listener.accept().await {
            Ok(taken) => return taken,
            Err(error) => {
                tracing::warn!(%error, "A connection was not taken.");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
