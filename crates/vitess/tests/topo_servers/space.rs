//! A database that is full, gets room, and is written anew.

use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, eventually};

/// Values of this size fill the smallest quota soon.
const VALUE_BYTES: usize = 1 << 20;

fn database_bytes(stage: &Stage) -> u64 {
    let said = stage.etcdctl("example", &["endpoint", "status", "--write-out=json"]);
    let all: Value = serde_json::from_str(&said).unwrap();
    all[0]["Status"]["dbSize"].as_u64().unwrap()
}

#[test]
fn a_full_database_is_said_gets_room_by_the_spec_and_is_written_anew_once_it_is_unused() {
    let Some(stage) = Stage::new("space") else {
        return;
    };
    let object = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "TopoServer", "metadata": {"name": "example"},
        "spec": {"members": 1, "quotaMebibytes": 64}
    });
    stage.create(GROUP, "toposervers", &object);
    stage.expect_members("example", 1);
    let value = vec![b'x'; VALUE_BYTES];
    let refused = (0..100).find_map(|index| {
        let key = format!("/vitess/{index}");
        stage.try_etcdctl("example", &["put", &key], &value).err()
    });
    let refused = refused.unwrap();
    assert!(refused.contains("database space exceeded"), "{refused}");
    let said = stage.expect("example", "Ready", "False", "NoSpace");
    assert!(said.contains("Raise spec.quotaMebibytes"), "{said}");

    // Its pod is made anew with the new quota, and then the alarm is ended.
    let raised = json!({"spec": {"quotaMebibytes": 256}});
    stage.patch(GROUP, "toposervers", "example", &raised);
    stage.expect("example", "WithinQuota", "True", "Room");
    stage.expect_members("example", 1);
    // There is room, and with this more than what is worth writing anew.
    for index in 100..120 {
        let key = format!("/vitess/{index}");
        stage
            .try_etcdctl("example", &["put", &key], &value)
            .unwrap();
    }
    let full = database_bytes(&stage);
    assert!(full > 64 << 20, "{full}");
    stage.etcdctl("example", &["del", "/vitess/", "--prefix"]);
    let said = stage.etcdctl(
        "example",
        &["put", "/vitess/kept", "yes", "--write-out=json"],
    );
    let said: Value = serde_json::from_str(&said).unwrap();
    let revision = said["header"]["revision"].to_string();
    stage.etcdctl("example", &["compact", "--physical", &revision]);
    eventually("it is written anew", || {
        let bytes = database_bytes(&stage);
        (bytes < full / 4).then_some(()).ok_or(bytes)
    });
    stage.expect_members("example", 1);
}
