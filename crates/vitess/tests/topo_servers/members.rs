//! What becomes of members: a first one, more of them, one whose volume is lost.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, eventually};

fn ids(status: &Value) -> Vec<(String, String)> {
    let members = status["members"].as_array().unwrap().iter();
    members
        .map(|it| {
            (
                it["name"].as_str().unwrap().to_owned(),
                it["id"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn one_becomes_three_a_lost_volume_is_replaced_and_nothing_written_is_lost() {
    let Some(stage) = Stage::new("members") else {
        return;
    };
    stage.topo_server("example", 1);
    let first = stage.expect_members("example", 1);
    stage.etcdctl("example", &["put", "/vitess/kept", "yes"]);

    stage.patch(
        GROUP,
        "toposervers",
        "example",
        &json!({"spec": {"members": 3}}),
    );
    let grown = stage.expect_members("example", 3);
    assert_eq!(grown["clusterId"], first["clusterId"]);

    stage.delete("api/v1", "persistentvolumeclaims", "example-etcd-1");
    let before = ids(&grown);
    eventually("another member is in its place", || {
        let now = stage.status("example");
        let id = |all: &[(String, String)]| {
            let own = all.iter().find(|it| it.0 == "example-etcd-1");
            own.map(|it| it.1.clone())
        };
        let new = id(&ids(&now));
        (new.is_some() && new != id(&before))
            .then_some(())
            .ok_or(now)
    });
    let replaced = stage.expect_members("example", 3);
    assert_eq!(replaced["clusterId"], first["clusterId"]);
    let kept = |all: &[(String, String)]| {
        let mut all = all.to_vec();
        all.retain(|it| it.0 != "example-etcd-1");
        all
    };
    assert_eq!(kept(&ids(&replaced)), kept(&before));
    let said = stage.etcdctl("example", &["get", "/vitess/kept", "--print-value-only"]);
    assert_eq!(said.trim(), "yes");
}

#[test]
fn three_are_bootstrapped_together_and_a_pass_without_news_writes_nothing() {
    let Some(mut stage) = Stage::new("steady") else {
        return;
    };
    stage.topo_server("example", 3);
    let begun = stage.expect_members("example", 3);
    let settled = stage.writes_at_rest();
    // Several looks of half a second.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(stage.writes(), settled);

    // The same after a start: what is there is known for what it is.
    stage.kill_operator();
    stage.operate();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(stage.writes(), settled);

    // What somebody else changed is put right.
    let elsewhere = json!({"spec": {"selector": {"app.kubernetes.io/component": "other"}}});
    stage.patch("api/v1", "services", "example-etcd", &elsewhere);
    eventually("the selector is ours again", || {
        let service = stage.try_get("api/v1", "services", "example-etcd").unwrap();
        let selector = &service["spec"]["selector"]["app.kubernetes.io/component"];
        (selector == "etcd").then_some(()).ok_or(service.clone())
    });
    // A pod that is gone is made again, on its volume, as the same member.
    stage.delete("api/v1", "pods", "example-etcd-2");
    eventually("it is made again", || {
        stage
            .try_get("api/v1", "pods", "example-etcd-2")
            .map(drop)
            .ok_or("it is gone")
    });
    let again = stage.expect_members("example", 3);
    assert_eq!(ids(&again), ids(&begun));
}

#[test]
fn an_operator_that_dies_at_every_write_still_brings_it_about() {
    let Some(mut stage) = Stage::new("deaths") else {
        return;
    };
    let has = |stage: &Stage, members: u64| {
        let status = stage.status("example");
        status["readyMembers"] == members
            && status["members"]
                .as_array()
                .is_some_and(|it| it.len() as u64 == members)
    };
    stage.limit_to_one_write();
    stage.topo_server("example", 1);
    let begun = stage.die_at_every_write(|stage| has(stage, 1));
    let first = stage.status("example");
    stage.etcdctl("example", &["put", "/vitess/kept", "yes"]);

    stage.limit_to_one_write();
    stage.patch(
        GROUP,
        "toposervers",
        "example",
        &json!({"spec": {"members": 3}}),
    );
    let grown = stage.die_at_every_write(|stage| has(stage, 3));

    let before = ids(&stage.status("example"));
    stage.limit_to_one_write();
    stage.delete("api/v1", "persistentvolumeclaims", "example-etcd-2");
    let replaced = stage
        .die_at_every_write(|stage| has(stage, 3) && ids(&stage.status("example"))[2] != before[2]);
    // Objects, volumes and pods at least; each of them a death.
    assert!(
        begun >= 6 && grown >= 4 && replaced >= 2,
        "{begun}, {grown}, {replaced}"
    );
    let last = stage.expect_members("example", 3);
    assert_eq!(last["clusterId"], first["clusterId"]);
    let said = stage.etcdctl("example", &["get", "/vitess/kept", "--print-value-only"]);
    assert_eq!(said.trim(), "yes");
}
