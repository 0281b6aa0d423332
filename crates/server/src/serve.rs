//! Behind a listener, until it is told to stop.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;

use crate::{app::app, hub::Hub};

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
    /// The listener failed.
    #[error("the server failed")]
    Serve(#[from] io::Error),
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

/// Serves until `shutdown` is done; then takes nothing new, ends the event streams, and lets what is open go on for
/// [`crate::Limits::drain`].
///
/// # Errors
/// [`ServeError::Serve`] when the listener fails.
pub async fn serve(
    listener: TcpListener,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let mut closing = hub.closing();
    let drain = hub.limits.drain;
    let app = app(Arc::clone(&hub));
    let stop = async move {
        shutdown.await;
        hub.close();
    };
    let server = axum::serve(listener, app).with_graceful_shutdown(stop);
    let too_long = async move {
        // An error says that the server is gone altogether.
        let _ = closing.wait_for(|closing| *closing).await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        result = server => Ok(result?),
        () = too_long => {
            tracing::warn!(seconds = drain.as_secs(), "Open requests were cut off.");
            Ok(())
        }
    }
}
