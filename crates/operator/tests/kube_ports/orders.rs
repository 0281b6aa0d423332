//! Approvals and overrides become what the objects say.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::cluster::{AUDIENCE, Cluster};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn recommendation(expiry: &str) -> Value {
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation",
        "metadata": { "generateName": "web-", "labels": { "foreshard.dev/policy": "web" } },
        "spec": {
            "policyName": "web",
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "mode": "Approve", "issuedTime": "2026-01-01T00:00:00Z", "expiryTime": expiry,
            "plan": [{ "type": "Replicas", "from": 2, "to": 5, "reason": "a peak comes" }],
            "digest": DIGEST,
            "explanation": { "summary": "a peak comes" },
            "counterfactual": { "replicas": 2, "summary": "it would stay" },
        }
    })
}

#[tokio::test]
async fn an_approval_names_who_what_and_until_when() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("boss", &[("scalingrecommendations", &["approve"])]);
    cluster.account("clerk", &[("scalingrecommendations", &["get", "list"])]);
    let (boss, clerk) = (
        cluster.token("boss", &[AUDIENCE]).await,
        cluster.token("clerk", &[AUDIENCE]).await,
    );
    let hub = cluster.hub(None);
    let path = format!(
        "/apis/foreshard.dev/v1alpha1/namespaces/{}/scalingrecommendations",
        cluster.name
    );
    let make = |expiry| {
        let made = cluster
            .plane
            .api()
            .post(&path, &recommendation(expiry))
            .unwrap();
        made["metadata"]["name"].as_str().unwrap().to_owned()
    };
    let name = make("2100-01-01T00:00:00Z");
    let approve = async |token: &str, name: &str, digest: &str| {
        let body = json!({ "digest": digest, "expirySeconds": 600 }).to_string();
        cluster
            .ask(
                &hub,
                token,
                "POST",
                &format!("~/recommendations/{name}/approval"),
                body,
            )
            .await
    };
    assert_eq!(
        approve(&clerk, &name, DIGEST).await.status,
        StatusCode::FORBIDDEN
    );
    let other = approve(&boss, &name, &DIGEST.replace('1', "2")).await;
    assert_eq!(
        other.json["type"], "urn:foreshard:problem:other-plan",
        "{}",
        other.json
    );
    assert_eq!(
        approve(&boss, "none", DIGEST).await.status,
        StatusCode::NOT_FOUND
    );
    let approved = approve(&boss, &name, DIGEST).await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.json);
    let object = cluster.plane.api().get(&format!("{path}/{name}")).unwrap();
    let approval = &object["spec"]["approval"];
    assert_eq!(
        approval["user"],
        format!("system:serviceaccount:{}:boss", cluster.name)
    );
    assert_eq!(approval["digest"], DIGEST);
    assert!(approval["expiryTime"].as_str().unwrap() < "2100");
    let mut newer = recommendation("2100-01-01T00:00:00Z");
    newer["spec"]["issuedTime"] = "2026-01-01T00:05:00Z".into();
    let newer = cluster.plane.api().post(&path, &newer).unwrap();
    let superseded = approve(&boss, &name, DIGEST).await;
    assert_eq!(
        superseded.status,
        StatusCode::CONFLICT,
        "{}",
        superseded.json
    );
    let detail = superseded.json["detail"].as_str().unwrap();
    assert!(
        detail.contains(newer["metadata"]["name"].as_str().unwrap()),
        "{detail}"
    );
    let late = approve(&boss, &make("2026-01-02T00:00:00Z"), DIGEST).await;
    assert_eq!(
        late.json["type"],
        "urn:foreshard:problem:recommendation-expired"
    );
}

#[tokio::test]
async fn an_override_is_an_object_with_an_end() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("ops", &[("scalingoverrides", &["create"])]);
    let token = cluster.token("ops", &[AUDIENCE]).await;
    let hub = cluster.hub(None);
    let order =
        json!({ "policyName": "web", "minReplicas": 3, "expirySeconds": 600, "reason": "sale" });
    let order = async || {
        cluster
            .ask(&hub, &token, "POST", "~/overrides", order.to_string())
            .await
    };
    assert_eq!(order().await.status, StatusCode::NOT_FOUND);
    let base = format!("/apis/foreshard.dev/v1alpha1/namespaces/{}", cluster.name);
    let policy = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": { "name": "web" },
        "spec": {
            "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
            "signals": [{
                "name": "load", "query": "up", "sourceRef": { "name": "main" }, "targetAverageValue": "10"
            }],
            "actions": [{ "type": "Replicas", "min": 1, "max": 10 }],
        }
    });
    cluster
        .plane
        .api()
        .post(&format!("{base}/scalingpolicies"), &policy)
        .unwrap();
    let made = order().await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json);
    let name = made.json["name"].as_str().unwrap();
    let object = cluster
        .plane
        .api()
        .get(&format!("{base}/scalingoverrides/{name}"))
        .unwrap();
    assert_eq!(object["spec"]["minReplicas"], 3);
    assert_eq!(
        object["metadata"]["annotations"]["foreshard.dev/ordered-by"],
        format!("system:serviceaccount:{}:ops", cluster.name)
    );
}
