//! How a question reaches the server: HTTP with TLS and credentials, bounded in bytes and time.

#[cfg(test)]
mod tests;

use std::net::ToSocketAddrs as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prometheus_http_query::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Identity, Response, Url};

use super::config::{Auth, SourceConfig, Tls, Verification};
use super::error::ConfigError;
use super::fault::Fault;
use crate::text::{chain, shown_url};

/// Longer queries go by POST: servers and proxies limit the length of addresses. Shorter ones by GET, which also those
/// may who may only read.
const GET_BYTES_MAX: usize = 2048;

/// Redirects on the same host, such as from `/prometheus` to `/prometheus/`.
const REDIRECTS_MAX: usize = 3;

/// Part of the request's time that connecting may take.
const CONNECT_SHARE: f64 = 0.5;

/// A question for the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) promql: String,
    pub(super) when: When,
    /// Most series wanted; servers that know the parameter stop there.
    pub(super) series_max: usize,
}

/// When it is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Now by the server's clock.
    Now,
    /// At both ends and every step between, in Unix seconds.
    Range { from: i64, to: i64, step: i64 },
}

/// What came back, whatever it says.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// The future of a reply.
pub(super) type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send + 'a>>;

/// Takes questions to a server. Tests have their own.
pub(super) trait Transport: Send + Sync + 'static {
    /// Asks once. The caller sees to the time.
    fn ask(&self, ask: Ask) -> Exchange<'_>;
    /// The server's address for messages.
    fn url(&self) -> &str;
}

/// The real one.
pub(super) struct Http {
    url: String,
    client: Client,
    timeout: Duration,
    answer_bytes_max: usize,
}

impl Http {
    pub(super) fn new(config: &SourceConfig) -> Result<Self, ConfigError> {
        let url = read_url(&config.url)?;
        let mut headers = headers(config)?;
        let mut asked = url.clone();
        let mut builder = ClientBuilder::new()
            .http1_only()
            .no_proxy()
            .connect_timeout(config.timeout.mul_f64(CONNECT_SHARE))
            .pool_max_idle_per_host(config.limits.parallel_requests_max)
            .redirect(same_origin());
        builder = tls(builder, &config.tls)?;
        if let Some(name) = &config.tls.server_name {
            asked
                .set_host(Some(name))
                .map_err(|error| ConfigError::Field {
                    field: "tls.server_name",
                    reason: format!("`{name}` is not a host's name: {error}"),
                })?;
            let host = HeaderValue::from_str(authority(&url).as_str());
            headers.extend(host.ok().map(|host| (Some(HOST), host)));
            builder = builder.dns_resolver(Arc::new(Fixed::new(&url)));
        }
        let client = builder.default_headers(headers).build();
        let client = client.map_err(|error| ConfigError::Field {
            field: "tls",
            reason: chain(&error),
        })?;
        let client = Client::from(client, asked.as_str()).map_err(|error| ConfigError::Url {
            url: shown_url(&url),
            reason: chain(&error),
        })?;
        Ok(Self {
            url: shown_url(&url),
            client,
            timeout: config.timeout,
            answer_bytes_max: config.limits.answer_bytes_max,
        })
    }

    #[tracing::instrument(level = "debug", name = "prometheus query", skip_all, fields(url = %self.url))]
    async fn exchange(&self, ask: Ask) -> Result<Reply, Fault> {
        let milliseconds = self.timeout.as_millis() as i64;
        let by_get = ask.promql.len() <= GET_BYTES_MAX;
        let sent = match ask.when {
            When::Now => {
                let request = self.client.query(&ask.promql);
                let request = request.timeout(milliseconds).query("limit", ask.series_max);
                if by_get {
                    request.get_raw().await
                } else {
                    request.post_raw().await
                }
            }
            When::Range { from, to, step } => {
                let request = self.client.query_range(&ask.promql, from, to, step as f64);
                let request = request.timeout(milliseconds).query("limit", ask.series_max);
                if by_get {
                    request.get_raw().await
                } else {
                    request.post_raw().await
                }
            }
        };
        let response = sent.map_err(|error| Fault::Unreachable {
            url: self.url.clone(),
            reason: self.reason(&error),
        })?;
        self.receive(response).await
    }

    async fn receive(&self, mut response: Response) -> Result<Reply, Fault> {
        let header = |name| {
            let value: Option<&HeaderValue> = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let retry_after = header(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
        let location = header(LOCATION);
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| Fault::Interrupted {
                url: self.url.clone(),
                reason: self.reason(&error),
            })?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > self.answer_bytes_max {
                return Err(Fault::AnswerTooLarge {
                    bytes_max: self.answer_bytes_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: response.status().as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
            location,
            body,
        })
    }

    /// What the network said, without the address of the request, which holds the whole query.
    fn reason(&self, error: &dyn std::error::Error) -> String {
        let text = chain(error);
        match text.split_once(" for url (") {
            Some((before, after)) => {
                let after = after.split_once(')').map_or("", |(_, after)| after);
                format!("{before}{after}")
            }
            None => text,
        }
    }
}

impl Transport for Http {
    fn ask(&self, ask: Ask) -> Exchange<'_> {
        Box::pin(self.exchange(ask))
    }

    fn url(&self) -> &str {
        &self.url
    }
}

fn read_url(text: &str) -> Result<Url, ConfigError> {
    let invalid = |reason: &str| ConfigError::Url {
        // Whatever stands before an @ may be a password.
        url: text
            .rsplit_once('@')
            .map_or(text, |(_, host)| host)
            .to_owned(),
        reason: reason.to_owned(),
    };
    let mut url = Url::parse(text.trim()).map_err(|error| invalid(&error.to_string()))?;
    // The client puts its own slash behind.
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("the scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("credentials belong into the field auth"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it has parameters"));
    }
    if url.host_str().is_none() {
        return Err(invalid("it has no host"));
    }
    Ok(url)
}

/// `host` or `host:port`, as in the header.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn headers(config: &SourceConfig) -> Result<HeaderMap, ConfigError> {
    let field = |field: &'static str, reason: String| ConfigError::Field { field, reason };
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let not_a_name = |_| field("headers", format!("`{name}` is not the name of a header"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(not_a_name)?;
        let not_a_value = |_| {
            let reason = format!("the value of `{name}` has characters that a header cannot have");
            field("headers", reason)
        };
        let mut value = HeaderValue::from_str(value.expose()).map_err(not_a_value)?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    let credentials = match &config.auth {
        Auth::None => return Ok(headers),
        Auth::Bearer(token) => format!("Bearer {}", token.expose()),
        Auth::Basic { user, .. } if user.contains(':') => {
            return Err(field(
                "auth.user",
                "a user's name cannot hold a colon".to_owned(),
            ));
        }
        Auth::Basic { user, password } => {
            let both = format!("{user}:{}", password.expose());
            format!("Basic {}", STANDARD.encode(both))
        }
    };
    let unsendable = |_| {
        field(
            "auth",
            "the token has characters that a header cannot have".to_owned(),
        )
    };
    let mut credentials = HeaderValue::from_str(&credentials).map_err(unsendable)?;
    credentials.set_sensitive(true);
    headers.insert(AUTHORIZATION, credentials);
    Ok(headers)
}

fn tls(mut builder: ClientBuilder, tls: &Tls) -> Result<ClientBuilder, ConfigError> {
    let field = |field: &'static str, reason: String| ConfigError::Field { field, reason };
    if let Some(pem) = &tls.authorities_pem {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| field("tls.authorities_pem", chain(&error)))?;
        if certificates.is_empty() {
            let reason = "there is no certificate in it; it must be PEM".to_owned();
            return Err(field("tls.authorities_pem", reason));
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some(client) = &tls.client {
        let both = format!("{}\n{}\n", client.key_pem.expose(), client.certificate_pem);
        let unreadable = |_| {
            let reason = "the certificate or its key cannot be read; both must be PEM".to_owned();
            field("tls.client", reason)
        };
        builder = builder.identity(Identity::from_pem(both.as_bytes()).map_err(unreadable)?);
    }
    if tls.verification == Verification::Skipped {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// Redirects are followed to where the credentials go anyway, and nowhere else.
fn same_origin() -> Policy {
    Policy::custom(|attempt| {
        let origin = attempt.previous().first().map(Url::origin);
        let same = origin.is_some_and(|origin| origin == attempt.url().origin());
        if same && attempt.previous().len() <= REDIRECTS_MAX {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

/// Looks up one host whatever the name: the name is only for the certificate.
struct Fixed {
    host: String,
}

impl Fixed {
    fn new(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        Self {
            host: host.trim_matches(['[', ']']).to_owned(),
        }
    }
}

impl Resolve for Fixed {
    fn resolve(&self, _name: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            // Port 0: the URL's own is used.
            let look_up = move || (host.as_str(), 0).to_socket_addrs();
            let addresses = tokio::task::spawn_blocking(look_up).await??;
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
