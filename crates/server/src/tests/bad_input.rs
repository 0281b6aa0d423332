//! Whatever is sent, the answer is a problem document that names the place, and never a 500.

use super::*;

#[tokio::test]
async fn paths_and_names_that_are_not_there() {
    let hub = hub();
    for (path, expected) in [
        ("/", None),
        ("/nothing", Some((404, "not-found"))),
        ("/api/v1/namespaces/demo", Some((404, "not-found"))),
        ("/api/v1/namespaces/other/targets", Some((404, "not-found"))),
        (
            "/api/v1/namespaces/Demo/targets",
            Some((400, "invalid-name")),
        ),
        ("/assets/..%2f..%2fCargo.toml", Some((404, "not-found"))),
        ("/assets/%2e%2e", Some((404, "not-found"))),
        ("~/targets/other", Some((404, "not-found"))),
        ("~/targets/other/series", Some((404, "not-found"))),
        ("~/targets/other/policy", Some((404, "not-found"))),
        ("~/forecasts/other", Some((404, "not-found"))),
        ("~/recommendations/0", Some((404, "not-found"))),
        ("~/recommendations/-1", Some((400, "invalid-name"))),
        (
            "~/recommendations/99999999999999999999999",
            Some((404, "not-found")),
        ),
        ("~/recommendations/one", Some((404, "not-found"))),
        ("~/policymodules/none", Some((404, "not-found"))),
        ("~/policymodules/none/component", Some((404, "not-found"))),
        (
            "~/policymodules/..%2f..%2fetc%2fpasswd",
            Some((400, "invalid-name")),
        ),
        ("~/policymodules/%2e%2e", Some((400, "invalid-name"))),
        ("~/policymodules/a%00b", Some((400, "invalid-name"))),
        ("~/policymodules/%ff", Some((400, "invalid-name"))),
        ("~/targets/%F0%9F%92%A5", Some((400, "invalid-name"))),
        ("~/targets//policy", Some((400, "invalid-name"))),
    ] {
        let answer = get(&hub, path).await;
        match expected {
            None => assert_eq!(answer.status, StatusCode::OK, "{path}"),
            Some((status, kind)) => {
                let (found_status, found_kind, _) = answer.problem();
                assert_eq!(
                    (found_status, found_kind.as_str()),
                    (status, kind),
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn queries_that_are_not_right_name_the_parameter() {
    let hub = hub();
    for (path, parameter) in [
        ("~/recommendations?limit=0", "limit"),
        ("~/recommendations?limit=201", "limit"),
        ("~/recommendations?limit=99999999", "limit"),
        ("~/recommendations?limit=ten", "limit"),
        ("~/recommendations?limit=1&limit=2", "limit"),
        ("~/recommendations?cursor=x", "cursor"),
        ("~/recommendations?since=NaN", "since"),
        ("~/recommendations?since=yesterday", "since"),
        ("~/recommendations?changed=maybe", "changed"),
        ("~/recommendations?chagned=true", "chagned"),
        ("~/recommendations/1?record=1", "record"),
        ("~/forecasts/shop?levels=0.5,1", "levels"),
        ("~/forecasts/shop?levels=0.7", "levels"),
        ("~/forecasts/shop?levels=", "levels"),
        ("~/forecasts/shop?horizon=1", "horizon"),
        ("~/targets/shop/series?step=-1", "step"),
        ("~/targets/shop/series?until=inf", "until"),
    ] {
        let (status, kind, errors) = get(&hub, path).await.problem();
        assert_eq!((status, kind.as_str()), (400, "invalid-query"), "{path}");
        let paths: Vec<_> = errors.iter().map(|(path, _)| path.as_str()).collect();
        assert!(
            paths == [format!("query.{parameter}")] || errors[0].1.contains(parameter),
            "{path}: {errors:?}"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_not_right_name_the_field() {
    let hub = hub();
    for (body, status, kind, path) in [
        ("", 400, "invalid-json", ""),
        ("{", 400, "invalid-json", ""),
        ("[]", 422, "invalid-body", ""),
        ("null", 422, "invalid-body", ""),
        (r#"{"module": "builtin"} x"#, 400, "invalid-json", ""),
        (r#"{"config": {}}"#, 422, "invalid-body", ""),
        (r#"{"module": 7}"#, 422, "invalid-body", "module"),
        (
            r#"{"module": "builtin", "config": [1]}"#,
            422,
            "invalid-body",
            "config",
        ),
        (
            r#"{"module": "builtin", "config": {}, "mode": "act"}"#,
            422,
            "invalid-body",
            "mode",
        ),
        (r#"{"module": "../x"}"#, 422, "unknown-module", "module"),
        (
            r#"{"module": "builtin", "config": {"wrong": 1}}"#,
            422,
            "invalid-config",
            "wrong.a",
        ),
    ] {
        let answer = put_policy(&hub, body).await;
        let (found_status, found_kind, errors) = answer.problem();
        assert_eq!(
            (found_status, found_kind.as_str()),
            (status, kind),
            "{body}"
        );
        assert_eq!(errors[0].0, path, "{body}: {errors:?}");
    }
    let deep = format!(
        r#"{{"module": "builtin", "config": {{"a": {}}}}}"#,
        "[".repeat(10_000)
    );
    assert_eq!(put_policy(&hub, &deep).await.problem().1, "invalid-json");
    let large = format!(r#"{{"module": "{}"}}"#, "x".repeat(100_000));
    assert_eq!(put_policy(&hub, &large).await.problem().0, 413);
}

#[tokio::test]
async fn methods_and_media_types_that_are_not_taken() {
    let hub = hub();
    let wrong_method = send(&hub, request("POST", "~/targets", "x")).await;
    assert_eq!(wrong_method.problem().0, 405);
    assert_eq!(wrong_method.headers[header::ALLOW], "GET,HEAD");
    let no_type = send(&hub, request("PUT", "~/targets/shop/policy", "{}")).await;
    assert_eq!(no_type.problem().0, 415);
    let form = request("PUT", "~/policymodules/mine", "good");
    let form = with(form, "content-type", "application/x-www-form-urlencoded");
    let form = send(&hub, form).await;
    assert_eq!(form.problem().0, 415);
    assert!(
        form.json()["fix"]
            .as_str()
            .unwrap()
            .contains("application/wasm")
    );
    for (path, accept, status) in [
        ("~/targets", "text/html", 406),
        ("~/targets", "application/json;q=0", 406),
        ("~/targets", "text/html, application/*;q=0.1", 200),
        ("~/targets", "application/json", 200),
        ("~/policymodules/builtin/component", "application/json", 406),
        ("~/policymodules/builtin/component", "application/wasm", 200),
        ("~/events", "application/json", 406),
    ] {
        let request = with(request("GET", path, Body::empty()), "accept", accept);
        assert_eq!(
            send(&hub, request).await.status.as_u16(),
            status,
            "{path} {accept}"
        );
    }
}

#[tokio::test]
async fn other_web_sites_are_kept_out() {
    let hub = hub();
    let rebound = with(
        request("GET", "~/targets", Body::empty()),
        "host",
        "evil.example",
    );
    assert_eq!(send(&hub, rebound).await.problem().0, 421);
    let upload = || request("PUT", "~/policymodules/mine", "good");
    let foreign = with(upload(), "origin", "https://evil.example");
    assert_eq!(send(&hub, foreign).await.problem().0, 403);
    let own = with(upload(), "origin", "http://localhost");
    assert_eq!(send(&hub, own).await.status, StatusCode::CREATED);
}
