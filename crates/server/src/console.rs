//! The console's files, embedded when it was built.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::hub::Hub;

/// `build.rs` says whether there is a `console/dist`.
#[cfg(console_built)]
mod files {
    #[derive(rust_embed::Embed)]
    #[folder = "../../console/dist"]
    pub(super) struct Files;
}

/// What a binary without the console shows in its place.
#[cfg_attr(
    console_built,
    expect(dead_code, reason = "only a binary without the console shows it")
)]
const NOT_BUILT: &str = "<!doctype html><html lang=en><title>Foreshard</title><p>This binary was built without the \
    console: run <code>npm ci &amp;&amp; npm run build</code> in <code>console/</code> and build it again. The API \
    is at <a href=/api/v1/openapi.json>/api/v1/openapi.json</a>.";

/// `/` and the files that it loads.
pub(crate) fn router() -> Router<Arc<Hub>> {
    Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { file("index.html", &headers) }),
        )
        .route(
            "/favicon.svg",
            get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }),
        )
        .route("/assets/{file}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{name}"), &headers)
}

#[cfg(console_built)]
fn file(path: &str, headers: &HeaderMap) -> Response {
    use std::fmt::Write as _;

    use axum::http::header;

    let Some(file) = <files::Files as rust_embed::RustEmbed>::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing into a string can't fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    // Vite puts a hash of the content into the name of an asset.
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let head = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, cache.to_owned()),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, media_type(path))], file.data).into_response()
}

#[cfg(console_built)]
fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(not(console_built))]
fn file(path: &str, _: &HeaderMap) -> Response {
    match path {
        "index.html" => axum::response::Html(NOT_BUILT).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
