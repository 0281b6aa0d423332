//! Policy modules: uploaded components, each under a name.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::{InNamespace, Named};
use crate::{
    access::{Action, Identity},
    audit::Note,
    checking::checked,
    extract::{Component, Item, ScopeName, require_accepted},
    gate::require,
    hub::Hub,
    policies::{Policy, digest_of},
    problem::{Problem, ProblemDocument},
    store::{Put, Replaces, StoreError, Upload},
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
pub(crate) async fn list(
    State(hub): State<Arc<Hub>>,
    ScopeName(namespace): ScopeName,
) -> Result<Json<PolicyModuleList>, Problem> {
    let items = hub.ports.modules.list(&namespace).await?;
    Ok(Json(PolicyModuleList { items }))
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
    State(hub): State<Arc<Hub>>,
    ScopeName(namespace): ScopeName,
    Item(name): Item,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let module = hub.ports.modules.get(&namespace, &name).await?;
    let module = module.ok_or_else(|| Problem::not_found("policy module", name.as_ref()))?;
    let tag = entity_tag(&module.digest);
    if names(&headers, &header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(module)).into_response())
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
    State(hub): State<Arc<Hub>>,
    ScopeName(namespace): ScopeName,
    Item(name): Item,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    require_accepted(&headers, &["application/wasm"])?;
    let stored = hub.ports.modules.component(&namespace, &name).await?;
    let (module, component) =
        stored.ok_or_else(|| Problem::not_found("policy module", name.as_ref()))?;
    let wasm = HeaderValue::from_static("application/wasm");
    let head = [
        (header::CONTENT_TYPE, wasm),
        (header::ETAG, entity_tag(&module.digest)),
    ];
    Ok((head, component).into_response())
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
    Extension(who): Extension<Identity>,
    Extension(note): Extension<Note>,
    ScopeName(namespace): ScopeName,
    Item(name): Item,
    headers: HeaderMap,
    upload: Component,
) -> Result<Response, Problem> {
    let store = &hub.ports.modules;
    let old = store.get(&namespace, &name).await?;
    if old.is_none() {
        // As the Kubernetes API does where an update would create: who may only update makes nothing new.
        let create = Action::on("create", "policymodules", namespace.as_ref(), name.as_ref());
        require(&hub, &who, &create).await?;
    }
    let old = old.map(|old| old.digest);
    let replaces = preconditions(&headers, old.as_deref())?;
    store
        .has_room(&namespace, &name, upload.bytes.len())
        .await?;
    let policy = admitted(&hub, note, upload.bytes.clone()).await?;
    let upload = Upload {
        component: upload.bytes,
        policy,
        replaces,
        user: who.user,
    };
    let (module, put) = store.put(&namespace, &name, upload).await?;
    if let Some(namespace) = hub.namespace(&namespace).filter(|_| put != Put::Unchanged) {
        namespace.stored(&module);
    }
    let status = match put {
        Put::Created => StatusCode::CREATED,
        Put::Replaced | Put::Unchanged => StatusCode::OK,
    };
    let tag = entity_tag(&module.digest);
    Ok((status, [(header::ETAG, tag)], Json(module)).into_response())
}

/// Has the policy host check a component, away from the threads that answer requests.
async fn admitted(
    hub: &Arc<Hub>,
    note: Note,
    component: Bytes,
) -> Result<Arc<dyn Policy>, Problem> {
    let (policies, metrics) = (Arc::clone(&hub.ports.policies), hub.metrics.clone());
    let admit = move || {
        note.digest(&digest_of(&component));
        policies.admit(&component).map_err(|refused| {
            metrics.refused(&refused);
            refused.into()
        })
    };
    checked(&hub.checks, admit).await
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
    State(hub): State<Arc<Hub>>,
    Extension(note): Extension<Note>,
    ScopeName(namespace): ScopeName,
    Item(name): Item,
) -> Result<StatusCode, Problem> {
    let known = hub.namespace(&namespace);
    if let Some(target) = known.and_then(|known| known.follower(name.as_ref())) {
        return Err(StoreError::InUse {
            module: name.to_string(),
            follower: format!("target {target:?}"),
        }
        .into());
    }
    let store = &hub.ports.modules;
    if let Some(module) = store.get(&namespace, &name).await? {
        note.digest(&module.digest);
    }
    if store.delete(&namespace, &name).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("policy module", name.as_ref()))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        const CONFLICT: StatusCode = StatusCode::CONFLICT;
        let (status, kind, fix) = match &error {
            StoreError::NoNamespace(name) => return Self::not_found("namespace", name),
            StoreError::Builtin(_) => (CONFLICT, "module-built-in", "choose another name"),
            StoreError::TooMany(_) => (CONFLICT, "too-many-modules", DELETE_ONE),
            StoreError::TooLarge(..) => (CONFLICT, "modules-too-large", DELETE_ONE),
            StoreError::InUse { .. } => (CONFLICT, "module-in-use", ACTIVATE_ANOTHER),
            StoreError::NeedsStore { .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "needs-module-store",
                "make it smaller, or have the operator run with --module-store s3://BUCKET/PREFIX or file:///FOLDER",
            ),
            StoreError::Stale => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "read it again and decide anew",
            ),
            StoreError::Damaged(_) => (CONFLICT, "module-damaged", "upload it again"),
            StoreError::Refused(_) => (CONFLICT, "refused-by-cluster", ""),
            StoreError::Unavailable(_) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let problem = Self::new(status, "module-store-unavailable", error.to_string());
                return problem.retry_after(5);
            }
        };
        Self::new(status, kind, error.to_string()).fix(fix)
    }
}

const DELETE_ONE: &str = "delete one that is not in use";
const ACTIVATE_ANOTHER: &str = "have another module followed there first";

fn entity_tag(digest: &str) -> HeaderValue {
    // A digest is ASCII.
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
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
fn preconditions(headers: &HeaderMap, old: Option<&str>) -> Result<Replaces, Problem> {
    let tag = old.map(entity_tag);
    let named = |header| tag.as_ref().is_some_and(|tag| names(headers, &header, tag));
    let stale = headers.contains_key(header::IF_MATCH) && !named(header::IF_MATCH);
    if stale || named(header::IF_NONE_MATCH) {
        return Err(StoreError::Stale.into());
    }
    let guarded = |header| headers.contains_key(header);
    Ok(match old {
        Some(digest) if guarded(header::IF_MATCH) => Replaces::Digest(digest.to_owned()),
        None if guarded(header::IF_NONE_MATCH) => Replaces::Nothing,
        // Whoever may only update does not make it anew where it is deleted meanwhile.
        Some(_) => Replaces::Something,
        None => Replaces::Anything,
    })
}
