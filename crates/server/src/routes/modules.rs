//! Policy modules: uploaded components, each under a name.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{InNamespace, Named};
use crate::{
    checking::checked,
    extract::{Component, Item, Scope, require_accepted},
    hub::Hub,
    policies::{StoreError, Stored},
    problem::{Problem, ProblemDocument},
    view::PolicyModule,
};

/// Every module of a namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyModuleList {
    items: Vec<PolicyModule>,
}

/// Every stored module.
#[utoipa::path(
    get, path = "/policymodules", tag = "policies", operation_id = "list_policy_modules", params(InNamespace),
    responses(
        (status = OK, body = PolicyModuleList),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(Scope(namespace): Scope) -> Json<PolicyModuleList> {
    Json(PolicyModuleList {
        items: namespace.modules().list().cloned().collect(),
    })
}

/// One stored module; its entity tag is the component's digest.
#[utoipa::path(
    get, path = "/policymodules/{name}", tag = "policies", operation_id = "get_policy_module", params(Named),
    responses(
        (status = OK, body = PolicyModule, headers(("etag" = String, description = "The digest"))),
        (status = NOT_MODIFIED, description = "`If-None-Match` has the digest"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    Scope(namespace): Scope,
    Item(name): Item,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let stored = namespace.modules().get(name.as_ref());
    let stored = stored.ok_or_else(|| Problem::not_found("policy module", name.as_ref()))?;
    let tag = entity_tag(&stored.module);
    if names(&headers, &header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(&stored.module)).into_response())
}

/// The bytes of a stored component.
#[utoipa::path(
    get, path = "/policymodules/{name}/component", tag = "policies", operation_id = "get_component",
    params(Named),
    responses(
        (status = OK, body = [u8], content_type = "application/wasm"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn component(
    Scope(namespace): Scope,
    Item(name): Item,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    require_accepted(&headers, &["application/wasm"])?;
    let stored = namespace.modules().get(name.as_ref());
    let stored = stored.ok_or_else(|| Problem::not_found("policy module", name.as_ref()))?;
    let wasm = HeaderValue::from_static("application/wasm");
    let head = [
        (header::CONTENT_TYPE, wasm),
        (header::ETAG, entity_tag(&stored.module)),
    ];
    Ok((head, stored.component.clone()).into_response())
}

/// Checks a component and stores it under a name. It is untrusted: what is wrong with it comes back, and nothing of
/// it runs but its own description of itself, inside the limits of the policy host.
#[utoipa::path(
    put, path = "/policymodules/{name}", tag = "policies", operation_id = "put_policy_module", params(Named),
    request_body(content = [u8], content_type = "application/wasm", description = "The component"),
    responses(
        (status = CREATED, body = PolicyModule, description = "Stored under a new name"),
        (status = OK, body = PolicyModule, description = "Stored in the place of another"),
        (status = UNPROCESSABLE_ENTITY, body = ProblemDocument, content_type = "application/problem+json",
            description = "It is not a policy that can run here, and why"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json",
            description = "Too many uploads at this moment"),
    )
)]
pub(crate) async fn put(
    State(hub): State<Arc<Hub>>,
    Scope(namespace): Scope,
    Item(name): Item,
    headers: HeaderMap,
    upload: Component,
) -> Result<Response, Problem> {
    let old = namespace.modules().get(name.as_ref());
    require_preconditions(&headers, old.as_deref())?;
    if old.is_some_and(|old| old.module.builtin) {
        return Err(StoreError::Builtin(name.to_string()).into());
    }
    let component = upload.bytes.clone();
    let (policies, metrics) = (Arc::clone(&hub.policies), hub.metrics.clone());
    let admit = move || {
        policies.admit(&component).map_err(|refused| {
            metrics.refused(&refused);
            refused.into()
        })
    };
    let policy = checked(&hub.checks, admit).await?;
    let stored = Stored::new(&name, upload.bytes, policy, false);
    let module = stored.module.clone();
    let is_new = namespace.put_module(name, stored)?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, [(header::ETAG, entity_tag(&module))], Json(module)).into_response())
}

/// Removes a module that no target follows.
#[utoipa::path(
    delete, path = "/policymodules/{name}", tag = "policies", operation_id = "delete_policy_module",
    params(Named),
    responses(
        (status = NO_CONTENT),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
            description = "A target follows it, or it is built in"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    Scope(namespace): Scope,
    Item(name): Item,
) -> Result<StatusCode, Problem> {
    if let Some(target) = namespace.follower(name.as_ref()) {
        let detail = format!("target {target:?} follows {name}");
        return Err(Problem::new(StatusCode::CONFLICT, "module-in-use", detail)
            .fix(format!("activate another module on {target:?} first")));
    }
    if namespace.modules().remove(&name)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("policy module", name.as_ref()))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (kind, fix) = match error {
            StoreError::Builtin(_) => ("module-built-in", "choose another name"),
            StoreError::TooMany(_) => ("too-many-modules", "delete one that is not in use"),
            StoreError::TooLarge(..) => ("modules-too-large", "delete one that is not in use"),
        };
        Self::new(StatusCode::CONFLICT, kind, error.to_string()).fix(fix)
    }
}

fn entity_tag(module: &PolicyModule) -> HeaderValue {
    // A digest is ASCII.
    HeaderValue::from_str(&format!("\"{}\"", module.digest))
        .unwrap_or(HeaderValue::from_static("\"\""))
}

fn names(headers: &HeaderMap, header: &HeaderName, tag: &HeaderValue) -> bool {
    let values = headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|named| named == "*" || named.trim_start_matches("W/").as_bytes() == tag.as_bytes())
}

/// `If-None-Match: *` stores only under a new name, `If-Match` only in the place of what the client knows.
fn require_preconditions(headers: &HeaderMap, old: Option<&Stored>) -> Result<(), Problem> {
    let tag = old.map(|old| entity_tag(&old.module));
    let named = |header| tag.as_ref().is_some_and(|tag| names(headers, &header, tag));
    let stale = headers.contains_key(header::IF_MATCH) && !named(header::IF_MATCH);
    if stale || named(header::IF_NONE_MATCH) {
        let detail = "the module under this name is not what the request supposes";
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition-failed",
            detail,
        )
        .fix("read it again and decide anew"));
    }
    Ok(())
}
