//! Encrypted, with certificates that change.

use std::{fs, path::Path, time::Duration};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName},
    },
};

use super::*;
use crate::{ListenError, PlainText, Tls, TlsError, listen, require_tls, serve};

/// Writes a certificate for `localhost`, signed by itself, and its key; answers with it.
fn write_pair(folder: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

fn load(folder: &Path) -> Result<Arc<Tls>, TlsError> {
    Tls::load(folder.join("tls.crt"), folder.join("tls.key"))
}

type Stream = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

/// Trusts only this certificate, and offers these protocols.
async fn connect(
    address: std::net::SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let socket = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, socket).await
}

/// Asks for `/livez`.
async fn ask(
    address: std::net::SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<String> {
    let mut stream = connect(address, trusted, &[]).await?;
    let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_new_certificate_is_taken_while_it_serves() {
    let folder = TempDir::new().unwrap();
    let first = write_pair(folder.path());
    let tls = load(folder.path()).unwrap();
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, Some(Arc::clone(&tls)), hub(), async {
        let _ = stopped.await;
    }));
    assert!(
        ask(address, &first)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 OK")
    );
    assert!(!tls.reload().unwrap(), "nothing has changed");

    let second = write_pair(folder.path());
    assert!(tls.reload().unwrap());
    assert!(
        ask(address, &second)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 OK")
    );
    assert!(
        ask(address, &first).await.is_err(),
        "the old one is not shown any more"
    );

    // Only one of two files is new: what works stays.
    let other = KeyPair::generate().unwrap();
    fs::write(folder.path().join("tls.key"), other.serialize_pem()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pair { .. })));
    fs::write(folder.path().join("tls.crt"), "half").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Pem { .. })));
    fs::remove_file(folder.path().join("tls.crt")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    assert!(ask(address, &second).await.is_ok());

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
}

fn plain(allowed: bool) -> PlainText {
    PlainText {
        allowed,
        flag: "--insecure",
    }
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    let loopback = "127.0.0.1:8080".parse().unwrap();
    let everywhere = "0.0.0.0:8080".parse().unwrap();
    assert!(require_tls(loopback, None, plain(false)).is_ok());
    assert!(require_tls(everywhere, None, plain(true)).is_ok());
    let refused = require_tls(everywhere, None, plain(false));
    assert!(matches!(refused, Err(ListenError::Plain { .. })));
    let folder = TempDir::new().unwrap();
    write_pair(folder.path());
    let tls = load(folder.path()).unwrap();
    assert!(require_tls(everywhere, Some(&tls), plain(false)).is_ok());
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_agreed_on() {
    let folder = TempDir::new().unwrap();
    let certificate = write_pair(folder.path());
    let tls = load(folder.path()).unwrap();
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Some(tls), hub(), std::future::pending()));
    let mut stream = connect(address, &certificate, &[b"h2"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // RFC 9113, section 3.4: the client's preface and an empty frame of settings; the server begins with its own.
    const SETTINGS: u8 = 4;
    let preface = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0],
    ];
    stream.write_all(&preface.concat()).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], SETTINGS);
}
