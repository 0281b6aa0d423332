//! What a handler takes from a request; whatever is wrong with it is a [`Problem`] that names the place.

use std::{str::FromStr, sync::Arc};

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use foreshard_listener::{NoPlace, Place};
use serde::de::DeserializeOwned;

use crate::{
    access::Identity,
    hub::{Hub, Namespace},
    name::{Name, NameError, ObjectName},
    problem::Problem,
    rates::too_many,
};

/// The namespace in the path; something is known of it.
pub(crate) struct Scope(pub(crate) Arc<Namespace>);

/// The name of the namespace in the path, whether or not anything is known of it.
pub(crate) struct ScopeName(pub(crate) Name);

/// The `{name}` in the path.
pub(crate) struct Item(pub(crate) Name);

/// The `{name}` in the path, where it is that of an object that we do not name.
pub(crate) struct ObjectItem(pub(crate) ObjectName);

/// The parameters of the query.
pub(crate) struct Params<T>(pub(crate) T);

/// The JSON body.
pub(crate) struct Document<T>(pub(crate) T);

/// A WebAssembly component as the body, and its sender's place among the uploads.
pub(crate) struct Component {
    pub(crate) bytes: Bytes,
    _place: Place<String>,
}

impl FromRequestParts<Arc<Hub>> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, Problem> {
        let name: Name = path_name(parts, "ns").await?;
        let namespace = hub.namespace(&name);
        namespace.map(Self).ok_or_else(|| {
            Problem::not_found("namespace", name.as_ref())
                .fix("a namespace is here as long as something in it is scaled")
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ScopeName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        path_name(parts, "ns").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Item {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        path_name(parts, "name").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ObjectItem {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        path_name(parts, "name").await.map(Self)
    }
}

/// The path parameter as a name; the router has undone `%2e%2e%2f` by now, so a path trick shows as what it is.
pub(crate) async fn path_name<T: FromStr<Err = NameError>>(
    parts: &mut Parts,
    parameter: &str,
) -> Result<T, Problem> {
    let invalid = |message: String| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-name",
            "the path has a name that is not one",
        )
        .issues([(format!("path.{parameter}"), message)])
    };
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let parameters = parameters.map_err(|rejection| invalid(rejection.body_text()))?;
    let text = parameters.iter().find(|(name, _)| *name == parameter);
    let (_, text) = text.ok_or_else(|| invalid("it is missing".to_owned()))?;
    text.parse::<T>()
        .map_err(|error| invalid(error.to_string()))
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded_pairs(query));
        serde_path_to_error::deserialize(pairs)
            .map(Self)
            .map_err(|error| {
                let path = error.path().to_string();
                Problem::query(&path, error.into_inner().to_string())
            })
    }
}

fn form_urlencoded_pairs(query: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.as_bytes())
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Document<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_type(request.headers(), &["application/json"])?;
        let bytes = whole_body(request, state).await?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            invalid_json(&path, &error.into_inner())
        })?;
        json.end().map_err(|error| invalid_json("", &error))?;
        Ok(Self(parsed))
    }
}

fn invalid_json(path: &str, error: &serde_json::Error) -> Problem {
    // The whole document, or a place that can't be told.
    let path = if matches!(path, "." | "?") { "" } else { path };
    let (status, kind, detail) = if error.is_data() {
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-body",
            "the body does not have the right form",
        )
    } else {
        (
            StatusCode::BAD_REQUEST,
            "invalid-json",
            "the body is not JSON",
        )
    };
    Problem::new(status, kind, detail).issues([(path.to_owned(), error.to_string())])
}

impl FromRequest<Arc<Hub>> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, hub: &Arc<Hub>) -> Result<Self, Problem> {
        // `curl -T file` sends no content type.
        if request.headers().contains_key(header::CONTENT_TYPE) {
            require_type(
                request.headers(),
                &["application/wasm", "application/octet-stream"],
            )?;
        }
        let user = request.extensions().get::<Identity>();
        let user = user.map_or_else(String::new, |who| who.user.clone());
        let place = hub.uploads.take(user).map_err(|why| {
            let what = ("too-many-uploads", "uploads", 5);
            no_place(why, what)
        })?;
        let bytes = whole_body(request, hub).await?;
        Ok(Self {
            bytes,
            _place: place,
        })
    }
}

/// Says that a user has to wait for a place: the kind of the problem where all are taken, what the places are for, and
/// the seconds after which to try again.
pub(crate) fn no_place(why: NoPlace, (kind, what, seconds): (&str, &str, u32)) -> Problem {
    match why {
        NoPlace::HasEnough => {
            let detail = format!("you have as many {what} as one user may have at a time");
            too_many(detail, seconds)
        }
        NoPlace::Full => {
            let detail = format!("there are as many {what} as this server takes at a time");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail).retry_after(seconds)
        }
    }
}

fn require_type(headers: &HeaderMap, wanted: &[&str]) -> Result<(), Problem> {
    let sent = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = sent
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if essence.is_some_and(|sent| wanted.iter().any(|type_| sent.eq_ignore_ascii_case(type_))) {
        return Ok(());
    }
    let detail = match sent {
        Some(sent) => format!("the body is said to be {sent:?}"),
        None => "the body has no content type".to_owned(),
    };
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        detail,
    )
    .fix(format!(
        "send it with `Content-Type: {}`",
        wanted.join("` or `")
    )))
}

async fn whole_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                status,
                "too-large",
                "the body is larger than this path takes",
            ),
            status => Problem::new(status, "broken-body", rejection.body_text()),
        })
}

/// Refuses a request whose `Accept` header leaves out all that this path can answer.
pub(crate) fn require_accepted(headers: &HeaderMap, offered: &[&str]) -> Result<(), Problem> {
    if offered.iter().any(|type_| accepts(headers, type_)) {
        return Ok(());
    }
    let detail = format!("this path answers only {}", offered.join(" or "));
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        detail,
    ))
}

/// Whether the `Accept` header takes the type, by itself or by a wildcard; without the header all is taken.
pub(crate) fn accepts(headers: &HeaderMap, type_: &str) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    let family = type_.split('/').next().unwrap_or_default();
    values.peek().is_none()
        || values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|range| {
                let mut fields = range.split(';').map(str::trim);
                let range = fields.next().unwrap_or_default();
                let refused =
                    fields.any(|field| matches!(field, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
                let matched =
                    range == "*/*" || range == type_ || range.strip_suffix("/*") == Some(family);
                matched && !refused
            })
}
