//! Policy modules come and go.

use serde_json::json;

use super::*;

async fn upload(hub: &Arc<Hub>, name: &str, component: &str) -> Answer {
    send(
        hub,
        request(
            "PUT",
            &format!("~/policymodules/{name}"),
            component.to_owned(),
        ),
    )
    .await
}

async fn delete(hub: &Arc<Hub>, name: &str) -> Answer {
    send(
        hub,
        request("DELETE", &format!("~/policymodules/{name}"), Body::empty()),
    )
    .await
}

#[tokio::test]
async fn a_module_is_stored_replaced_read_and_deleted() {
    let hub = hub();
    let created = upload(&hub, "mine", "good 1").await;
    assert_eq!(created.status, StatusCode::CREATED);
    let module = created.json();
    assert_eq!(
        (&module["name"], &module["bytes"], &module["builtin"]),
        (&json!("mine"), &json!(6), &json!(false))
    );
    assert_eq!(module["descriptor"]["summary"], "Good.");
    let tag = created.headers[header::ETAG].to_str().unwrap();
    assert_eq!(tag, format!("{:?}", module["digest"].as_str().unwrap()));

    let known = with(
        request("GET", "~/policymodules/mine", Body::empty()),
        "if-none-match",
        tag,
    );
    assert_eq!(send(&hub, known).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(get(&hub, "~/policymodules/mine").await.json(), module);
    let component = get(&hub, "~/policymodules/mine/component").await;
    assert_eq!(
        (
            component.text.as_str(),
            &component.headers[header::CONTENT_TYPE]
        ),
        ("good 1", &"application/wasm".parse().unwrap())
    );

    assert_eq!(upload(&hub, "mine", "good 22").await.status, StatusCode::OK);
    let list = get(&hub, "~/policymodules").await.json();
    let names: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, ["builtin", "mine"]);
    assert_eq!(delete(&hub, "mine").await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&hub, "mine").await.problem().0, 404);
}

#[tokio::test]
async fn preconditions_guard_against_lost_updates() {
    let hub = hub();
    let put = |name, value: &str| {
        with(
            request("PUT", "~/policymodules/mine", "good 1"),
            name,
            value,
        )
    };
    assert_eq!(send(&hub, put("if-match", "\"x\"")).await.problem().0, 412);
    assert_eq!(
        send(&hub, put("if-none-match", "*")).await.status,
        StatusCode::CREATED
    );
    assert_eq!(send(&hub, put("if-none-match", "*")).await.problem().0, 412);
    let tag = get(&hub, "~/policymodules/mine").await.headers[header::ETAG].clone();
    assert_eq!(
        send(&hub, put("if-match", tag.to_str().unwrap()))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn what_is_refused_says_why_and_changes_nothing() {
    let hub = hub();
    let refused = upload(&hub, "mine", "plain text").await;
    assert_eq!(refused.problem(), (422, "not-wasm".to_owned(), vec![]));
    assert_eq!(refused.json()["fix"], "build a component");
    assert_eq!(get(&hub, "~/policymodules/mine").await.problem().0, 404);
    assert_eq!(
        upload(&hub, "builtin", "good").await.problem(),
        (409, "module-built-in".to_owned(), vec![])
    );
    assert_eq!(delete(&hub, "builtin").await.problem().0, 409);
    let metrics = get(&hub, "/metrics").await.text;
    assert!(metrics.contains(r#"foreshard_policy_refusals_total{kind="not-wasm"} 1"#));
}

#[tokio::test]
async fn a_module_that_a_target_follows_stays() {
    let hub = hub();
    upload(&hub, "mine", "good 1").await;
    put_policy(&hub, r#"{"module": "mine"}"#).await;
    let refused = delete(&hub, "mine").await;
    assert_eq!(refused.problem(), (409, "module-in-use".to_owned(), vec![]));
    put_policy(&hub, r#"{"module": "builtin"}"#).await;
    assert_eq!(delete(&hub, "mine").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_fault_in_the_policy_host_is_a_problem_document() {
    let (status, kind, _) = upload(&hub(), "mine", "panic").await.problem();
    assert_eq!((status, kind.as_str()), (500, "internal-error"));
}

#[tokio::test]
async fn too_large_is_refused_before_it_has_arrived() {
    let hub = hub_with(Limits {
        component_bytes_max: 10,
        ..Limits::DEFAULT
    });
    assert_eq!(
        upload(&hub, "mine", "good 1").await.status,
        StatusCode::CREATED
    );
    assert_eq!(upload(&hub, "mine", "good 1234567").await.problem().0, 413);
    // Without a length that could be looked at before.
    let chunks = futures::stream::iter((0..9).map(|_| Ok::<_, std::io::Error>("good")));
    let stream = request("PUT", "~/policymodules/mine", Body::from_stream(chunks));
    assert_eq!(send(&hub, stream).await.problem().0, 413);
}

#[tokio::test]
async fn many_uploads_at_once_are_turned_away() {
    let hub = hub_with(Limits {
        uploads_max: 0,
        ..Limits::DEFAULT
    });
    let refused = upload(&hub, "mine", "good 1").await;
    assert_eq!(refused.problem().1, "too-many-uploads");
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
}

/// A host that is busy with each component until it is told to go on.
struct SlowPolicies(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl Policies for SlowPolicies {
    fn admit(&self, _: &[u8]) -> Result<Arc<dyn Policy>, Refused> {
        let go_on = self
            .0
            .lock()
            .map_err(|error| Refused::Unavailable(error.to_string()))?;
        go_on
            .recv()
            .map_err(|error| Refused::Unavailable(error.to_string()))?;
        Ok(policy("slow"))
    }
}

#[tokio::test]
async fn components_that_take_long_to_check_stall_nothing_else() {
    let (go_on, waits) = std::sync::mpsc::channel();
    let slow = Arc::new(SlowPolicies(waits.into()));
    let names = ["demo".parse().unwrap()];
    let (ports, store) = ports(slow, &names, Limits::DEFAULT);
    let hub = Hub::new(ports, names.clone(), Limits::DEFAULT);
    let demo = hub.namespace(&"demo".parse().unwrap()).unwrap();
    demo.publish(Update {
        target: target("shop"),
        points: vec![],
        forecasts: None,
        history: None,
        decision: None,
    });
    let builtin = "builtin".parse().unwrap();
    store
        .install(&names[0], &builtin, "good".into(), &FakePolicies)
        .unwrap();
    let bombs: Vec<_> = (0..Limits::DEFAULT.uploads_max)
        .map(|n| {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move { upload(&hub, &format!("bomb-{n}"), "bomb").await.status })
        })
        .collect();
    while hub.uploads.held() < Limits::DEFAULT.uploads_max {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&hub, "~/targets").await.status, StatusCode::OK);
    let activated = put_policy(&hub, r#"{"module": "builtin"}"#).await;
    assert_eq!(activated.status, StatusCode::OK, "{}", activated.text);
    assert_eq!(
        upload(&hub, "mine", "good").await.problem().1,
        "too-many-uploads"
    );
    // Which of them is next is not said.
    for _ in &bombs {
        go_on.send(()).unwrap();
    }
    for bomb in bombs {
        assert_eq!(bomb.await.unwrap(), StatusCode::CREATED);
    }
}
