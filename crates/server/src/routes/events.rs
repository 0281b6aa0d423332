//! What happens, as it happens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::InNamespace;
use crate::{
    events,
    extract::{Scope, require_accepted},
    hub::Hub,
    metrics::Metrics,
    problem::{Problem, ProblemDocument},
};

/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Server-sent events: `tick` (a target as it is now, a few times a second at most), `decision` (one that changes
/// something, in short), `policy` (a target's policies), `module` (a stored module), `gone` (a target that is no longer scaled), `missed` (the client was too slow
/// and should read anew). `Last-Event-ID` brings what was missed, as far as it is kept. The stream ends after an hour at
/// most, so that whoever listens shows again who they are.
#[utoipa::path(
    get, path = "/events", tag = "targets", operation_id = "listen", params(InNamespace),
    responses(
        (status = OK, body = String, content_type = "text/event-stream"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json",
            description = "Too many listeners"),
    )
)]
pub(crate) async fn get(
    State(hub): State<Arc<Hub>>,
    Scope(namespace): Scope,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    require_accepted(&headers, &["text/event-stream"])?;
    let permit = Arc::clone(&hub.listeners)
        .try_acquire_owned()
        .map_err(|_| {
            let detail = "there are as many listeners as this server takes";
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-listeners",
                detail,
            )
            .retry_after(10)
        })?;
    let listener = Listener::new(&hub.metrics, permit);
    let last_id = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let (missed, receiver) = namespace.events.listen(last_id);
    let begin = stream::once(async { Event::default().retry(RETRY).comment("listening") });
    let missed = stream::iter(missed).map(|event| written(&event));
    let coming = BroadcastStream::new(receiver).map(|received| match received {
        Ok(event) => written(&event),
        Err(BroadcastStreamRecvError::Lagged(count)) => {
            Event::default().event("missed").data(count.to_string())
        }
    });
    let (mut closing, mut ended) = (hub.closing(), namespace.ended());
    let longest = hub.limits.stream_max;
    let closed = async move {
        // An error says that the server or the namespace is gone altogether.
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => {}
            _ = ended.wait_for(|ended| *ended) => {}
            () = tokio::time::sleep(longest) => {}
        }
    };
    let all = begin
        .chain(missed)
        .chain(coming)
        .take_until(Box::pin(closed));
    let all = all.map(move |event| {
        let _ = &listener;
        Ok(event)
    });
    Ok(Sse::new(all).keep_alive(
        KeepAlive::new()
            .interval(hub.limits.heartbeat)
            .text("alive"),
    ))
}

fn written(event: &events::Event) -> Event {
    Event::default()
        .id(event.id.to_string())
        .event(event.kind)
        .data(&event.data)
}

/// Somebody's place among the listeners, given back at the end of the stream.
struct Listener {
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    fn new(metrics: &Metrics, permit: OwnedSemaphorePermit) -> Self {
        metrics.listeners.inc();
        Self {
            metrics: metrics.clone(),
            _permit: permit,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.metrics.listeners.dec();
    }
}
