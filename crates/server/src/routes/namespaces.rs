//! What there is to look at.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    access::{Action, Denied, Identity},
    gate,
    hub::Hub,
    name::Name,
    problem::{Problem, ProblemDocument},
};

/// Every namespace's name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespaceList {
    items: Vec<String>,
}

/// The namespaces that something is known of and whose targets the caller may list.
#[utoipa::path(
    get, path = "/api/v1/namespaces", tag = "targets", operation_id = "list_namespaces",
    responses(
        (status = OK, body = NamespaceList),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(hub): State<Arc<Hub>>,
    Extension(who): Extension<Identity>,
) -> Result<Json<NamespaceList>, Problem> {
    let names = hub.names();
    // Who may everywhere is asked about once.
    if allowed(&hub, &who, None).await? {
        return Ok(Json(NamespaceList {
            items: names.iter().map(ToString::to_string).collect(),
        }));
    }
    let visible = stream::iter(names).map(async |name: Name| {
        let name = name.to_string();
        let allowed = allowed(&hub, &who, Some(name.clone())).await?;
        Ok::<_, Problem>(allowed.then_some(name))
    });
    let visible: Vec<_> = visible.buffered(QUESTIONS_MAX).try_collect().await?;
    Ok(Json(NamespaceList {
        items: visible.into_iter().flatten().collect(),
    }))
}

/// Questions about one caller at a time.
const QUESTIONS_MAX: usize = 8;

/// Whether the caller may list targets there; none: everywhere.
async fn allowed(hub: &Hub, who: &Identity, namespace: Option<String>) -> Result<bool, Problem> {
    let action = Action::OnResource {
        verb: "list",
        resource: "scalingpolicies",
        namespace,
        name: None,
    };
    match hub.ports.access.allow(who, &action).await {
        Ok(()) => Ok(true),
        Err(Denied::Forbidden(_) | Denied::Unknown(_)) => Ok(false),
        Err(Denied::Unavailable(detail)) => Err(gate::unavailable(detail)),
    }
}
