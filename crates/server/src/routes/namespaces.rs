//! What there is to look at.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::hub::Hub;

/// Every namespace's name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NamespaceList {
    items: Vec<String>,
}

/// The namespaces that this server knows.
#[utoipa::path(
    get, path = "/api/v1/namespaces", tag = "targets", operation_id = "list_namespaces",
    responses((status = OK, body = NamespaceList))
)]
pub(crate) async fn list(State(hub): State<Arc<Hub>>) -> Json<NamespaceList> {
    Json(NamespaceList {
        items: hub.names().map(ToString::to_string).collect(),
    })
}
