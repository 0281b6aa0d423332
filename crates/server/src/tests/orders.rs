//! Approvals, overrides, and the log of who ordered them.

use std::sync::Mutex;

use futures::future::BoxFuture;
use serde_json::json;
use tracing::subscriber::DefaultGuard;

use super::{
    access::{FakeAccess, bare, from},
    *,
};
use crate::{
    Approval, ApprovalOrder, Name, ObjectName, OrderError, Orders, Override, OverrideOrder,
};

/// Knows one recommendation, `web-1`, whose plan has the digest `sha256:1`.
struct FakeOrders;

impl Orders for FakeOrders {
    fn approve<'a>(
        &'a self,
        _: &'a Name,
        recommendation: &'a ObjectName,
        order: ApprovalOrder,
    ) -> BoxFuture<'a, Result<Approval, OrderError>> {
        let answer = if recommendation.as_ref() != "web-1" {
            Err(OrderError::NotFound {
                what: "scaling recommendation",
                name: recommendation.to_string(),
            })
        } else if order.digest != "sha256:1" {
            Err(OrderError::OtherPlan("sha256:1".to_owned()))
        } else {
            Ok(Approval {
                recommendation: recommendation.to_string(),
                digest: order.digest,
                user: order.user,
                expires_at: order.expiry_seconds.map_or(0.0, f64::from),
            })
        };
        Box::pin(async { answer })
    }

    fn override_scaling<'a>(
        &'a self,
        _: &'a Name,
        order: OverrideOrder,
    ) -> BoxFuture<'a, Result<Override, OrderError>> {
        let made = Override {
            name: format!("{}-x", order.policy),
            policy: order.policy.to_string(),
            expires_at: f64::from(order.expiry_seconds),
        };
        Box::pin(async { Ok(made) })
    }
}

fn cluster() -> Arc<Hub> {
    let names = ["demo".parse().unwrap()];
    let (ports, _) = ports(Arc::new(FakePolicies), &names, Limits::DEFAULT);
    let ports = Ports {
        access: FakeAccess::of(&[
            ("ann", "approve scalingrecommendations in demo"),
            ("ann", "create scalingoverrides in demo"),
            ("ann", "update policymodules in demo"),
            ("ann", "create policymodules in demo"),
            ("ann", "delete policymodules in demo"),
        ]),
        orders: Some(Arc::new(FakeOrders)),
        ..ports
    };
    let hub = Hub::new(ports, [], Limits::DEFAULT);
    hub.publish(&names[0], bare("shop"));
    hub
}

async fn post(hub: &Arc<Hub>, token: &str, path: &str, body: &Value) -> Answer {
    let request = request("POST", path, body.to_string());
    send(
        hub,
        from(token, with(request, "content-type", "application/json")),
    )
    .await
}

const APPROVAL: &str = "~/recommendations/web-1/approval";

#[tokio::test]
async fn exactly_the_plan_that_was_read_is_approved() {
    let hub = cluster();
    let approved = post(
        &hub,
        "ann",
        APPROVAL,
        &json!({"digest": "sha256:1", "expirySeconds": 60}),
    )
    .await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.text);
    assert_eq!(
        approved.json(),
        json!({"recommendation": "web-1", "digest": "sha256:1", "user": "ann", "expires_at": 60.0})
    );
    let other = post(&hub, "ann", APPROVAL, &json!({"digest": "sha256:2"})).await;
    assert_eq!(other.problem(), (409, "other-plan".to_owned(), vec![]));
    assert!(
        other.json()["detail"]
            .as_str()
            .unwrap()
            .contains("sha256:1")
    );
    let path = "~/recommendations/web-2/approval";
    assert_eq!(
        post(&hub, "ann", path, &json!({"digest": "x"}))
            .await
            .problem()
            .0,
        404
    );
    for (body, path) in [
        (json!({}), ""),
        (json!({"digest": "x", "expirySeconds": 0}), "expirySeconds"),
        (
            json!({"digest": "x", "expirySeconds": 604_801}),
            "expirySeconds",
        ),
        (json!({"digest": "x", "user": "bob"}), "user"),
    ] {
        let (status, _, errors) = post(&hub, "ann", APPROVAL, &body).await.problem();
        assert_eq!((status, errors[0].0.as_str()), (422, path), "{body}");
    }
    assert_eq!(
        post(&hub, "bob", APPROVAL, &json!({"digest": "sha256:1"}))
            .await
            .problem()
            .0,
        403
    );
}

#[tokio::test]
async fn an_override_is_checked_and_made() {
    let hub = cluster();
    let body =
        json!({"policyName": "web", "minReplicas": 3, "expirySeconds": 600, "reason": "sale"});
    let made = post(&hub, "ann", "~/overrides", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(
        made.json(),
        json!({"name": "web-x", "policy": "web", "expires_at": 600.0})
    );
    for (body, path) in [
        (json!({"policyName": "web", "expirySeconds": 60}), ""),
        (json!({"policyName": "web", "pause": "Both"}), ""),
        (
            json!({"policyName": "Web", "pause": "Both", "expirySeconds": 60}),
            "policyName",
        ),
        (
            json!({"policyName": "web", "pause": "both", "expirySeconds": 60}),
            "pause",
        ),
        (
            json!({"policyName": "web", "pause": "Both", "expirySeconds": 0}),
            "expirySeconds",
        ),
        (
            json!({"policyName": "web", "minReplicas": 0, "expirySeconds": 60}),
            "minReplicas",
        ),
        (
            json!({"policyName": "web", "maxReplicas": 10_001, "expirySeconds": 60}),
            "maxReplicas",
        ),
        (
            json!({"policyName": "web", "minReplicas": 3, "maxReplicas": 2, "expirySeconds": 60}),
            "minReplicas",
        ),
        (
            json!({"policyName": "web", "pause": "Both", "expirySeconds": 60, "reason": "x".repeat(513)}),
            "reason",
        ),
    ] {
        let (status, _, errors) = post(&hub, "ann", "~/overrides", &body).await.problem();
        assert_eq!((status, errors[0].0.as_str()), (422, path), "{body}");
    }
}

#[tokio::test]
async fn where_nothing_waits_for_people_there_is_nothing_to_approve() {
    let hub = hub();
    let body = json!({"digest": "sha256:1"});
    let answer = post(&hub, "ann", APPROVAL, &body).await;
    assert_eq!(
        answer.problem(),
        (409, "only-in-a-cluster".to_owned(), vec![])
    );
}

/// Lines of the log, of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn catch(&self) -> DefaultGuard {
        let lines = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter("foreshard::audit=info")
            .with_writer(move || lines.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn entries(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let entry = |line: &str| serde_json::from_str::<Value>(line).unwrap()["fields"].clone();
        text.lines().map(entry).collect()
    }
}

#[tokio::test]
async fn who_changed_what_is_logged_and_who_tried() {
    let lines = Lines::default();
    let _guard = lines.catch();
    let hub = cluster();
    let upload =
        |token, body: &'static str| from(token, request("PUT", "~/policymodules/mine", body));
    send(&hub, upload("ann", "good")).await;
    send(&hub, upload("ann", "bad")).await;
    send(&hub, upload("bob", "good")).await;
    send(&hub, upload("stranger", "good")).await;
    send(
        &hub,
        from("ann", request("GET", "~/policymodules/mine", Body::empty())),
    )
    .await;
    send(
        &hub,
        from(
            "ann",
            request("DELETE", "~/policymodules/mine", Body::empty()),
        ),
    )
    .await;
    post(&hub, "ann", APPROVAL, &json!({"digest": "sha256:1"})).await;
    post(&hub, "ann", APPROVAL, &json!({"digest": "sha256:2"})).await;
    let body = json!({"policyName": "web", "pause": "Both", "expirySeconds": 60});
    post(&hub, "ann", "~/overrides", &body).await;
    let short = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        let digest: String = text("digest").chars().take(12).collect();
        format!(
            "{} {} {} {}/{} {digest} {} {}",
            text("user"),
            text("verb"),
            text("resource"),
            text("namespace"),
            text("name"),
            text("outcome"),
            entry["status"]
        )
    };
    let entries: Vec<_> = lines.entries().iter().map(short).collect();
    insta::assert_snapshot!(entries.join("\n"));
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_logged() {
    let lines = Lines::default();
    let _guard = lines.catch();
    let hub = cluster();
    let never = Body::from_stream(futures::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let upload = from("ann", request("PUT", "~/policymodules/mine", never));
    let mut sending = Box::pin(send(&hub, upload));
    while hub.uploads.held() == 0 {
        assert!(futures::poll!(&mut sending).is_pending());
    }
    assert!(lines.entries().is_empty());
    drop(sending);
    assert_eq!(lines.entries()[0]["outcome"], "abandoned");
}
