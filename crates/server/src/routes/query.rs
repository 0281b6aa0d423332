//! Parameters that several queries share.

use axum::{extract::Request, middleware::Next, response::Response};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    extract::{accepts, require_accepted},
    problem::Problem,
};

/// A finite number.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let value = f64::deserialize(from)?;
    let finite = value.is_finite().then_some(value);
    finite
        .map(Some)
        .ok_or_else(|| D::Error::custom("not a finite number"))
}

/// Lets through who takes JSON, and who asks for what only some paths answer with: those check it themselves.
pub(super) async fn json_accepted(request: Request, next: Next) -> Result<Response, Problem> {
    const SPECIAL: [&str; 2] = ["text/event-stream", "application/wasm"];
    let headers = request.headers();
    if !SPECIAL.iter().any(|type_| accepts(headers, type_)) {
        require_accepted(headers, &["application/json"])?;
    }
    Ok(next.run(request).await)
}
