//! `approve` against the admission policy of deploy/.

use serde_json::json;

use crate::cluster::{Cluster, DIGEST, GROUP};

const ISSUED: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2100-01-01T00:00:00Z";

#[test]
fn an_approval_is_of_the_plan_that_was_read_and_in_the_own_name() {
    let Some(cluster) = Cluster::new("approve") else {
        return;
    };
    let ann = cluster.user("ann", "foreshard-approver");
    cluster.recommendation("web-1", ISSUED, LATE, 5);
    let approval = || {
        let seen = cluster.get(GROUP, "scalingrecommendations", "web-1");
        seen["spec"]["approval"].clone()
    };
    // Nobody to ask.
    cluster
        .run_as(&ann, &["approve", "web-1"])
        .failed(2, "--yes");
    let other = DIGEST.replace('1', "2");
    let stale = cluster.run_as(&ann, &["approve", "web-1", "--yes", "--digest", &other]);
    stale.failed(3, "has the digest sha256:1111");
    let dry = cluster
        .run_as(&ann, &["approve", "web-1", "--dry-run"])
        .ok();
    assert!(
        dry.contains("approved by ann@") && dry.contains("(server dry run)"),
        "{dry}"
    );
    assert_eq!(approval(), json!(null), "nothing was written so far");

    let done = cluster.run_as(&ann, &["approve", "web-1", "--yes", "--expires-in", "10m"]);
    assert!(
        done.stderr.contains("Deployment/web from 2 to 5 replicas"),
        "{done:#?}"
    );
    let text = done.ok();
    assert!(
        text.starts_with(&format!(
            "scalingrecommendation/web-1 approved by {ann} until "
        )),
        "{text}"
    );
    let written = approval();
    assert_eq!(written["user"], ann);
    assert_eq!(written["digest"], DIGEST);
    let expiry: jiff::Timestamp = written["expiryTime"].as_str().unwrap().parse().unwrap();
    let left = expiry.as_second() - jiff::Timestamp::now().as_second();
    assert!((540..=600).contains(&left), "{left} s");
    let again = cluster.run_as(&ann, &["approve", "web-1", "--yes"]);
    again.failed(3, &format!("approved already, by {ann} until"));
}

#[test]
fn an_approval_ends_with_its_recommendation() {
    let Some(cluster) = Cluster::new("approve-end") else {
        return;
    };
    cluster.recommendation("web-1", ISSUED, "2099-01-01T00:00:00Z", 5);
    let args = [
        "approve",
        "web-1",
        "--yes",
        "--expires-in",
        "90000d",
        "-o",
        "json",
    ];
    let written: serde_json::Value = serde_json::from_str(&cluster.run(&args).ok()).unwrap();
    assert_eq!(
        written["spec"]["approval"]["expiryTime"],
        "2099-01-01T00:00:00Z"
    );
}

#[test]
fn who_may_not_is_told_which_right_is_missing() {
    let Some(cluster) = Cluster::new("approve-rights") else {
        return;
    };
    cluster.recommendation("web-1", ISSUED, LATE, 5);
    let approve = ["approve", "web-1", "--yes"];
    let namespace = cluster.name().to_owned();
    let nobody = format!("nobody@{namespace}");
    cluster.run_as(&nobody, &approve).failed(
        1,
        &format!("you may not get scalingrecommendations \"web-1\" in namespace {namespace}"),
    );
    let bob = cluster.user("bob", "foreshard-viewer");
    let refused = cluster.run_as(&bob, &approve);
    refused.failed(
        1,
        &format!("you may not patch scalingrecommendations \"web-1\" in namespace {namespace}"),
    );
    refused.failed(1, "--clusterrole=foreshard-approver");
    // May write them, and may not approve.
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("writer-{namespace}")},
        "rules": [{"apiGroups": ["foreshard.dev"], "resources": ["scalingrecommendations"], "verbs": ["get", "list", "patch"]}]
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    cluster.plane.api().post(path, &role).unwrap();
    let carl = cluster.user("carl", &format!("writer-{namespace}"));
    cluster
        .run_as(&carl, &approve)
        .failed(1, "may not approve scalingrecommendations in namespace");
    let seen = cluster.get(GROUP, "scalingrecommendations", "web-1");
    assert_eq!(seen["spec"]["approval"], json!(null));
}

#[test]
fn what_cannot_be_approved_any_more_is_refused() {
    let Some(cluster) = Cluster::new("approve-late") else {
        return;
    };
    cluster.recommendation("web-1", ISSUED, "2026-01-02T00:00:00Z", 5);
    cluster.recommendation("web-2", "2026-01-03T00:00:00Z", LATE, 6);
    cluster.recommendation("web-3", "2026-01-04T00:00:00Z", LATE, 7);
    let approve = |name: &str| cluster.run(&["approve", name, "--yes"]);
    approve("web-1").failed(3, "web-1 expired");
    approve("web-2").failed(3, "superseded by web-3 (2 to 7 replicas)");
    approve("web").failed(1, "its newest is web-3");
    approve("none").failed(1, "scalingrecommendations \"none\" not found");
    approve("web-3").ok();
}
