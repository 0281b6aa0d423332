//! Keeps other web sites out of a server that listens on this machine, and sets the headers that browsers obey.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{hub::Hub, problem::Problem};

/// What a page from here may do: load its own files and call this server, nothing else.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Refuses a request that a browser sends for somebody else's page.
///
/// A name that somebody else owns can be made to resolve to this machine (DNS rebinding), so only names known to be
/// ours, and addresses, are answered.
pub(crate) async fn same_origin(
    State(hub): State<Arc<Hub>>,
    request: Request,
    next: Next,
) -> Response {
    if hub.ports.access.asks_for_token() {
        // A browser does not send a token by itself, so a foreign page has nothing to misuse.
        return next.run(request).await;
    }
    let host = host_of(&request);
    if let Some(host) = &host
        && !is_own(host_name(host), &hub.ports.host_names)
    {
        let detail = format!("this server does not answer to the name {host:?}");
        let fix = "call it by its address or by `localhost`";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host", detail)
            .fix(fix)
            .into_response();
    }
    let origin = request.headers().get(header::ORIGIN);
    if !request.method().is_safe()
        && origin.is_some_and(|origin| !matches_host(origin, host.as_deref()))
    {
        let detail = "a page from another origin may not change anything here";
        return Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail).into_response();
    }
    next.run(request).await
}

/// Sets [`HEADERS`] on every answer.
pub(crate) async fn security_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Host and port as the client wrote them.
fn host_of(request: &Request) -> Option<String> {
    let header = |headers: &HeaderMap| Some(headers.get(header::HOST)?.to_str().ok()?.to_owned());
    let uri = request.uri().authority().map(ToString::to_string);
    uri.or_else(|| header(request.headers()))
}

/// Without the port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_own(name: &str, host_names: &[String]) -> bool {
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || host_names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn matches_host(origin: &HeaderValue, host: Option<&str>) -> bool {
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok());
    let authority = origin.as_ref().and_then(Uri::authority);
    authority.is_some_and(|authority| Some(authority.as_str()) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_own_names_are_answered() {
        let names = ["foreshard.shop.svc".to_owned()];
        for own in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "localhost",
            "LOCALHOST:1",
            "foreshard.shop.svc:80",
        ] {
            assert!(is_own(host_name(own), &names), "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!is_own(host_name(foreign), &names), "{foreign}");
        }
    }

    #[test]
    fn an_origin_is_ours_only_with_the_same_host_and_port() {
        let ours = |origin: &'static str| {
            matches_host(&HeaderValue::from_static(origin), Some("localhost:8080"))
        };
        assert!(ours("http://localhost:8080"));
        for foreign in [
            "http://localhost:8081",
            "null",
            "http://evil.example",
            "file://",
        ] {
            assert!(!ours(foreign), "{foreign}");
        }
    }
}
