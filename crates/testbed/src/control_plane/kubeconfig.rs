//! Files that tell a Kubernetes client where its cluster is and who it is.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::api::{Api, Client};
use crate::error::Error;

/// As text; JSON is YAML as well. Everything is in it, so that it can be copied.
pub(super) fn text(server: &str, ca: &str, client: &Client) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {
            "server": server,
            "certificate-authority-data": STANDARD.encode(ca),
        }}],
        "users": [{"name": "testbed", "user": {
            "client-certificate-data": STANDARD.encode(&client.certificate),
            "client-key-data": STANDARD.encode(&client.key),
        }}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "testbed"}}],
        "current-context": "testbed",
    });
    format!("{config:#}\n")
}

/// A client for the current context of somebody else's file, as `kubectl` understands it.
pub(super) fn api_of(kubectl: &Path, kubeconfig: &Path) -> Result<Api, Error> {
    let output = Command::new(kubectl)
        .args(["config", "view", "--raw", "--minify", "--output", "json"])
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::Elsewhere(format!("{}: {error}", kubectl.display())))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Elsewhere(message));
    }
    let config: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::Elsewhere(error.to_string()))?;
    parse(&config)
}

fn parse(config: &Value) -> Result<Api, Error> {
    let text = |path: &str| config.pointer(path).and_then(Value::as_str);
    let decoded = |path: &str| -> Option<String> {
        let bytes = STANDARD.decode(text(path)?).ok()?;
        String::from_utf8(bytes).ok()
    };
    let missing = |what: &str| Error::Elsewhere(format!("its kubeconfig has no {what}"));
    let server = text("/clusters/0/cluster/server").ok_or_else(|| missing("server"))?;
    if !is_on_this_machine(server) {
        return Err(Error::Elsewhere(format!(
            "{server} is not on this machine, and tests change what they find"
        )));
    }
    let ca = decoded("/clusters/0/cluster/certificate-authority-data")
        .ok_or_else(|| missing("certificate-authority-data"))?;
    let client = decoded("/users/0/user/client-certificate-data")
        .zip(decoded("/users/0/user/client-key-data"))
        .map(|(certificate, key)| Client { certificate, key });
    let token = text("/users/0/user/token").map(str::to_owned);
    if client.is_none() && token.is_none() {
        return Err(missing("client certificate and no token"));
    }
    Api::tls(server, &ca, client.as_ref(), token)
        .map_err(|error| Error::Elsewhere(error.to_string()))
}

/// Kind, k3d and minikube listen on loopback; a cluster that does not may be one that others depend on.
fn is_on_this_machine(server: &str) -> bool {
    let host = server
        .strip_prefix("https://")
        .unwrap_or(server)
        .split('/')
        .next()
        .unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clusters_on_this_machine_are_taken() {
        for (server, here) in [
            ("https://127.0.0.1:6443", true),
            ("https://localhost:6443/", true),
            ("https://[::1]:6443", true),
            ("https://10.0.0.1:6443", false),
            ("https://127.0.0.1.example.com", false),
            ("https://production.example.com", false),
        ] {
            assert_eq!(is_on_this_machine(server), here, "{server}");
        }
    }

    #[test]
    fn a_cluster_elsewhere_is_refused_with_what_to_do() {
        let config = json!({"clusters": [{"cluster": {"server": "https://prod.example.com"}}]});
        let error = parse(&config).unwrap_err().to_string();
        assert!(
            error.contains("prod.example.com is not on this machine"),
            "{error}"
        );
        assert!(
            error.ends_with("or unset them to have the test bed's own"),
            "{error}"
        );
    }
}
