//! Who is let through, and what is said to who is not.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::extract::ConnectInfo;
use futures::future::BoxFuture;
use serde_json::json;

use super::*;
use crate::{Access, Action, Caller, Denied, Identity};

/// Knows users by their token, and what each may do by its words.
#[derive(Default)]
pub(super) struct FakeAccess {
    identified: AtomicUsize,
    /// Such as `get scalingpolicies in shop`, `get /metrics`, each for a token.
    allowed: BTreeSet<(&'static str, String)>,
}

impl FakeAccess {
    pub(super) fn of(rules: &[(&'static str, &str)]) -> Arc<Self> {
        let rules = rules.iter().map(|(who, what)| (*who, (*what).to_owned()));
        Arc::new(Self {
            allowed: rules.collect(),
            identified: AtomicUsize::new(0),
        })
    }
}

impl Access for FakeAccess {
    fn identify<'a>(&'a self, caller: Caller<'a>) -> BoxFuture<'a, Result<Identity, Denied>> {
        self.identified.fetch_add(1, Ordering::Relaxed);
        if caller.token == Some("slow") {
            return Box::pin(std::future::pending());
        }
        let identity = |token: &str| Identity {
            user: token.to_owned(),
            ..Identity::default()
        };
        let answer = match caller.token {
            None => Err(Denied::Unknown("no token".to_owned())),
            Some("unavailable") => Err(Denied::Unavailable("nobody answers".to_owned())),
            Some(token @ ("ann" | "bob" | "patient" | "troubled")) => Ok(identity(token)),
            Some(_) => Err(Denied::Unknown("wrong token".to_owned())),
        };
        Box::pin(async { answer })
    }

    /// Bob was here a moment ago.
    fn knows(&self, caller: Caller<'_>) -> bool {
        caller.token == Some("bob")
    }

    fn allow<'a>(
        &'a self,
        who: &'a Identity,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        let asked = match action {
            Action::OnPath { verb, path } => format!("{verb} {path}"),
            Action::OnResource {
                verb,
                resource,
                namespace,
                ..
            } => format!(
                "{verb} {resource} in {}",
                namespace.as_deref().unwrap_or("*")
            ),
        };
        let known = self.allowed.iter();
        let allowed = known
            .into_iter()
            .any(|(user, rule)| *user == who.user && *rule == asked);
        let answer = match who.user.as_str() {
            "patient" => return Box::pin(std::future::pending()),
            "troubled" => Err(Denied::Unavailable("nobody answers".to_owned())),
            _ if allowed => Ok(()),
            _ => Err(Denied::Forbidden("no rule".to_owned())),
        };
        Box::pin(async { answer })
    }
}

/// The usual server, with callers told apart.
pub(super) fn guarded(rules: &[(&'static str, &str)], limits: Limits) -> Arc<Hub> {
    guarded_by(FakeAccess::of(rules), limits)
}

fn guarded_by(access: Arc<FakeAccess>, limits: Limits) -> Arc<Hub> {
    let names = ["demo".parse().unwrap(), "other".parse().unwrap()];
    let (ports, _) = ports(Arc::new(FakePolicies), &names, limits);
    let ports = Ports {
        access,
        activation: ActivationBy::Patch,
        ..ports
    };
    let hub = Hub::new(ports, [], limits);
    for namespace in &names {
        hub.publish(namespace, bare("shop"));
    }
    hub
}

pub(super) fn bare(name: &str) -> Update {
    Update {
        target: target(name),
        points: vec![],
        forecasts: None,
        history: None,
        decision: None,
    }
}

pub(super) fn from(token: &str, request: Request<Body>) -> Request<Body> {
    with(request, "authorization", &format!("Bearer {token}"))
}

async fn get_as(hub: &Arc<Hub>, token: &str, path: &str) -> Answer {
    send(hub, from(token, request("GET", path, Body::empty()))).await
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_be() {
    let hub = guarded(&[], Limits::DEFAULT);
    for answer in [
        get(&hub, "~/targets").await,
        get(&hub, "/metrics").await,
        get(&hub, "/api/v1/namespaces").await,
        get_as(&hub, "wrong", "~/targets").await,
    ] {
        assert_eq!(
            answer.problem(),
            (401, "unauthenticated".to_owned(), vec![])
        );
        assert_eq!(
            answer.headers[header::WWW_AUTHENTICATE],
            "Bearer realm=\"foreshard\""
        );
    }
    let basic = with(
        request("GET", "~/targets", Body::empty()),
        "authorization",
        "Basic YTpi",
    );
    assert_eq!(send(&hub, basic).await.problem().0, 401);
    for open in ["/livez", "/readyz", "/", "/api/v1/openapi.json"] {
        assert_eq!(get(&hub, open).await.status, StatusCode::OK, "{open}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_which_rule_is_missing() {
    let hub = guarded(&[("ann", "get scalingpolicies in demo")], Limits::DEFAULT);
    assert_eq!(
        get_as(&hub, "ann", "~/targets/shop").await.status,
        StatusCode::OK
    );
    let refused = get_as(&hub, "bob", "~/targets/shop").await;
    assert_eq!(refused.problem(), (403, "forbidden".to_owned(), vec![]));
    assert_eq!(
        refused.json()["detail"],
        "user \"bob\" may not get scalingpolicies.foreshard.dev \"shop\" in namespace \"demo\": no rule"
    );
    let elsewhere = get_as(&hub, "ann", "/api/v1/namespaces/other/targets/shop").await;
    assert_eq!(elsewhere.problem().0, 403);
    let unknown = get_as(&hub, "ann", "/api/v1/namespaces/unknown/targets/shop").await;
    assert_eq!(unknown.problem().0, 403, "whether it exists is not said");
    assert_eq!(get_as(&hub, "ann", "/metrics").await.problem().0, 403);
    for token in ["unavailable", "troubled"] {
        let answer = get_as(&hub, token, "~/targets/shop").await;
        assert_eq!(
            answer.problem(),
            (503, "access-unavailable".to_owned(), vec![])
        );
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
}

#[tokio::test]
async fn a_token_comes_through_a_proxy_under_another_name() {
    let hub = guarded(&[("ann", "get /metrics")], Limits::DEFAULT);
    let proxied = request("GET", "/metrics", Body::empty());
    let proxied = with(proxied, "foreshard-authorization", "Bearer ann");
    assert_eq!(send(&hub, proxied).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_route_asks_for_the_right_in_the_table() {
    let rules = [
        ("GET", "~/targets", "list scalingpolicies in demo"),
        ("GET", "~/targets/shop", "get scalingpolicies in demo"),
        (
            "GET",
            "~/targets/shop/series",
            "get scalingpolicies in demo",
        ),
        (
            "GET",
            "~/targets/shop/policy",
            "get scalingpolicies in demo",
        ),
        (
            "PUT",
            "~/targets/shop/policy",
            "update scalingpolicies in demo",
        ),
        ("GET", "~/forecasts/shop", "get scalingpolicies in demo"),
        ("GET", "~/events", "list scalingpolicies in demo"),
        (
            "GET",
            "~/recommendations",
            "list scalingrecommendations in demo",
        ),
        (
            "GET",
            "~/recommendations/1",
            "get scalingrecommendations in demo",
        ),
        (
            "POST",
            "~/recommendations/a/approval",
            "approve scalingrecommendations in demo",
        ),
        ("POST", "~/overrides", "create scalingoverrides in demo"),
        ("GET", "~/backtests", "list backtests in demo"),
        ("POST", "~/backtests", "create backtests in demo"),
        ("GET", "~/backtests/a", "get backtests in demo"),
        ("DELETE", "~/backtests/a", "delete backtests in demo"),
        ("GET", "~/policymodules", "list policymodules in demo"),
        ("GET", "~/policymodules/a", "get policymodules in demo"),
        (
            "GET",
            "~/policymodules/a/component",
            "get policymodules in demo",
        ),
        ("PUT", "~/policymodules/a", "update policymodules in demo"),
        (
            "DELETE",
            "~/policymodules/a",
            "delete policymodules in demo",
        ),
        ("GET", "/metrics", "get /metrics"),
    ];
    for (method, path, rule) in rules {
        let others = rules.iter().filter(|(_, _, other)| *other != rule);
        let others: Vec<_> = others.map(|(_, _, rule)| ("bob", *rule)).collect();
        // What a new name needs beside has a test of its own.
        let create = "create policymodules in demo";
        let all = [
            vec![("ann", rule), ("ann", create), ("bob", create)],
            others,
        ]
        .concat();
        let hub = guarded(&all, Limits::DEFAULT);
        let request = |token| from(token, request(method, path, Body::empty()));
        let response = app(Arc::clone(&hub)).oneshot(request("ann")).await.unwrap();
        assert_ne!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
        let response = app(Arc::clone(&hub)).oneshot(request("bob")).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
    }
}

#[tokio::test]
async fn a_module_of_a_new_name_needs_the_right_to_create() {
    let update = ("ann", "update policymodules in demo");
    let both = [
        update,
        ("bob", "update policymodules in demo"),
        ("bob", "create policymodules in demo"),
    ];
    let hub = guarded(&both, Limits::DEFAULT);
    let put = |token| from(token, request("PUT", "~/policymodules/mine", "good 1"));
    let refused = send(&hub, put("ann")).await;
    assert_eq!(refused.problem().0, 403);
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("may not create policymodules"), "{detail}");
    assert_eq!(send(&hub, put("bob")).await.status, StatusCode::CREATED);
    assert_eq!(send(&hub, put("ann")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_namespaces_that_the_caller_may_list_are_shown() {
    let hub = guarded(
        &[
            ("ann", "list scalingpolicies in *"),
            ("bob", "list scalingpolicies in other"),
        ],
        Limits::DEFAULT,
    );
    let names =
        async |token| get_as(&hub, token, "/api/v1/namespaces").await.json()["items"].clone();
    assert_eq!(names("ann").await, json!(["demo", "other"]));
    assert_eq!(names("bob").await, json!(["other"]));
    assert_eq!(
        get_as(&hub, "troubled", "/api/v1/namespaces")
            .await
            .problem()
            .0,
        503
    );
}

#[tokio::test]
async fn a_policy_is_activated_by_a_patch_of_its_object() {
    let hub = guarded(
        &[("ann", "update scalingpolicies in demo")],
        Limits::DEFAULT,
    );
    let body = r#"{"module": "mine", "config": {"note": "it's"}}"#;
    let put = request("PUT", "~/targets/shop/policy", body);
    let put = from("ann", with(put, "content-type", "application/json"));
    let answer = send(&hub, put).await;
    assert_eq!(
        answer.problem(),
        (409, "activated-by-object".to_owned(), vec![])
    );
    insta::assert_snapshot!(answer.json()["fix"].as_str().unwrap());
}

#[tokio::test]
async fn pages_of_others_are_no_danger_where_a_token_is_asked_for() {
    let hub = guarded(&[("ann", "get /metrics")], Limits::DEFAULT);
    let named = with(
        request("GET", "/metrics", Body::empty()),
        "host",
        "foreshard.example.com",
    );
    assert_eq!(send(&hub, from("ann", named)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn namespaces_and_targets_come_and_go() {
    let hub = guarded(
        &[
            ("ann", "list scalingpolicies in *"),
            ("ann", "list scalingpolicies in demo"),
            ("ann", "get /metrics"),
        ],
        Limits::DEFAULT,
    );
    let demo = "demo".parse().unwrap();
    hub.publish(&demo, bare("second"));
    assert!(hub.remove_target(&demo, "shop"));
    assert!(!hub.remove_target(&demo, "shop"));
    let targets = get_as(&hub, "ann", "~/targets").await.json();
    assert_eq!(targets["items"].as_array().unwrap().len(), 1);
    let metrics = get_as(&hub, "ann", "/metrics").await.text;
    assert!(
        !metrics.contains(r#"namespace="demo",target="shop",part"#),
        "{metrics}"
    );
    assert!(hub.remove_target(&demo, "second"));
    assert!(hub.namespace(&demo).is_none());
    let names = get_as(&hub, "ann", "/api/v1/namespaces").await.json();
    assert_eq!(names["items"], json!(["other"]));
    assert_eq!(get_as(&hub, "ann", "~/targets").await.problem().0, 404);
    hub.publish(&demo, bare("shop"));
    assert_eq!(
        get_as(&hub, "ann", "~/targets").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_unready_server_says_what_it_waits_for() {
    let hub = guarded(&[], Limits::DEFAULT);
    hub.set_unready(Some("the caches are not filled yet".to_owned()));
    let answer = get(&hub, "/readyz").await;
    assert_eq!(answer.problem(), (503, "not-ready".to_owned(), vec![]));
    assert_eq!(answer.json()["detail"], "the caches are not filled yet");
    hub.set_unready(None);
    assert_eq!(get(&hub, "/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_asks_too_often_has_to_wait_and_nobody_else() {
    let rate = crate::Rate {
        burst: 2,
        period: std::time::Duration::from_secs(60),
    };
    let limits = Limits {
        requests: rate,
        ..Limits::DEFAULT
    };
    let rules = [("ann", "get /metrics"), ("bob", "get /metrics")];
    let hub = guarded(&rules, limits);
    for _ in 0..2 {
        assert_eq!(get_as(&hub, "ann", "/metrics").await.status, StatusCode::OK);
    }
    let early = get_as(&hub, "ann", "/metrics").await;
    assert_eq!(
        early.problem(),
        (429, "too-many-requests".to_owned(), vec![])
    );
    let wait: u64 = early.headers[header::RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(get_as(&hub, "bob", "/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn health_on_a_port_of_its_own_is_open() {
    let hub = guarded(&[], Limits::DEFAULT);
    for path in ["/livez", "/readyz", "/metrics"] {
        let request = request("GET", path, Body::empty());
        let response = crate::health_app(Arc::clone(&hub))
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    let request = request("GET", "~/targets", Body::empty());
    let response = crate::health_app(hub).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

/// From the address of a peer.
fn at(peer: &str, mut request: Request<Body>) -> Request<Body> {
    let address = SocketAddr::new(peer.parse::<IpAddr>().unwrap(), 1);
    request.extensions_mut().insert(ConnectInfo(address));
    request
}

#[tokio::test]
async fn strangers_are_counted_by_their_address_before_anybody_is_asked() {
    let limits = Limits {
        strangers: crate::Rate {
            burst: 2,
            period: Duration::from_secs(60),
        },
        ..Limits::DEFAULT
    };
    let access = FakeAccess::of(&[("ann", "get /metrics"), ("bob", "get /metrics")]);
    let hub = guarded_by(Arc::clone(&access), limits);
    let ask = async |peer: &str, token: &str| {
        let request = request("GET", "/metrics", Body::empty());
        send(&hub, at(peer, from(token, request))).await
    };
    for token in ["wrong-1", "wrong-2"] {
        assert_eq!(ask("10.0.0.7", token).await.problem().0, 401);
    }
    for token in ["wrong-3", "wrong-4", "ann"] {
        let early = ask("10.0.0.7", token).await;
        assert_eq!(early.problem().1, "too-many-requests");
        assert!(early.headers.contains_key(header::RETRY_AFTER));
    }
    assert_eq!(access.identified.load(Ordering::Relaxed), 2);
    assert_eq!(ask("10.0.0.7", "bob").await.status, StatusCode::OK, "known");
    assert_eq!(ask("10.0.0.8", "ann").await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_so_many_strangers_are_asked_about_at_a_time() {
    let limits = Limits {
        strangers_max: 2,
        strangers_of_peer_max: 1,
        ..Limits::DEFAULT
    };
    let access = FakeAccess::of(&[("ann", "get /metrics"), ("bob", "get /metrics")]);
    let hub = guarded_by(Arc::clone(&access), limits);
    let ask = |peer: &str, token: &str| {
        let request = at(peer, from(token, request("GET", "/metrics", Body::empty())));
        let hub = Arc::clone(&hub);
        tokio::spawn(async move { send(&hub, request).await })
    };
    let under_way = async |count| {
        while access.identified.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    };
    let slow = ask("10.0.0.7", "slow");
    under_way(1).await;
    let same_peer = ask("10.0.0.7", "ann").await.unwrap();
    assert_eq!(same_peer.problem().1, "too-many-requests");
    let _other = ask("10.0.0.8", "slow");
    under_way(2).await;
    let full = ask("10.0.0.9", "ann").await.unwrap();
    assert_eq!(full.problem().0, 429);
    assert_eq!(full.headers[header::RETRY_AFTER], "1");
    let known = ask("10.0.0.7", "bob").await.unwrap();
    assert_eq!(known.status, StatusCode::OK);
    slow.abort();
    assert!(slow.await.is_err());
    let again = ask("10.0.0.7", "ann").await.unwrap();
    assert_eq!(again.status, StatusCode::OK, "its place is given back");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_about_namespaces_runs_into_the_time_limit() {
    let hub = guarded(&[], Limits::DEFAULT);
    let answer = get_as(&hub, "patient", "/api/v1/namespaces").await;
    assert_eq!(answer.problem(), (408, "timeout".to_owned(), vec![]));
}
