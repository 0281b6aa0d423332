//! Where the server is, how to reach it, and how to show who one is.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::client::Body;
use kube::config::{AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig};
use kube::config::{NamedAuthInfo, NamedCluster, NamedContext};
use kube::{Api, Client, Config};

use super::Args;
use super::answer::Answer;
use super::trouble::{Way, no_token, unanswered};

/// What a token for the server is made for.
const AUDIENCE: &str = "foreshard";
/// Where a token is looked for if no flag says otherwise.
const TOKEN_VARIABLE: &str = "FORESHARD_TOKEN";
/// For one upload; the shortest that Kubernetes makes.
const TOKEN_SECONDS: i64 = 600;
/// Longer than the server lets a check take.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The API server's proxy takes `Authorization` for itself; this header it passes on.
const BEHIND_A_PROXY: &str = "foreshard-authorization";

/// The operator's service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    namespace: String,
    name: String,
    port: u16,
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(namespace, rest)| {
            let (name, port) = rest.split_once(':')?;
            Some((namespace, name, port.parse().ok()?))
        });
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        };
        match parts {
            Some((namespace, name, port)) if is_name(namespace) && is_name(name) => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                port,
            }),
            _ => Err("it is not NAMESPACE/NAME:PORT".to_owned()),
        }
    }
}

/// A server that can be asked.
pub(super) struct Server {
    client: Client,
    /// Before `/api/v1`.
    prefix: String,
    namespace: String,
    shown: String,
    /// Sent in the header for proxies; a direct client sends it by itself.
    proxied_token: Option<String>,
}

impl Server {
    pub(super) async fn find(args: &Args) -> anyhow::Result<Self> {
        match &args.server {
            Some(url) => Self::direct(args, url).await,
            None => Self::through_the_cluster(args).await,
        }
    }

    /// How to call it in messages.
    pub(super) fn shown(&self) -> String {
        self.shown.clone()
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    async fn direct(args: &Args, url: &str) -> anyhow::Result<Self> {
        let token = match &args.service_account {
            Some(_) => Some(made_token(args, &kubernetes(args).await?).await?),
            None => given_token(args)?,
        };
        let namespace = args.namespace.clone();
        let namespace = namespace.context("--server needs a --namespace as well")?;
        let mut config = config_of(args, url, token).await?;
        hurry(&mut config);
        let client = Client::try_from(config).with_context(|| format!("reaching {url}"))?;
        Ok(Self {
            client,
            prefix: String::new(),
            namespace,
            shown: url.trim_end_matches('/').to_owned(),
            proxied_token: None,
        })
    }

    async fn through_the_cluster(args: &Args) -> anyhow::Result<Self> {
        let mut config = kubernetes(args).await?;
        let token = match &args.service_account {
            Some(_) => made_token(args, &config).await?,
            None => given_token(args)?.context(
                "the server wants to know who you are: give --service-account, --token-file or FORESHARD_TOKEN \
                 (`foreshard policy push --help` says more)",
            )?,
        };
        hurry(&mut config);
        let namespace = args.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let Service {
            namespace: of,
            name,
            port,
        } = &args.service;
        let client = Client::try_from(config).context("reaching the Kubernetes API server")?;
        Ok(Self {
            client,
            prefix: format!("/api/v1/namespaces/{of}/services/https:{name}:{port}/proxy"),
            namespace,
            shown: format!("service {of}/{name}"),
            proxied_token: Some(token),
        })
    }

    /// Uploads a component under a name.
    pub(super) async fn put(&self, name: &str, component: Vec<u8>) -> anyhow::Result<Answer> {
        let (prefix, namespace) = (&self.prefix, &self.namespace);
        let path = format!("{prefix}/api/v1/namespaces/{namespace}/policymodules/{name}");
        let mut request = Request::put(path)
            .header(header::CONTENT_TYPE, "application/wasm")
            .header(header::ACCEPT, "application/json");
        if let Some(token) = &self.proxied_token {
            request = request.header(BEHIND_A_PROXY, bearer(token)?);
        }
        let request = request
            .body(Body::from(component))
            .context("writing the request")?;
        let answer = self.client.send(request).await;
        let way = match &self.proxied_token {
            Some(_) => Way::Proxied,
            None => Way::Direct,
        };
        let answer = answer.map_err(|error| unanswered(&error, &self.shown, way))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await;
        let body = body.context("reading the answer")?.to_bytes();
        Answer::read(status, &body, &self.shown)
    }
}

/// The cluster of the kubeconfig.
async fn kubernetes(args: &Args) -> anyhow::Result<Config> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match &args.kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path);
            let read = read.with_context(|| format!("reading {}", path.display()))?;
            Config::from_custom_kubeconfig(read, &options).await
        }
        None => Config::from_kubeconfig(&options).await,
    };
    config.context(
        "reading the kubeconfig; give --kubeconfig and --context, or --server to go there directly",
    )
}

/// A configuration for a server that is no API server.
async fn config_of(args: &Args, url: &str, token: Option<String>) -> anyhow::Result<Config> {
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        bail!("--server {url:?} does not begin with https:// or http://");
    }
    let named = || "server".to_owned();
    let kubeconfig = Kubeconfig {
        clusters: vec![NamedCluster {
            name: named(),
            cluster: Some(Cluster {
                server: Some(url.trim_end_matches('/').to_owned()),
                certificate_authority: args.ca_file.as_ref().map(|path| path.display().to_string()),
                ..Cluster::default()
            }),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: named(),
            auth_info: Some(AuthInfo {
                token: token.map(Into::into),
                ..AuthInfo::default()
            }),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: named(),
            context: Some(Context {
                cluster: named(),
                user: Some(named()),
                ..Context::default()
            }),
            ..NamedContext::default()
        }],
        current_context: Some(named()),
        ..Kubeconfig::default()
    };
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    config.with_context(|| format!("--server {url}"))
}

/// An upload is sent once, and may take as long as its check does.
fn hurry(config: &mut Config) {
    config.default_retry = false;
    config.read_timeout = Some(TIMEOUT);
    config.write_timeout = Some(TIMEOUT);
}

/// The token that the user has.
fn given_token(args: &Args) -> anyhow::Result<Option<String>> {
    let Some(path) = &args.token_file else {
        let given = args.token.clone();
        let found = || std::env::var(TOKEN_VARIABLE).ok();
        return Ok(given.or_else(found).filter(|token| !token.is_empty()));
    };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("reading the token in {}", path.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        bail!("{} does not hold one token", path.display());
    }
    Ok(Some(token.to_owned()))
}

/// A token that the cluster makes for a service account.
async fn made_token(args: &Args, config: &Config) -> anyhow::Result<String> {
    let account = args.service_account.as_deref().unwrap_or_default();
    let namespace = args.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config.clone()).context("reaching the Kubernetes API server")?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec![AUDIENCE.to_owned()],
            expiration_seconds: Some(TOKEN_SECONDS),
            bound_object_ref: None,
        },
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await;
    let made = made.map_err(|error| no_token(&error, account, &namespace))?;
    let status = made.status.context("the cluster made no token")?;
    Ok(status.token)
}

fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut value = value.context("the token has characters that no token has")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_three_parts() {
        let service: Service = "foreshard-system/foreshard:8443".parse().unwrap();
        assert_eq!(
            (service.namespace.as_str(), service.port),
            ("foreshard-system", 8443)
        );
        for bad in [
            "",
            "a",
            "a/b",
            "a/b:x",
            "a/b:99999",
            "/b:1",
            "a/:1",
            "a/b/c:1",
            "a/..%2f:1",
        ] {
            assert!(bad.parse::<Service>().is_err(), "{bad:?}");
        }
    }
}
