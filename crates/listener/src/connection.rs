//! One connection, plain or encrypted, in HTTP/1.1 or HTTP/2.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

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

use crate::{
    accept::Bounds,
    activity::{Activity, Overdue},
    clients::ClientCertificate,
    watched::{Pace, WatchedBody, WatchedSocket},
};

/// Unanswered for that long, an HTTP/2 client is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What a connection needs.
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) app: Router,
    pub(crate) closed: watch::Receiver<bool>,
    pub(crate) bounds: Bounds,
    /// What is spoken without TLS.
    pub(crate) plain: Protocol,
}

/// How client and server talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; in plain text with prior knowledge.
    Http2,
}

impl Connection {
    /// Answers until the client leaves or the server stops.
    pub(crate) async fn serve(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        // Small answers should not wait for more; without it they only come later.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = acceptor else {
            let plain = self.plain;
            return self.talk(stream, plain, None).await;
        };
        match timeout(self.bounds.head_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let protocol = if session.alpn_protocol() == Some(b"h2") {
                    Protocol::Http2
                } else {
                    Protocol::Http1
                };
                let shown = session.peer_certificates().and_then(|chain| chain.first());
                let shown = shown.map(|it| ClientCertificate(it.clone().into_owned()));
                self.talk(stream, protocol, shown).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS failed."),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS took too long."),
        }
    }

    async fn talk<S>(self, stream: S, protocol: Protocol, shown: Option<ClientCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            peer,
            app,
            mut closed,
            bounds,
            plain: _,
        } = self;
        let activity = Activity::new();
        let pace = match protocol {
            Protocol::Http1 => Pace::OfSocket,
            Protocol::Http2 => Pace::OfAnswer,
        };
        let asked = activity.clone();
        let service = tower::service_fn(move |request: Request<_>| {
            let exchange = asked.exchange();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            if let Some(shown) = &shown {
                request.extensions_mut().insert(shown.clone());
            }
            let answer = app.clone().oneshot(request);
            async move {
                let answer = answer.await?;
                Ok::<_, Infallible>(answer.map(|body| WatchedBody::new(body, exchange, pace)))
            }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head_timeout);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(bounds.streams_max);
        let builder = match protocol {
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http2 => builder.http2_only(),
        };
        let service = TowerToHyperService::new(service);
        let stream = WatchedSocket {
            socket: stream,
            activity: activity.clone(),
        };
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let stopping = async {
            // An error says that the server is gone altogether.
            let _ = closed.wait_for(|closed| *closed).await;
        };
        let overdue = activity.overdue(bounds.idle_timeout, bounds.stall_timeout);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            why = overdue => {
                tracing::debug!(%peer, ?why, "A connection is closed.");
                if why == Overdue::Stalled {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                // What comes in just now is answered.
                timeout(bounds.head_timeout, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, error, "A connection broke.");
        }
    }
}
