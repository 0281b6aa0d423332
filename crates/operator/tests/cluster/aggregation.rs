//! The network of a cluster as far as the API server's aggregation layer needs it, and certificates for who serves there.

use std::net::SocketAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::stage::Stage;

/// An authority, and what it has signed for these names: `ca.crt`, `tls.crt`, `tls.key`.
pub(crate) fn write_certificates(folder: &Path, names: &[&str]) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    for (name, text) in [
        ("ca.crt", authority),
        ("tls.crt", certificate),
        ("tls.key", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Whatever the API server sends to a service arrives at `address`.
pub(crate) async fn network(listener: UnixListener, address: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(pass_on(stream, address));
    }
}

async fn pass_on(mut from: UnixStream, address: SocketAddr) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    assert!(head.starts_with(b"CONNECT "), "{head:?}");
    let mut to = TcpStream::connect(address).await?;
    from.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut from, &mut to).await?;
    Ok(())
}

/// A service that leads to addresses which nobody has: the network above does not look at them.
pub(crate) fn create_service(stage: &Stage, name: &str) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"name": "https", "port": 443}]}
    });
    stage.create("api/v1", "services", &service);
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.98.0.1"], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]
    });
    stage.create("apis/discovery.k8s.io/v1", "endpointslices", &slice);
}
