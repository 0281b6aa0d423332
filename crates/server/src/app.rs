//! The router with everything around it.

use std::sync::Arc;

use axum::{
    Router,
    http::header,
    middleware::{from_fn_with_state, map_response},
    routing::get,
};
use bytes::Bytes;
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

use crate::{console, guard, hub::Hub, metrics, problem, routes};

/// Everything that the server answers, as a service: [`crate::serve()`] puts it behind a listener, tests call it.
pub fn app(hub: Arc<Hub>) -> Router {
    let (api, document) = routes::api(&hub).split_for_parts();
    let document = Bytes::from(serde_json::to_vec(&document).unwrap_or_default());
    let document = move || async move { ([(header::CONTENT_TYPE, "application/json")], document) };
    Router::new()
        .merge(api)
        .merge(routes::health(&hub))
        .merge(console::router())
        .route("/api/v1/openapi.json", get(document))
        // From the inside to the outside.
        .layer(from_fn_with_state(Arc::clone(&hub), guard::same_origin))
        .layer(CatchPanicLayer::new())
        .layer(map_response(problem::for_every_error))
        .layer(map_response(guard::security_headers))
        .layer(from_fn_with_state(Arc::clone(&hub), metrics::measure))
        .layer(TraceLayer::new_for_http())
        .with_state(hub)
}

/// Health and metrics alone, open to all: for a port of its own.
pub fn health_app(hub: Arc<Hub>) -> Router {
    routes::open_health()
        .layer(CatchPanicLayer::new())
        .layer(map_response(problem::for_every_error))
        .with_state(hub)
}
