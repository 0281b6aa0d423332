//! The policy that a target follows.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Named;
use crate::{
    board::Activation,
    checking::{checked, refused_config},
    extract::{Document, ObjectItem, Scope, ScopeName},
    hub::{ActivationBy, Hub},
    name::{Name, ObjectName},
    problem::{Problem, ProblemDocument},
    view::PolicyState,
};

/// A policy to follow.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyRequest {
    /// Name of a stored module.
    module: String,
    /// Its config; its descriptor has the schema.
    #[serde(default = "empty_config")]
    #[schema(value_type = Object)]
    config: serde_json::Map<String, serde_json::Value>,
}

fn empty_config() -> serde_json::Map<String, serde_json::Value> {
    serde_json::Map::new()
}

/// The policy in force, and the one that is asked for and does not act yet.
#[utoipa::path(
    get, path = "/targets/{name}/policy", tag = "policies", operation_id = "get_policy", params(Named),
    responses(
        (status = OK, body = PolicyState),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    Scope(namespace): Scope,
    ObjectItem(name): ObjectItem,
) -> Result<Json<PolicyState>, Problem> {
    let board = namespace.board(name.as_ref());
    let board = board.ok_or_else(|| Problem::not_found("target", name.as_ref()))?;
    Ok(Json(board.policy()))
}

/// Lets a target follow another policy, from its next evaluation on. The policy checks its config first. In a cluster
/// the ScalingPolicy says who decides: there this route changes nothing and answers with the patch that does.
#[utoipa::path(
    put, path = "/targets/{name}/policy", tag = "policies", operation_id = "put_policy", params(Named),
    request_body = PolicyRequest,
    responses(
        (status = OK, body = PolicyState),
        (status = UNPROCESSABLE_ENTITY, body = ProblemDocument, content_type = "application/problem+json",
            description = "The config is not right: each fault with its path"),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
            description = "In a cluster: the patch of the ScalingPolicy is in `fix`"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(hub): State<Arc<Hub>>,
    Scope(namespace): Scope,
    ScopeName(ns): ScopeName,
    ObjectItem(name): ObjectItem,
    Document(request): Document<PolicyRequest>,
) -> Result<Json<PolicyState>, Problem> {
    let board = namespace.board(name.as_ref());
    let board = board.ok_or_else(|| Problem::not_found("target", name.as_ref()))?;
    let ActivationBy::Route(store) = &hub.ports.activation else {
        return Err(by_patch(&ns, &name, &request));
    };
    let policy = store.policy(&ns, &request.module).ok_or_else(|| {
        let message = format!("there is no policy module {:?}", request.module);
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown-module",
            message.clone(),
        )
        .fix("upload it first, or choose one of the list of policy modules")
        .issues([("module".to_owned(), message)])
    })?;
    let config = serde_json::Value::Object(request.config);
    let (asked, text) = (Arc::clone(&policy), config.to_string());
    let kind = board.target().kind.clone();
    let configure = move || asked.configure(&text, &kind).map_err(refused_config);
    checked(&hub.questions, configure).await?;
    let activation = Activation {
        module: request.module,
        policy,
        config,
    };
    Ok(Json(namespace.ask_policy(&board, activation)))
}

/// In a cluster the ScalingPolicy says who decides, and it belongs into version control.
fn by_patch(namespace: &Name, policy: &ObjectName, request: &PolicyRequest) -> Problem {
    let mut binding = serde_json::json!({
        "name": request.module,
        "moduleRef": { "name": request.module },
    });
    if !request.config.is_empty() {
        binding["config"] = serde_json::Value::Object(request.config.clone());
    }
    let patch = serde_json::json!({ "spec": { "policies": [binding] } });
    // Within single quotes a shell leaves all alone but the quote itself.
    let patch = patch.to_string().replace('\'', r"'\''");
    let detail = "in a cluster, the ScalingPolicy says which policies decide";
    Problem::new(StatusCode::CONFLICT, "activated-by-object", detail).fix(format!(
        "commit this change; it replaces the list: kubectl patch scalingpolicy {policy} --namespace {namespace} \
         --type=merge -p '{patch}'"
    ))
}
