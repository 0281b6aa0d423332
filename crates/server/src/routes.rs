//! The API: one module per resource.

mod approvals;
mod backtests;
mod events;
mod forecasts;
mod health;
mod modules;
mod namespaces;
mod orders;
mod overrides;
mod policy;
mod query;
mod recommendations;
mod series;
mod targets;

use std::sync::Arc;

use axum::{http::StatusCode, middleware, routing::get};
use tower::ServiceBuilder;
use tower_http::{limit::RequestBodyLimitLayer, timeout::TimeoutLayer};
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    gate,
    hub::Hub,
    problem::{Issue, ProblemDocument},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Foreshard",
        description = "What Foreshard sees coming, what it decides and why, and the policies that have a say. Times \
            are Unix seconds (UTC). Every error is a problem document (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemDocument, Issue)),
    tags(
        (name = "targets", description = "What is scaled, its load and its capacity"),
        (name = "recommendations", description = "What was decided and why"),
        (name = "backtests", description = "A recorded load replayed, as jobs"),
        (name = "policies", description = "Uploaded policy modules, and which one a target follows")
    )
)]
struct Api;

/// Where a path leads inside a namespace.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it only documents the path")]
struct InNamespace {
    /// Namespace, a DNS label.
    ns: String,
}

/// Where a path leads to one named thing.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it only documents the path")]
struct Named {
    /// Namespace, a DNS label.
    ns: String,
    /// Its name, a DNS label.
    name: String,
}

/// Every documented route. The layers inside bound what a request may send and how long it may take.
pub(crate) fn api(hub: &Arc<Hub>) -> OpenApiRouter<Arc<Hub>> {
    let limits = &hub.limits;
    let bounded = |bytes_max, timeout| {
        ServiceBuilder::new()
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                timeout,
            ))
            .layer(RequestBodyLimitLayer::new(bytes_max))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .into_inner()
    };
    let documents = OpenApiRouter::new()
        .routes(routes!(targets::list))
        .routes(routes!(targets::get))
        .routes(routes!(series::get))
        .routes(routes!(policy::get, policy::put))
        .routes(routes!(recommendations::list))
        .routes(routes!(recommendations::get))
        .routes(routes!(approvals::post))
        .routes(routes!(overrides::post))
        .routes(routes!(forecasts::get))
        .routes(routes!(modules::list))
        .layer(bounded(limits.document_bytes_max, limits.request_timeout));
    let uploads = OpenApiRouter::new()
        .routes(routes!(modules::get, modules::put, modules::delete))
        .routes(routes!(modules::component))
        .layer(bounded(limits.component_bytes_max, limits.upload_timeout));
    let namespaces = OpenApiRouter::new()
        .routes(routes!(namespaces::list))
        .layer(bounded(limits.document_bytes_max, limits.request_timeout));
    let streams = OpenApiRouter::new().routes(routes!(events::get));
    let backtests = OpenApiRouter::new()
        .routes(routes!(backtests::list, backtests::post))
        .routes(routes!(backtests::get, backtests::delete))
        .layer(bounded(
            limits.backtests.request_bytes_max,
            limits.request_timeout,
        ));
    let namespaced = documents.merge(uploads).merge(streams).merge(backtests);
    OpenApiRouter::with_openapi(Api::openapi())
        .nest("/api/v1/namespaces/{ns}", namespaced)
        .merge(namespaces)
        .route_layer(middleware::from_fn(query::json_accepted))
        .route_layer(middleware::from_fn_with_state(Arc::clone(hub), gate::gate))
}

/// What machines ask about the server itself: whether it is well is no secret, what it counts may be.
pub(crate) fn health(hub: &Arc<Hub>) -> axum::Router<Arc<Hub>> {
    let gate = middleware::from_fn_with_state(Arc::clone(hub), gate::gate);
    axum::Router::new()
        .route("/metrics", get(health::metrics))
        .route_layer(gate)
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
}

/// The same on a port of its own, which only machines reach: nobody is asked who they are.
pub(crate) fn open_health() -> axum::Router<Arc<Hub>> {
    axum::Router::new()
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
}
