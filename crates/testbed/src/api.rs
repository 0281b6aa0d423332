//! A small blocking client for the HTTP interfaces of parts: enough to wait for them and to look at them.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// A part on this machine that has not answered after this will not.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers are objects of tests, not bulk.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How much of an unexpected answer a message shows.
const SHOWN_CHARS: usize = 300;

/// Why a request has no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answered.
    #[error("{method} {url}: {reason}")]
    NoAnswer {
        /// The request's method.
        method: String,
        /// The request's address.
        url: String,
        /// Why.
        reason: Box<ureq::Error>,
    },
    /// An answer that says no.
    #[error("{method} {url}: {status}: {message}")]
    Refused {
        /// The request's method.
        method: String,
        /// The request's address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the answer says.
        message: String,
    },
    /// An answer that is no JSON.
    #[error("{url}: the answer is not JSON: {message}")]
    NotJson {
        /// The request's address.
        url: String,
        /// What is wrong with it.
        message: String,
    },
}

impl ApiError {
    /// The HTTP status of an answer that says no.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// One server, and who asks it.
#[derive(Debug, Clone)]
pub struct Api {
    agent: Agent,
    server: String,
    token: Option<String>,
}

/// Who asks, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Api {
    /// A server on this machine without TLS, such as `http://127.0.0.1:9090`.
    #[must_use]
    pub fn plain(server: impl Into<String>) -> Self {
        Self {
            agent: config(None),
            server: server.into(),
            token: None,
        }
    }

    /// A server with TLS whose certificate comes from `ca` (PEM).
    pub(crate) fn tls(
        server: impl Into<String>,
        ca: &str,
        client: Option<&Client>,
        token: Option<String>,
    ) -> Result<Self, ureq::Error> {
        let roots = RootCerts::new_with_certs(&[Certificate::from_pem(ca.as_bytes())?]);
        let client = client
            .map(|client| -> Result<ClientCert, ureq::Error> {
                let certificate = Certificate::from_pem(client.certificate.as_bytes())?;
                let key = PrivateKey::from_pem(client.key.as_bytes())?;
                Ok(ClientCert::new_with_certs(&[certificate], key))
            })
            .transpose()?;
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .client_cert(client)
            .build();
        Ok(Self {
            agent: config(Some(tls)),
            server: server.into(),
            token,
        })
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The text of a successful answer.
    ///
    /// # Errors
    /// No answer, or one that says no.
    pub fn text(&self, path: &str) -> Result<String, ApiError> {
        self.ask(&Method::GET, path, "", Vec::new())
    }

    /// The JSON of a successful answer.
    ///
    /// # Errors
    /// No answer, one that says no, one that is no JSON.
    pub fn get(&self, path: &str) -> Result<Value, ApiError> {
        let text = self.text(path)?;
        self.parse(path, &text)
    }

    /// Creates an object in a collection.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.send(&Method::POST, path, "application/json", object)
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.send(&Method::PUT, path, "application/json", object)
    }

    /// Merges a patch into an object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn patch(&self, path: &str, patch: &Value) -> Result<Value, ApiError> {
        let kind = "application/merge-patch+json";
        self.send(&Method::PATCH, path, kind, patch)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn delete(&self, path: &str) -> Result<Value, ApiError> {
        let text = self.ask(&Method::DELETE, path, "", Vec::new())?;
        self.parse(path, &text)
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        content_type: &str,
        object: &Value,
    ) -> Result<Value, ApiError> {
        let body = object.to_string().into_bytes();
        let text = self.ask(method, path, content_type, body)?;
        self.parse(path, &text)
    }

    fn ask(
        &self,
        method: &Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<String, ApiError> {
        let url = format!("{}{path}", self.server);
        let no_answer = |reason| ApiError::NoAnswer {
            method: method.to_string(),
            url: url.clone(),
            reason: Box::new(reason),
        };
        let mut request = Request::builder().method(method).uri(&url);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request
            .body(body)
            .map_err(|error| no_answer(ureq::Error::Http(error)))?;
        let mut answer = self.agent.run(request).map_err(no_answer)?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(no_answer)?;
        if status.is_success() {
            return Ok(text);
        }
        Err(ApiError::Refused {
            method: method.to_string(),
            url,
            status: status.as_u16(),
            message: message_of(&text),
        })
    }

    fn parse(&self, path: &str, text: &str) -> Result<Value, ApiError> {
        serde_json::from_str(text).map_err(|error| ApiError::NotJson {
            url: format!("{}{path}", self.server),
            message: error.to_string(),
        })
    }
}

/// What a Kubernetes `Status` says, or the beginning of another answer.
fn message_of(text: &str) -> String {
    let status: Option<Value> = serde_json::from_str(text).ok();
    let message = status
        .as_ref()
        .and_then(|status| status.get("message")?.as_str())
        .unwrap_or(text);
    message.chars().take(SHOWN_CHARS).collect()
}

/// Never by a proxy, never somewhere else by redirection: the parts are on this machine.
fn config(tls: Option<TlsConfig>) -> Agent {
    Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .tls_config(tls.unwrap_or_default())
        .build()
        .new_agent()
}
