//! What is wrong with a request, as a problem document (RFC 9457).

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What is wrong with a request; the answer is a [`ProblemDocument`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<ProblemDocument>);

/// A problem document: what is wrong, where, and the fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// `urn:foreshard:problem:<kind>`; stable, for programs.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// What to do about it; empty where the detail says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    fix: String,
    /// One entry for each fault of the body, the query, the config or the module.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Issue>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
    #[serde(skip)]
    header: Option<(HeaderName, HeaderValue)>,
}

/// One fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Issue {
    /// Dotted path from the root of what was sent, e.g. `config.headroom`; empty: all of it.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl Problem {
    /// A problem of a kind (`kebab-case`), whose title is the kind in words.
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        let mut title = kind.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        Self(Box::new(ProblemDocument {
            kind: format!("urn:foreshard:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            fix: String::new(),
            errors: Vec::new(),
            retry_after_seconds: None,
            header: None,
        }))
    }

    /// No such thing.
    pub fn not_found(what: &str, name: &str) -> Self {
        let detail = format!("there is no {what} {name:?}");
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// What was given elsewhere means nothing here.
    pub(crate) fn of_another_replica(what: &str, value: &str) -> Self {
        let detail = format!(
            "the {what} {value:?} was given by another replica of this server, or by this one before it was restarted"
        );
        Self::new(StatusCode::GONE, "other-replica", detail)
    }

    /// A fault in the query.
    pub fn query(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-query",
            "the query has a parameter that is not right",
        )
        .issues([(format!("query.{parameter}"), message.into())])
    }

    /// A fault in a body that has the right form.
    pub fn body(path: &str, message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-body",
            "the body does not have the right form",
        )
        .issues([(path.to_owned(), message.into())])
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = fix.into();
        self
    }

    /// Adds faults with their paths.
    #[must_use]
    pub fn issues(mut self, issues: impl IntoIterator<Item = (String, String)>) -> Self {
        let issue = |(path, message)| Issue { path, message };
        self.0.errors.extend(issues.into_iter().map(issue));
        self
    }

    /// Says when to come again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// The path does not take the method; it takes these, with commas between them.
    pub(crate) fn method_not_allowed(methods: &str) -> Self {
        let problem = Self::of_status(StatusCode::METHOD_NOT_ALLOWED, "");
        match HeaderValue::from_str(methods) {
            Ok(value) => problem.header(header::ALLOW, value),
            Err(_) => problem,
        }
    }

    /// What a status means, for answers that were not written here: by the router, by a limit, by a panic.
    fn of_status(status: StatusCode, text: &str) -> Self {
        let (kind, detail, fix) = match status {
            StatusCode::NOT_FOUND => (
                "not-found",
                "there is nothing at this path",
                "GET /api/v1/openapi.json lists the paths",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method-not-allowed",
                "this path does not take this method",
                "the Allow header lists those that it takes",
            ),
            StatusCode::REQUEST_TIMEOUT => (
                "timeout",
                "the request took too long to arrive or to answer",
                "send it again",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "too-large",
                "the body is larger than this path takes",
                "send less",
            ),
            StatusCode::INTERNAL_SERVER_ERROR => (
                "internal-error",
                "a fault in Foreshard itself",
                "please report it with the log",
            ),
            _ => ("bad-request", text, ""),
        };
        Self::new(status, kind, detail).fix(fix)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::BAD_REQUEST);
        let retry_after = self.0.retry_after_seconds;
        let header = self.0.header.clone();
        let mut response = (status, axum::Json(self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        response
    }
}

/// Turns every error answer that is not a problem document yet into one; its other headers stay.
pub(crate) async fn for_every_error(response: Response) -> Response {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let already = content_type.is_some_and(|value| value == PROBLEM_JSON);
    if already || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = short_text(body).await;
    let (problem, problem_body) = Problem::of_status(status, &text)
        .into_response()
        .into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, problem_body)
}

/// The text of an error that a library wrote.
async fn short_text(body: Body) -> String {
    const BYTES_MAX: usize = 4096;
    let bytes = axum::body::to_bytes(body, BYTES_MAX).await;
    bytes.map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}
