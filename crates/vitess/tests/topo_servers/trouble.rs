//! What must not happen, and what is said when something cannot.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::stage::{GROUP, Stage, eventually};

#[test]
fn a_topology_whose_only_volume_is_gone_is_held_and_not_bootstrapped_again() {
    let Some(stage) = Stage::new("lost") else {
        return;
    };
    stage.topo_server("example", 1);
    let begun = stage.expect_members("example", 1);
    stage.delete("api/v1", "persistentvolumeclaims", "example-etcd-0");
    let said = stage.expect("example", "Ready", "False", "TopologyLost");
    assert!(said.contains("not bootstrapped again"), "{said}");
    stage.expect("example", "Stalled", "True", "TopologyLost");
    thread::sleep(Duration::from_secs(2));
    assert!(stage.list("api/v1", "persistentvolumeclaims").is_empty());
    assert_eq!(stage.status("example")["clusterId"], begun["clusterId"]);
}

#[test]
fn volumes_of_a_deleted_object_are_taken_over_by_its_name() {
    let Some(stage) = Stage::new("again") else {
        return;
    };
    stage.topo_server("example", 3);
    let begun = stage.expect_members("example", 3);
    stage.etcdctl("example", &["put", "/vitess/kept", "yes"]);
    stage.delete(GROUP, "toposervers", "example");
    eventually("its pods are gone", || {
        let pods = stage.list("api/v1", "pods");
        pods.is_empty().then_some(()).ok_or(pods.len())
    });
    assert_eq!(stage.list("api/v1", "persistentvolumeclaims").len(), 3);
    stage.topo_server("example", 3);
    let again = stage.expect_members("example", 3);
    assert_eq!(again["clusterId"], begun["clusterId"]);
    let said = stage.etcdctl("example", &["get", "/vitess/kept", "--print-value-only"]);
    assert_eq!(said.trim(), "yes");
}

#[test]
fn an_exhausted_quota_is_said_and_the_rest_follows_once_there_is_room() {
    let Some(stage) = Stage::new("quota") else {
        return;
    };
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
        "spec": {"hard": {"persistentvolumeclaims": "0"}}
    });
    stage.create("api/v1", "resourcequotas", &quota);
    eventually("the quota is in force", || {
        let quota = stage.try_get("api/v1", "resourcequotas", "small").unwrap();
        let known = quota["status"]["hard"].is_object();
        known.then_some(()).ok_or(quota)
    });
    stage.topo_server("example", 1);
    let said = stage.expect("example", "Progressing", "False", "Forbidden");
    assert!(said.contains("exceeded quota"), "{said}");
    stage.delete("api/v1", "resourcequotas", "small");
    stage.expect_members("example", 1);
}

#[test]
fn a_volume_that_is_too_small_for_its_quota_is_refused_with_the_fix() {
    let Some(stage) = Stage::new("small") else {
        return;
    };
    let object = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "TopoServer", "metadata": {"name": "example"},
        "spec": {"members": 1, "storage": {"size": "1Gi"}}
    });
    stage.create(GROUP, "toposervers", &object);
    let said = stage.expect("example", "Ready", "False", "InvalidSpec");
    assert!(said.contains("spec.storage.size"), "{said}");
    assert!(stage.list("api/v1", "pods").is_empty());
}

#[test]
fn a_volume_without_its_labels_is_not_lost_nor_is_a_pod() {
    let Some(stage) = Stage::new("labels") else {
        return;
    };
    stage.topo_server("example", 3);
    let begun = stage.expect_members("example", 3);
    let bare = json!({"metadata": {"labels": null}});
    for (resource, name) in [
        ("persistentvolumeclaims", "example-etcd-1"),
        ("pods", "example-etcd-2"),
    ] {
        stage.patch("api/v1", resource, name, &bare);
        eventually("the labels are there again", || {
            let object = stage.try_get("api/v1", resource, name).unwrap();
            let of = &object["metadata"]["labels"]["foreshard.dev/topo-server"];
            (of == "example")
                .then_some(())
                .ok_or(object["metadata"].clone())
        });
    }
    assert_eq!(
        stage.expect_members("example", 3)["members"],
        begun["members"]
    );
}

#[test]
fn another_authority_is_not_made_for_members_that_run() {
    let Some(mut stage) = Stage::new("authority") else {
        return;
    };
    stage.topo_server("example", 1);
    stage.expect_members("example", 1);
    let authority = stage.try_get("api/v1", "secrets", "example-ca").unwrap();
    stage.delete("api/v1", "secrets", "example-ca");
    // What was read a while ago is read again after a start.
    stage.kill_operator();
    stage.operate();
    stage.expect("example", "Progressing", "False", "AuthorityLost");
    stage.expect("example", "Ready", "True", "MajorityAnswers");
    assert!(stage.try_get("api/v1", "secrets", "example-ca").is_none());
    let copy = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "example-ca"}, "data": authority["data"]
    });
    stage.create("api/v1", "secrets", &copy);
    stage.kill_operator();
    stage.operate();
    stage.expect("example", "Progressing", "False", "AsWanted");
}
