//! Clients that do nothing, do not read, or come too often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use foreshard_listener::{Bounds, Protocol, Tls, accept, listen};
use futures::{StreamExt as _, stream};
use rcgen::{CertificateParams, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

const BOUNDS: Bounds = Bounds {
    connections_max: 8,
    connections_of_peer_max: 8,
    streams_max: 8,
    head_timeout: FOREVER,
    idle_timeout: FOREVER,
    stall_timeout: FOREVER,
    drain: Duration::ZERO,
};
const FOREVER: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(200);
/// By then it has happened, or it does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than all buffers on the way take.
const LARGE_BYTES: usize = 64 << 20;
const EVENTS: usize = 10;

/// Tells when it goes.
struct Tell(mpsc::UnboundedSender<()>);

impl Drop for Tell {
    fn drop(&mut self) {
        // An error says that the test is over.
        let _ = self.0.send(());
    }
}

struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
    /// Says whenever the body of an answer is gone.
    gone: mpsc::UnboundedReceiver<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn server(plain: Protocol, tls: Option<Arc<Tls>>, bounds: Bounds) -> Server {
    let (tell, gone) = mpsc::unbounded_channel();
    let large = move || {
        let tell = Tell(tell.clone());
        let chunk = Bytes::from(vec![0_u8; LARGE_BYTES]);
        let body = stream::iter([Ok::<_, io::Error>(chunk)]).chain(stream::pending());
        let body = body.inspect(move |_| {
            let _ = &tell;
        });
        async { Body::from_stream(body) }
    };
    let events = async || {
        let events = stream::iter(0..EVENTS).then(async |_| {
            sleep(SHORT / 4).await;
            Ok::<_, io::Error>(Bytes::from_static(b"event\n"))
        });
        Body::from_stream(Box::pin(events))
    };
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/large", get(large))
        .route("/events", get(events));
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = accept(listener, tls, plain, app, bounds, std::future::pending());
    Server {
        address,
        task: tokio::spawn(serving),
        gone,
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it happens soon")
}

/// Sends a request by HTTP/1.1 and leaves the connection open.
async fn asked(address: SocketAddr, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// All until the server closes.
async fn rest(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = socket.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

type Client = h2::client::SendRequest<Bytes>;

async fn http2(address: SocketAddr) -> (Client, JoinHandle<Result<(), h2::Error>>) {
    let socket = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    (client, tokio::spawn(connection))
}

async fn ask(client: &mut Client, path: &str) -> h2::RecvStream {
    let request = http::Request::get(format!("http://localhost{path}"));
    let (answer, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    soon(answer).await.unwrap().into_body()
}

const IDLE: Bounds = Bounds {
    // For the goodbye of HTTP/2, to which a silent client does not answer.
    head_timeout: SHORT.saturating_mul(4),
    idle_timeout: SHORT,
    ..BOUNDS
};
const STALL: Bounds = Bounds {
    stall_timeout: SHORT,
    ..BOUNDS
};

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = server(Protocol::Http1, None, IDLE).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(soon(rest(silent)).await, "");
    let kept = asked(server.address, "/").await;
    assert!(soon(rest(kept)).await.ends_with("hello"));
}

#[tokio::test]
async fn idle_connections_are_closed_in_http_2_as_well() {
    let server = server(Protocol::Http2, None, IDLE).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    soon(rest(silent)).await;
    let (mut client, connection) = http2(server.address).await;
    let mut body = ask(&mut client, "/").await;
    assert_eq!(soon(body.data()).await.unwrap().unwrap(), "hello");
    soon(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let mut server = server(Protocol::Http1, None, STALL).await;
    let _client = asked(server.address, "/large").await;
    soon(server.gone.recv()).await;
}

/// It answers pings and reads the socket, but gives this one answer no room.
#[tokio::test]
async fn a_client_of_http_2_that_gives_no_room_is_cut_off() {
    let mut server = server(Protocol::Http2, None, STALL).await;
    let (mut client, connection) = http2(server.address).await;
    let _body = ask(&mut client, "/large").await;
    soon(server.gone.recv()).await;
    assert!(soon(connection).await.is_ok());
}

#[tokio::test]
async fn a_stream_that_is_read_goes_on() {
    let bounds = Bounds {
        idle_timeout: SHORT,
        ..STALL
    };
    let first = server(Protocol::Http1, None, bounds).await;
    let text = soon(rest(asked(first.address, "/events").await)).await;
    assert_eq!(text.matches("event").count(), EVENTS, "{text}");
    let second = server(Protocol::Http2, None, bounds).await;
    let (mut client, _) = http2(second.address).await;
    let mut body = ask(&mut client, "/events").await;
    let mut bytes = 0;
    while let Some(piece) = soon(body.data()).await {
        let piece = piece.unwrap();
        bytes += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(bytes, EVENTS * "event\n".len());
}

#[tokio::test]
async fn a_large_answer_that_is_read_comes_whole() {
    let server = server(Protocol::Http2, None, STALL).await;
    let (mut client, _) = http2(server.address).await;
    let mut body = ask(&mut client, "/large").await;
    let mut bytes = 0;
    while bytes < LARGE_BYTES {
        let piece = soon(body.data()).await.unwrap().unwrap();
        bytes += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(bytes, LARGE_BYTES);
}

#[tokio::test]
async fn a_handshake_has_to_come_to_an_end() {
    let folder = tempfile::TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let [certificate_file, key_file] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let tls = Tls::load(certificate_file, key_file).unwrap();
    let bounds = Bounds {
        head_timeout: SHORT,
        ..BOUNDS
    };
    let server = server(Protocol::Http1, Some(tls), bounds).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(soon(rest(silent)).await, "");
}

#[tokio::test]
async fn one_peer_has_only_so_many_connections() {
    let bounds = Bounds {
        connections_of_peer_max: 1,
        ..BOUNDS
    };
    let server = server(Protocol::Http1, None, bounds).await;
    let mut first = asked(server.address, "/").await;
    let mut head = [0; 12];
    soon(first.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    assert_eq!(soon(rest(asked(server.address, "/").await)).await, "");
    drop(first);
    let again = async {
        // The server has to notice first that the place is free.
        while !asked_and_answered(server.address).await {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
}

async fn asked_and_answered(address: SocketAddr) -> bool {
    let mut socket = asked(address, "/").await;
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.is_ok()
}
