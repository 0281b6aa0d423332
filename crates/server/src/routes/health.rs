//! What machines ask about the server itself.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};

use crate::{hub::Hub, problem::Problem};

/// The server answers.
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// The server knows what it is to serve.
pub(crate) async fn ready(State(hub): State<Arc<Hub>>) -> Result<&'static str, Problem> {
    match hub.waits_for() {
        None => Ok("ok\n"),
        Some(because) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "not-ready", because).retry_after(1))
        }
    }
}

/// Every metric.
pub(crate) async fn metrics(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match hub.metrics_text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
