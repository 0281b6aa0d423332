//! People put their word above all policies, for a while.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{InNamespace, orders::orders};
use crate::{
    access::Identity,
    audit::Note,
    extract::{Document, ScopeName},
    hub::Hub,
    name::ObjectName,
    orders::{Override, OverrideOrder, Pause},
    problem::{Problem, ProblemDocument},
};

/// An override.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct OverrideRequest {
    /// Name of the ScalingPolicy.
    policy_name: String,
    /// The floor: never fewer replicas than this.
    #[schema(minimum = 1, maximum = 10_000)]
    min_replicas: Option<i32>,
    /// The ceiling: never more replicas than this.
    #[schema(minimum = 1, maximum = 10_000)]
    max_replicas: Option<i32>,
    /// Directions in which nothing is changed.
    #[serde(default)]
    pause: Pause,
    /// For how long, in seconds. There is no override without an end.
    #[schema(minimum = 1, maximum = 2_592_000)]
    expiry_seconds: u32,
    /// Why, for explanations.
    #[serde(default)]
    #[schema(max_length = 512)]
    reason: String,
}

const REPLICAS_MAX: i32 = 10_000;
/// What is to hold for more than a month belongs into the ScalingPolicy.
const EXPIRY_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;
const REASON_CHARS_MAX: usize = 512;

/// Sets a floor, a ceiling or a pause for a target until it expires, in the caller's name.
#[utoipa::path(
    post, path = "/overrides", tag = "targets", operation_id = "override", params(InNamespace),
    request_body = OverrideRequest,
    responses(
        (status = CREATED, body = Override),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
            description = "The cluster refuses it, or there are no overrides here"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(hub): State<Arc<Hub>>,
    Extension(who): Extension<Identity>,
    Extension(note): Extension<Note>,
    ScopeName(namespace): ScopeName,
    Document(request): Document<OverrideRequest>,
) -> Result<(StatusCode, Json<Override>), Problem> {
    let order = request.checked(who.user)?;
    note.order(&order);
    let made = orders(&hub)?.override_scaling(&namespace, order).await?;
    note.name(&made.name);
    Ok((StatusCode::CREATED, Json(made)))
}

impl OverrideRequest {
    fn checked(self, user: String) -> Result<OverrideOrder, Problem> {
        let policy: ObjectName = self
            .policy_name
            .parse()
            .map_err(|error| Problem::body("policyName", format!("{error}")))?;
        for (path, count) in [
            ("minReplicas", self.min_replicas),
            ("maxReplicas", self.max_replicas),
        ] {
            if count.is_some_and(|count| !(1..=REPLICAS_MAX).contains(&count)) {
                return Err(Problem::body(
                    path,
                    format!("not between 1 and {REPLICAS_MAX}"),
                ));
            }
        }
        if self
            .min_replicas
            .zip(self.max_replicas)
            .is_some_and(|(min, max)| min > max)
        {
            return Err(Problem::body("minReplicas", "more than maxReplicas"));
        }
        if !(1..=EXPIRY_SECONDS_MAX).contains(&self.expiry_seconds) {
            let message = format!("not between 1 and {EXPIRY_SECONDS_MAX}");
            return Err(Problem::body("expirySeconds", message));
        }
        if self.reason.chars().count() > REASON_CHARS_MAX {
            let message = format!("more than {REASON_CHARS_MAX} characters");
            return Err(Problem::body("reason", message));
        }
        let bounds = self.min_replicas.or(self.max_replicas);
        if bounds.is_none() && self.pause == Pause::None {
            let message = "an override has a minReplicas, a maxReplicas or a pause";
            return Err(Problem::body("", message));
        }
        Ok(OverrideOrder {
            user,
            policy,
            min_replicas: self.min_replicas,
            max_replicas: self.max_replicas,
            pause: self.pause,
            expiry_seconds: self.expiry_seconds,
            reason: self.reason,
        })
    }
}
