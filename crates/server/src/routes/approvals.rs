//! People approve what was recommended.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::orders::orders;
use crate::{
    access::Identity,
    audit::Note,
    extract::{Document, ObjectItem, ScopeName},
    hub::Hub,
    orders::{Approval, ApprovalOrder},
    problem::{Problem, ProblemDocument},
};

/// An approval.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ApprovalRequest {
    /// Digest of the plan, as it was read: nothing else is approved.
    digest: String,
    /// For how long, in seconds; without it, as long as the recommendation is valid.
    #[schema(minimum = 1, maximum = 604_800)]
    expiry_seconds: Option<u32>,
}

/// An approval of a week is no approval of what is known today.
const EXPIRY_SECONDS_MAX: u32 = 7 * 24 * 60 * 60;

/// Approves the plan of a recommendation, in the caller's name. Guardrails run again before anything is done.
#[utoipa::path(
    post, path = "/recommendations/{name}/approval", tag = "recommendations", operation_id = "approve",
    params(
        ("ns" = String, Path, description = "Namespace, a DNS label"),
        ("name" = String, Path, description = "Name of the ScalingRecommendation")
    ),
    request_body = ApprovalRequest,
    responses(
        (status = OK, body = Approval),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
            description = "The digest is not that of the plan, it is too late, or there is nothing to approve here"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(hub): State<Arc<Hub>>,
    Extension(who): Extension<Identity>,
    Extension(note): Extension<Note>,
    ScopeName(namespace): ScopeName,
    ObjectItem(name): ObjectItem,
    Document(request): Document<ApprovalRequest>,
) -> Result<Json<Approval>, Problem> {
    note.digest(&request.digest);
    let valid = 1..=EXPIRY_SECONDS_MAX;
    if request
        .expiry_seconds
        .is_some_and(|it| !valid.contains(&it))
    {
        let message = format!("not between 1 and {EXPIRY_SECONDS_MAX}");
        return Err(Problem::body("expirySeconds", message));
    }
    let order = ApprovalOrder {
        user: who.user,
        digest: request.digest,
        expiry_seconds: request.expiry_seconds,
    };
    Ok(Json(orders(&hub)?.approve(&namespace, &name, order).await?))
}
