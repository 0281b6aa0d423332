//! What every route answers when all is well.

use serde_json::json;

use super::*;

#[tokio::test]
async fn targets_are_shown_as_they_are_now() {
    let hub = hub();
    let list = get(&hub, "~/targets").await.json();
    assert_eq!(list["items"][0], get(&hub, "~/targets/shop").await.json());
    assert_eq!(list["items"][0]["at"], 1140.0);
    assert_eq!(list["items"][0]["parts"][1]["demand"], json!(null));
    assert_eq!(
        get(&hub, "/api/v1/namespaces").await.json(),
        json!({ "items": ["demo", "empty"] })
    );
    assert_eq!(
        get(&hub, "/api/v1/namespaces/empty/targets").await.json(),
        json!({ "items": [] })
    );
}

#[tokio::test]
async fn series_are_columns_of_a_window() {
    let hub = hub();
    let path = "~/targets/shop/series?part=zone1/gate&since=300&until=1200&step=600";
    let series = get(&hub, path).await.json();
    assert_eq!(
        series["items"],
        json!([{
            "part": "zone1/gate", "step_seconds": 600.0, "at": [0.0, 600.0], "demand": [19.0, 29.0],
            "capacity": [30.0, 30.0], "wanted": [4, 4], "ready": [3, 3],
            "expected_middle": [20.0, 20.0], "expected_high": [30.0, 30.0]
        }])
    );
    let all = get(&hub, "~/targets/shop/series").await.json();
    assert_eq!(all["items"][0]["at"].as_array().unwrap().len(), 20);
    assert_eq!(
        get(&hub, "~/targets/shop/series?part=none").await.json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn forecasts_have_paths_and_peaks_at_the_asked_levels() {
    let hub = hub();
    let all = get(&hub, "~/forecasts/shop").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let one = get(&hub, "~/forecasts/shop?part=zone2/gate&levels=0.9")
        .await
        .json();
    let forecast = &one["items"][0];
    assert_eq!(
        forecast["quantiles"],
        json!([{ "q": 0.9, "values": [30.0, 31.0] }])
    );
    assert_eq!(forecast["skill"], json!(null));
    assert_eq!(
        forecast["peaks"],
        json!([{
            "action": "replicas", "lead_seconds": 120.0, "window_seconds": 60.0,
            "quantiles": [{ "q": 0.9, "value": 32.0 }]
        }])
    );
    assert_eq!(
        all["items"][0]["quantiles"][0]["values"],
        json!([20.0, null])
    );
}

fn ids(page: &Value) -> Vec<u64> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| number(it["id"].as_str().unwrap()))
        .collect()
}

/// The number of a decision's id, which begins with what tells the replica.
fn number(id: &str) -> u64 {
    id.split_once('-').unwrap().1.parse().unwrap()
}

/// The id of a decision of this hub.
async fn id_of(hub: &Arc<Hub>, wanted: u64) -> String {
    let page = get(hub, "~/recommendations?limit=200").await.json();
    let items = page["items"].as_array().unwrap();
    let ids = items.iter().map(|it| it["id"].as_str().unwrap());
    let mut ids = ids.filter(|id| number(id) == wanted);
    ids.next().unwrap().to_owned()
}

#[tokio::test]
async fn what_another_replica_counts_is_not_taken_for_our_own() {
    let [here, elsewhere] = [hub(), hub()];
    let id = id_of(&elsewhere, 4).await;
    for path in [
        format!("~/recommendations/{id}"),
        format!("~/recommendations?cursor={id}"),
    ] {
        assert_eq!(get(&elsewhere, &path).await.status, StatusCode::OK);
        let gone = get(&here, &path).await;
        assert_eq!(gone.problem(), (410, "other-replica".to_owned(), vec![]));
    }
}

#[tokio::test]
async fn recommendations_are_filtered_and_paged() {
    let hub = hub();
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(
            &hub,
            &format!("~/recommendations?changed=true&limit=3{cursor}"),
        )
        .await
        .json();
        pages.push(ids(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [vec![19, 16, 13], vec![10, 7, 4], vec![1]]);
    for (query, expected) in [
        ("since=1080", vec![20, 19]),
        ("changed=false&limit=2", vec![20, 18]),
        ("target=shop&part=zone1/gate&limit=1", vec![20]),
        ("target=other", vec![]),
        ("part=zone2/gate", vec![]),
    ] {
        let page = get(&hub, &format!("~/recommendations?{query}"))
            .await
            .json();
        assert_eq!(ids(&page), expected, "{query}");
    }
}

#[tokio::test]
async fn a_recommendation_carries_its_explanation_and_a_record_that_replays() {
    let hub = hub();
    let path = format!("~/recommendations/{}", id_of(&hub, 4).await);
    let detail = get(&hub, &path).await;
    let json = detail.json();
    assert_eq!(
        (&json["changed"], &json["at"], &json["policy"]),
        (&json!(true), &json!(180.0), &json!("mine"))
    );
    assert_eq!(json["parts"][0]["from"], 4);
    assert_eq!(json["parts"][0]["to"], 5);
    assert_eq!(json["explanation"]["verdicts"][0]["reason"], "a peak comes");
    let sent: DecisionRecord = serde_json::from_value(json["record"].clone()).unwrap();
    let again = serde_json::to_string(&foreshard_decide::replay(&sent)).unwrap();
    assert!(
        detail.text.contains(&again),
        "the record on the wire is what a replay gives, byte for byte"
    );
    let short = get(&hub, &format!("{path}?record=false")).await.json();
    assert_eq!(
        (&short["record"], &short["explanation"]),
        (&json!(null), &json["explanation"])
    );
}

#[tokio::test]
async fn a_policy_is_asked_for_and_then_acts() {
    let hub = hub();
    let demo = hub.namespace(&"demo".parse().unwrap()).unwrap();
    assert_eq!(
        get(&hub, "~/targets/shop/policy").await.json(),
        json!({ "in_force": null, "asked": null })
    );
    assert!(demo.asked_policy("shop").is_none());
    let answer = put_policy(&hub, r#"{"module": "builtin", "config": {"margin": 0.1}}"#).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["asked"]["module"], "builtin");
    let asked = demo.asked_policy("shop").unwrap();
    assert_eq!(
        (asked.module.as_str(), &asked.config),
        ("builtin", &json!({ "margin": 0.1 }))
    );
    assert_eq!(asked.policy.descriptor().name, "good builtin");
    demo.policy_acts("shop", &asked, 1260.0);
    assert!(demo.asked_policy("shop").is_none());
    let state = get(&hub, "~/targets/shop/policy").await.json();
    assert_eq!(state["asked"], json!(null));
    assert_eq!(
        (&state["in_force"]["module"], &state["in_force"]["since"]),
        (&json!("builtin"), &json!(1260.0))
    );
}

#[tokio::test]
async fn health_and_metrics() {
    let hub = hub();
    assert_eq!(get(&hub, "/livez").await.text, "ok\n");
    let (status, kind, _) = get(&hub, "/readyz").await.problem();
    assert_eq!((status, kind.as_str()), (503, "not-ready"));
    let empty = hub.namespace(&"empty".parse().unwrap()).unwrap();
    empty.publish(Update {
        target: target("other"),
        points: vec![],
        forecasts: None,
        history: None,
        decision: None,
    });
    assert_eq!(get(&hub, "/readyz").await.text, "ok\n");
    get(&hub, "/never/seen/before").await;
    let metrics = get(&hub, "/metrics").await.text;
    for line in [
        r#"foreshard_decisions_total{namespace="demo",target="shop",changed="true"} 7"#,
        r#"foreshard_part_ready_replicas{namespace="demo",target="shop",part="zone1/gate"} 3"#,
        r#"foreshard_part_demand{namespace="demo",target="shop",part="zone2/gate"} NaN"#,
        r#"foreshard_http_requests_total{method="GET",route="/readyz",status="503"} 1"#,
        r#"foreshard_http_requests_total{method="GET",route="none",status="404"} 1"#,
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn the_console_comes_with_headers_that_allow_nothing_inline() {
    let page = get(&hub(), "/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Foreshard"));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    assert_eq!(page.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    for inline in ["<style", "<script>", " style=", "javascript:", " onclick"] {
        assert!(!page.text.contains(inline), "{inline}");
    }
}

#[tokio::test]
async fn a_target_may_have_dots_in_its_name() {
    let hub = hub();
    hub.publish(&"demo".parse().unwrap(), super::access::bare("web.v2"));
    for path in [
        "~/targets/web.v2",
        "~/targets/web.v2/series",
        "~/targets/web.v2/policy",
        "~/forecasts/web.v2",
    ] {
        assert_eq!(get(&hub, path).await.status, StatusCode::OK, "{path}");
    }
}
