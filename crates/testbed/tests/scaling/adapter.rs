//! The metric that the HorizontalPodAutoscaler follows: `external.metrics.k8s.io`, answered with what Prometheus has.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use foreshard_testbed::Api;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

const VERSION: &str = "external.metrics.k8s.io/v1beta1";
const TIMEOUT: Duration = Duration::from_secs(5);

/// Serves from now on, until the process ends; where.
pub(crate) fn serve(host: Ipv4Addr, prometheus: Api, query: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, prometheus) = (Arc::clone(&config), prometheus.clone());
            // A caller that went away asks again.
            thread::spawn(move || answer(stream, config, &prometheus, query));
        }
    });
    address
}

/// With a certificate that nobody knows: the APIService does not ask for one.
fn config() -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["metrics".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let certificate = CertificateDer::from(certificate.der().to_vec());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    prometheus: &Api,
    query: &str,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut request = String::new();
    stream.read_line(&mut request)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = respond(path, prometheus, query);
    let body = body.to_string();
    let stream = stream.get_mut();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn respond(path: &str, prometheus: &Api, query: &str) -> (&'static str, Value) {
    let own = format!("/apis/{VERSION}");
    let Some(rest) = path.strip_prefix(&own) else {
        return ("404 Not Found", json!({}));
    };
    if rest.trim_matches('/').is_empty() {
        let resource = json!({
            "name": "requests", "singularName": "", "namespaced": true,
            "kind": "ExternalMetricValueList", "verbs": ["get"],
        });
        let list = json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": [resource],
        });
        return ("200 OK", list);
    }
    match value(prometheus, query) {
        Some(value) => {
            let item = json!({
                "metricName": "requests", "metricLabels": {}, "value": format!("{}m", (value * 1000.0).round()),
                "timestamp": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            });
            let list = json!({
                "kind": "ExternalMetricValueList", "apiVersion": VERSION, "metadata": {}, "items": [item],
            });
            ("200 OK", list)
        }
        None => ("503 Service Unavailable", json!({})),
    }
}

/// What an expression is at the moment.
pub(crate) fn value(prometheus: &Api, query: &str) -> Option<f64> {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = prometheus
        .get(&format!("/api/v1/query?query={encoded}"))
        .ok()?;
    answer
        .pointer("/data/result/0/value/1")?
        .as_str()?
        .parse()
        .ok()
}
