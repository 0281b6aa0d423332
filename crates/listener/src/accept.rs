//! Listening, taking connections, and ending them.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    connection::{Connection, Protocol},
    places::{Places, peer_of},
    tls::Tls,
};

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at one time; more wait.
    pub connections_max: usize,
    /// Of these, connections of one peer address; more are closed at once.
    pub connections_of_peer_max: usize,
    /// Requests on one HTTP/2 connection at one time.
    pub streams_max: u32,
    /// For the handshake of TLS, and for the head of a request in HTTP/1.1.
    pub head_timeout: Duration,
    /// A connection on which nothing was asked for so long is closed; in HTTP/1.1 it is `head_timeout` if that is shorter.
    pub idle_timeout: Duration,
    /// A connection whose client takes nothing of an answer for so long is closed. An answer that has nothing to give, such
    /// as a stream of events, may be open for longer.
    pub stall_timeout: Duration,
    /// How long open requests may go on once the end has come.
    pub drain: Duration,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error("{0} is in use by another program; stop it, or choose another address")]
    InUse(SocketAddr),
    /// The system does not let us listen there.
    #[error("can't listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Others could listen in.
    #[error(
        "{address} is reached from other machines, and there is no TLS: give certificate and key, listen on loopback, \
         or say {flag} where something else encrypts"
    )]
    Plain {
        /// Where.
        address: SocketAddr,
        /// What lets it be.
        flag: &'static str,
    },
}

/// Whether others than this machine may be talked with in plain text.
#[derive(Clone, Copy, Debug)]
pub struct PlainText {
    /// The user insists.
    pub allowed: bool,
    /// How a user insists, for the message.
    pub flag: &'static str,
}

/// Listens on the address; port 0 takes a free one.
///
/// # Errors
/// [`ListenError::InUse`] and [`ListenError::Listen`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            _ => ListenError::Listen { address, source },
        })
}

/// Whether plain text may be spoken there: on loopback, or where the user insists.
///
/// # Errors
/// [`ListenError::Plain`].
pub fn require_tls(
    address: SocketAddr,
    tls: Option<&Tls>,
    plain: PlainText,
) -> Result<(), ListenError> {
    if tls.is_some() || plain.allowed || address.ip().is_loopback() {
        return Ok(());
    }
    Err(ListenError::Plain {
        address,
        flag: plain.flag,
    })
}

/// Serves until `stop` is done; then takes nothing new, and lets what is open go on for [`Bounds::drain`]. With [`Tls`]
/// its files are looked at now and then, and the client chooses the protocol; without, `plain` is spoken.
pub async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    plain: Protocol,
    app: Router,
    bounds: Bounds,
    stop: impl Future<Output = ()> + Send,
) {
    let (closing, closed) = watch::channel(false);
    let places = Arc::new(Semaphore::new(bounds.connections_max));
    let by_peer = Places::new(bounds.connections_max, bounds.connections_of_peer_max);
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
            let Ok(of_peer) = by_peer.take(peer_of(peer.ip())) else {
                tracing::debug!(%peer, "A connection was closed: there are enough of this peer.");
                continue;
            };
            let connection = Connection {
                peer,
                app: app.clone(),
                closed: closed.clone(),
                bounds,
                plain,
            };
            let acceptor = tls.as_ref().map(|tls| tls.acceptor());
            open.spawn(async move {
                let _places = (place, of_peer);
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
    if tokio::time::timeout(bounds.drain, ending).await.is_err() {
        tracing::warn!(
            seconds = bounds.drain.as_secs(),
            "Open requests were cut off."
        );
    }
}

/// The next connection. Errors are those of a single connection, or pass when others end.
async fn taken(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    const PAUSE: Duration = Duration::from_millis(200);
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
