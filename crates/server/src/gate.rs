//! Lets through who may: asks [`crate::Access`] about every request that needs a right, before its body is read.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{RequestPartsExt as _, http::request::Parts};
use axum::{
    extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    access::{Action, Caller, Denied, Identity},
    audit::Entry,
    extract::path_name,
    hub::Hub,
    name::{Name, ObjectName},
    problem::Problem,
    rights::{Right, methods_of, right_to},
};

/// Refuses who may not. Who may finds their [`Identity`] among the request's extensions, and a [`crate::audit::Note`] for the entry
/// in the audit log.
pub(crate) async fn gate(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let peer = peer(&parts).map(|peer| peer.to_string());
    let mut entry = Entry::new(peer.unwrap_or_default());
    let response = match admitted(&hub, &mut parts, &mut entry).await {
        Ok(who) => {
            parts.extensions.insert(who);
            parts.extensions.insert(entry.note());
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    };
    entry.end(response.status());
    response
}

async fn admitted(hub: &Hub, parts: &mut Parts, entry: &mut Entry) -> Result<Identity, Problem> {
    let path = parts.extensions.get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    let right = right_to(&parts.method, path).ok_or_else(|| not_in_the_table(path))?;
    let action = action(right, parts).await?;
    let stranger = match hub.ports.access.knows(caller(parts)) {
        true => None,
        false => Some(hub.strangers.admit(peer(parts))?),
    };
    // Not before: strangers without a place would fill the audit log.
    if let Some(action) = &action {
        entry.action(action);
    }
    let who = identified(hub, parts).await?;
    drop(stranger);
    entry.who(&who);
    if let Some(rates) = &hub.rates {
        rates.count(&who.user, right.changes_something())?;
    }
    if let Some(action) = &action {
        require(hub, &who, action).await?;
    }
    Ok(who)
}

/// Refuses who may not do that.
pub(crate) async fn require(hub: &Hub, who: &Identity, action: &Action) -> Result<(), Problem> {
    let allowed = hub.ports.access.allow(who, action).await;
    allowed.map_err(|denied| refused(denied, who, action))
}

/// A route that nobody wrote down is nobody's.
fn not_in_the_table(path: &str) -> Problem {
    let methods = methods_of(path);
    if methods.is_empty() {
        let detail = "no right is defined for this";
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", detail);
    }
    Problem::method_not_allowed(&methods)
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(address)| address.ip())
}

fn caller(parts: &Parts) -> Caller<'_> {
    Caller {
        token: bearer(&parts.headers),
        peer: peer(parts),
    }
}

async fn identified(hub: &Hub, parts: &Parts) -> Result<Identity, Problem> {
    let identified = hub.ports.access.identify(caller(parts)).await;
    identified.map_err(|denied| match denied {
        Denied::Unknown(detail) | Denied::Forbidden(detail) => unauthenticated(detail),
        Denied::Unavailable(detail) => unavailable(detail),
    })
}

/// The API server's service proxy takes `Authorization` for itself and passes on what it does not know.
const BEHIND_A_PROXY: &str = "foreshard-authorization";

/// The token of an `Authorization` header (RFC 6750), or of the header that stands for it behind a proxy.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers
        .get(BEHIND_A_PROXY)
        .or_else(|| headers.get(header::AUTHORIZATION))?;
    let value = value.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What the request is about to do, as far as it has to be asked for here.
async fn action(right: Right, parts: &mut Parts) -> Result<Option<Action>, Problem> {
    let action = match right {
        Right::OfEverybodyKnown => return Ok(None),
        Right::OnPath { path } => Action::OnPath { verb: "get", path },
        Right::OnResource { verb, resource } => {
            let namespace: Name = path_name(parts, "ns").await?;
            let name = object_name(parts).await?;
            Action::OnResource {
                verb,
                resource,
                namespace: Some(namespace.to_string()),
                name,
            }
        }
    };
    Ok(Some(action))
}

/// The `{name}` of the path, where it has one.
async fn object_name(parts: &mut Parts) -> Result<Option<String>, Problem> {
    let parameters = parts.extract::<RawPathParams>().await;
    // What is no text is said by `path_name`.
    let named = parameters.is_ok_and(|all| all.iter().any(|(name, _)| name == "name"));
    if !named {
        return Ok(None);
    }
    let name: ObjectName = path_name(parts, "name").await?;
    Ok(Some(name.to_string()))
}

fn unauthenticated(detail: String) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
        .fix("send `Authorization: Bearer TOKEN`; `kubectl create token NAME -n NS --audience foreshard` makes one")
        .header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"foreshard\""),
        )
}

pub(crate) fn unavailable(detail: String) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "access-unavailable", detail).retry_after(1)
}

/// Names verb, resource and namespace, so that whoever keeps the roles knows which rule is missing.
fn refused(denied: Denied, who: &Identity, action: &Action) -> Problem {
    let reason = match denied {
        Denied::Unavailable(detail) => return unavailable(detail),
        Denied::Unknown(reason) | Denied::Forbidden(reason) => reason,
    };
    let mut detail = format!("user {:?} may not {}", who.user, action);
    if !reason.is_empty() {
        detail = format!("{detail}: {reason}");
    }
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
        .fix("have a Role or ClusterRole with this rule bound to the user")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_taken() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(bearer(&headers), token, "{value:?}");
        }
    }
}
