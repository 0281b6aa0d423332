//! Events, time limits and the listener.

use std::time::Duration;

use futures::StreamExt as _;

use super::*;
use crate::{ListenError, listen, serve};

/// What an event stream brings until it has said `last`.
async fn heard(hub: &Arc<Hub>, request: Request<Body>, last: &str) -> String {
    let response = app(Arc::clone(hub)).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains(last) {
        let chunk = stream.next().await.expect("the stream goes on").unwrap();
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

#[tokio::test]
async fn events_bring_what_was_missed_and_what_comes() {
    let hub = hub();
    let events = || request("GET", "~/events", Body::empty());
    let first = hub
        .namespace(&"demo".parse().unwrap())
        .unwrap()
        .events
        .id(1);
    let text = heard(
        &hub,
        with(events(), "last-event-id", &first),
        "-19\",\"target\"",
    )
    .await;
    assert!(text.starts_with("retry: 2000\n: listening\n\n"), "{text}");
    assert!(
        text.contains("event: decision\n") && !text.contains(&format!("\nid: {first}\n")),
        "{text}"
    );
    let later = heard(
        &hub,
        with(events(), "last-event-id", "not a number"),
        "\"module\":\"builtin\"",
    );
    let activation = put_policy(&hub, r#"{"module": "builtin"}"#);
    // In this order on one thread: it listens before the policy is asked for.
    let (text, _) = tokio::join!(later, activation);
    assert!(text.contains("event: policy\n"), "{text}");
    assert!(
        text.contains("event: missed\n"),
        "what another server counted: {text}"
    );
}

#[tokio::test]
async fn events_show_what_the_caller_may_list() {
    let rules = [
        ("ann", "list scalingpolicies in demo"),
        ("bob", "list scalingpolicies in demo"),
        ("bob", "list scalingrecommendations in demo"),
    ];
    let hub = super::access::guarded(&rules, Limits::DEFAULT);
    let namespace = hub.namespace(&"demo".parse().unwrap()).unwrap();
    for kind in ["decision", "module", "last"] {
        namespace.events.send(kind, &kind);
    }
    for (who, decisions) in [("ann", false), ("bob", true)] {
        let events = request("GET", "~/events", Body::empty());
        let events = with(events, "last-event-id", &namespace.events.id(0));
        let text = heard(&hub, super::access::from(who, events), "event: last").await;
        assert_eq!(text.contains("event: decision\n"), decisions, "{text}");
        assert!(!text.contains("event: module\n"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_shows_signs_of_life() {
    let request = request("GET", "~/events", Body::empty());
    heard(&hub(), request, ": alive").await;
}

#[tokio::test]
async fn there_are_only_so_many_listeners() {
    let hub = hub_with(Limits {
        listeners_max: 1,
        ..Limits::DEFAULT
    });
    let events = || request("GET", "~/events", Body::empty());
    let first = app(Arc::clone(&hub)).oneshot(events()).await.unwrap();
    assert_eq!(send(&hub, events()).await.problem().1, "too-many-listeners");
    drop(first);
    heard(&hub, events(), "retry").await;
}

#[tokio::test]
async fn one_user_takes_only_so_many_places() {
    let rules = ["ann", "bob"].map(|who| {
        let rules = [
            "list scalingpolicies in demo",
            "update policymodules in demo",
            "create policymodules in demo",
        ];
        rules.map(|rule| (who, rule))
    });
    let limits = Limits {
        listeners_of_user_max: 1,
        uploads_of_user_max: 1,
        ..Limits::DEFAULT
    };
    let hub = super::access::guarded(&rules.concat(), limits);
    let events = |who| super::access::from(who, request("GET", "~/events", Body::empty()));
    let first = app(Arc::clone(&hub)).oneshot(events("ann")).await.unwrap();
    let second = send(&hub, events("ann")).await;
    assert_eq!(second.problem().1, "too-many-requests");
    assert!(second.headers.contains_key(header::RETRY_AFTER));
    heard(&hub, events("bob"), "retry").await;
    drop(first);
    heard(&hub, events("ann"), "retry").await;

    let upload = |who, body| super::access::from(who, request("PUT", "~/policymodules/mine", body));
    let (sender, body) = tokio::sync::mpsc::channel::<Result<bytes::Bytes, std::io::Error>>(1);
    let body = tokio_stream::wrappers::ReceiverStream::new(body);
    let slow = upload("ann", Body::from_stream(body));
    let slow = async { app(Arc::clone(&hub)).oneshot(slow).await.unwrap().status() };
    let other = async {
        // The first has its place once its body is read.
        sender.send(Ok("good".into())).await.unwrap();
        sender.reserve().await.unwrap();
        let second = send(&hub, upload("ann", Body::from("good"))).await;
        assert_eq!(second.problem().1, "too-many-requests");
        let others = send(&hub, upload("bob", Body::from("good"))).await;
        assert_eq!(others.status, StatusCode::CREATED);
        drop(sender);
    };
    assert_eq!(tokio::join!(slow, other).0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_runs_into_the_time_limit() {
    let never = Body::from_stream(futures::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let upload = request("PUT", "~/policymodules/mine", never);
    assert_eq!(
        send(&hub(), upload).await.problem(),
        (408, "timeout".to_owned(), vec![])
    );
}

#[tokio::test]
async fn a_port_in_use_is_said_so() {
    let first = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = first.local_addr().unwrap();
    let error = listen(address).await.unwrap_err();
    assert!(matches!(error, ListenError::InUse(it) if it == address));
    assert!(
        error.to_string().contains("is in use by another program"),
        "{error}"
    );
}

#[tokio::test]
async fn stopping_ends_open_streams() {
    let hub = hub();
    let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = serve(listener, None, Arc::clone(&hub), async {
        let _ = stopped.await;
    });
    let client = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /api/v1/namespaces/demo/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        stop.send(()).unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
    };
    let both = async { tokio::join!(server, client) };
    tokio::time::timeout(Duration::from_secs(4), both)
        .await
        .expect("before the drain ends");
}
