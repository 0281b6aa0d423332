//! One connection, plain or encrypted, in HTTP/1.1 or HTTP/2.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::limits::Limits;

/// Unanswered for that long, an HTTP/2 client is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Requests on one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 64;

/// What a connection needs.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) app: Router,
    pub(crate) closed: watch::Receiver<bool>,
    pub(crate) limits: Limits,
}

/// How the client wants to talk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

impl Connection {
    /// Answers until the client leaves or the server stops.
    pub(crate) async fn serve(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        // Small answers should not wait for more; without it they only come later.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = acceptor else {
            return self.talk(stream, Version::Http1).await;
        };
        match timeout(self.limits.head_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let agreed = stream.get_ref().1.alpn_protocol();
                let version = if agreed == Some(b"h2") {
                    Version::Http2
                } else {
                    Version::Http1
                };
                self.talk(stream, version).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS failed."),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS took too long."),
        }
    }

    async fn talk<S>(self, stream: S, version: Version)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            peer,
            app,
            mut closed,
            limits,
        } = self;
        let service = tower::service_fn(move |request: Request<_>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone().oneshot(request)
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(STREAMS_MAX);
        let builder = match version {
            Version::Http1 => builder.http1_only(),
            Version::Http2 => builder.http2_only(),
        };
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let stopping = async {
            // An error says that the server is gone altogether.
            let _ = closed.wait_for(|closed| *closed).await;
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error, "A connection broke.");
        }
    }
}
