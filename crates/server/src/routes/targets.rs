//! What is scaled.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::{InNamespace, Named};
use crate::{
    extract::{ObjectItem, Scope},
    problem::{Problem, ProblemDocument},
    view::Target,
};

/// Every target of a namespace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetList {
    items: Vec<Arc<Target>>,
}

/// Every target with its parts as they are now.
#[utoipa::path(
    get, path = "/targets", tag = "targets", operation_id = "list_targets", params(InNamespace),
    responses(
        (status = OK, body = TargetList),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(Scope(namespace): Scope) -> Json<TargetList> {
    Json(TargetList {
        items: namespace.targets(),
    })
}

/// One target with its parts as they are now.
#[utoipa::path(
    get, path = "/targets/{name}", tag = "targets", operation_id = "get_target", params(Named),
    responses(
        (status = OK, body = Target),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    Scope(namespace): Scope,
    ObjectItem(name): ObjectItem,
) -> Result<Json<Arc<Target>>, Problem> {
    let board = namespace.board(name.as_ref());
    let board = board.ok_or_else(|| Problem::not_found("target", name.as_ref()))?;
    Ok(Json(board.target()))
}
