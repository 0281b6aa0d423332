//! What happens, as it happens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use foreshard_listener::Place;
use futures::{Stream, StreamExt as _, stream};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};

use super::InNamespace;
use crate::{
    access::{Action, Denied, Identity},
    events,
    extract::{Scope, ScopeName, no_place, require_accepted},
    gate,
    hub::Hub,
    metrics::Metrics,
    name::Name,
    problem::{Problem, ProblemDocument},
};

/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Server-sent events: `tick` (a target as it is now, a few times a second at most), `decision` (one that changes
/// something, in short), `policy` (a target's policies), `module` (a stored module), `gone` (a target that is no longer scaled), `missed` (the client was too slow
/// and should read anew, or was connected to another server before). Decisions are told to those only who may list
/// `scalingrecommendations`, modules to those who may list `policymodules`. `Last-Event-ID` brings what was missed, as far as it is kept. The stream ends after an hour at
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
    Extension(who): Extension<Identity>,
    Scope(namespace): Scope,
    ScopeName(name): ScopeName,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    require_accepted(&headers, &["text/event-stream"])?;
    let hidden = hidden_from(&hub, &who, &name).await?;
    let place = hub.listeners.take(who.user).map_err(|why| {
        let what = ("too-many-listeners", "listeners to events", 10);
        no_place(why, what)
    })?;
    let listener = Listener::new(&hub.metrics, place);
    let last_id = headers.get("last-event-id").map(|id| id.to_str());
    // What is no text is no id of ours.
    let listening = namespace
        .events
        .listen(last_id.map(Result::unwrap_or_default));
    let begin = stream::once(async { Event::default().retry(RETRY).comment("listening") });
    let unknown = listening.unknown.then(|| missed("some"));
    let past = listening.missed.into_iter().map(Ok);
    let past = stream::iter(past).chain(BroadcastStream::new(listening.coming));
    let (mut closing, mut ended) = (hub.closing(), namespace.ended());
    let coming = past.filter_map(move |received| {
        let event = match received {
            Ok(event) if hidden.contains(&event.kind) => None,
            Ok(event) => Some(written(&namespace.events, &event)),
            Err(BroadcastStreamRecvError::Lagged(count)) => Some(missed(&count.to_string())),
        };
        std::future::ready(event)
    });
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
        .chain(stream::iter(unknown))
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

/// Kinds of events, and what is shown by them.
const SHOWN: [(&str, &str); 2] = [
    ("decision", "scalingrecommendations"),
    ("module", "policymodules"),
];

/// The kinds of events that show what the caller may not list.
async fn hidden_from(
    hub: &Hub,
    who: &Identity,
    namespace: &Name,
) -> Result<Vec<&'static str>, Problem> {
    let mut hidden = Vec::new();
    for (kind, resource) in SHOWN {
        let action = Action::OnResource {
            verb: "list",
            resource,
            namespace: Some(namespace.to_string()),
            name: None,
        };
        match hub.ports.access.allow(who, &action).await {
            Ok(()) => {}
            Err(Denied::Forbidden(_) | Denied::Unknown(_)) => hidden.push(kind),
            Err(Denied::Unavailable(detail)) => return Err(gate::unavailable(detail)),
        }
    }
    Ok(hidden)
}

fn missed(what: &str) -> Event {
    Event::default().event("missed").data(what)
}

fn written(events: &events::Events, event: &events::Event) -> Event {
    Event::default()
        .id(events.id(event.id))
        .event(event.kind)
        .data(&event.data)
}

/// Somebody's place among the listeners, given back at the end of the stream.
struct Listener {
    metrics: Metrics,
    _place: Place<String>,
}

impl Listener {
    fn new(metrics: &Metrics, place: Place<String>) -> Self {
        metrics.listeners.inc();
        Self {
            metrics: metrics.clone(),
            _place: place,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.metrics.listeners.dec();
    }
}
