//! Backups of a Vitess in a bucket, on a real node, with a store that speaks S3. Needs root, and the parts of `node` and
//! `bucket`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::sync::Arc;
use std::time::Instant;

use foreshard_testbed::{Node, object_store, or_left_out};
use serde_json::Value;

use crate::stage::*;

#[path = "../vitess_node/stage.rs"]
#[allow(dead_code, reason = "the test of a whole cluster asks for more of it")]
mod stage;
mod store;

const SHARD: &str = "example-commerce-x-x";
/// One tablet, and the least of everything else: what matters here is where its backups go.
const VITESS: &str = r#"
apiVersion: foreshard.dev/v1alpha1
kind: Vitess
metadata: {name: example}
spec:
  cells:
  - name: zone1
    vtgate: {initialReplicas: 1, resources: &few {requests: {cpu: 10m, memory: 64Mi}}}
  topology: {etcd: {members: 1, resources: *few}}
  vtctld: {replicas: 1, resources: *few}
  vtorc: {replicas: 1, resources: *few}
  keyspaces:
  - name: commerce
    durability: None
    tabletPools:
    - {cell: zone1, type: Replica, initialReplicas: 1, vttablet: *few, mysqld: *few, storage: {size: 10Gi}}
  backups:
    location:
      s3:
        bucket: backups
        region: eu-1
        endpoint: http://store.default.svc:7070
        prefix: of/us
        credentials: {name: bucket, key: credentials}
    retention: {count: 1, days: 1}
"#;
/// Rows that no compression makes small: their file goes to a store in several parts.
const NOISE: [&str; 2] = [
    "create table noise (id bigint primary key auto_increment, bytes blob)",
    "insert into vt_commerce.noise (bytes) with recursive few as (select 1 as i union all select i + 1 from few where i < 128) \
     select random_bytes(1024) from few as a cross join few as b",
];
const SUM: &str = "select count(*), sum(crc32(bytes)) from vt_commerce.noise";

fn shard(node: &Node) -> Value {
    get(node, &format!("{GROUP}/keyspaceshards/{SHARD}"))
}

/// The condition on the shard's backups: status, reason, message.
fn told(node: &Node) -> [String; 3] {
    let shard = shard(node);
    let conditions = shard["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    let found = all.find(|it| it["type"] == "BackupsHealthy");
    let found = found.cloned().unwrap_or_default();
    ["status", "reason", "message"].map(|key| found[key].as_str().unwrap_or_default().to_owned())
}

/// Waits until the shard says why its backups are not healthy, and the Vitess that they are not.
fn expect_unreadable(node: &Node, words: &str) {
    let begun = Instant::now();
    let message = eventually(words, LIMIT, || {
        let told = told(node);
        let is_told = told[1] == "BackupsUnreadable" && told[2].contains(words);
        is_told.then(|| told[2].clone()).ok_or(told)
    });
    eprintln!("after {} s: {message}", begun.elapsed().as_secs());
    let vitess = expect_ready(node, "it serves without a backup");
    let conditions = vitess["status"]["conditions"].to_string();
    assert!(conditions.contains("ShardNotBackedUp"), "{conditions}");
}

/// A cluster serves without the Secret that its backups need, and with a wrong one; both are told of, and no backup is begun.
fn wrong_credentials_are_told_of(node: &Node) {
    expect_unreadable(node, "Secret bucket, which");
    store::give_key(node, "wrong");
    expect_unreadable(node, "StatusCode: 403");
    let jobs = get(node, "/apis/batch/v1/namespaces/default/jobs");
    assert_eq!(jobs["items"].as_array().map(Vec::len), Some(0), "{jobs:#}");
}

/// With the right key, which no pod has to start anew for, the first backup is made, and what is too old is deleted.
fn the_first_backup_is_made(node: &Node, old: &str) {
    let begun = Instant::now();
    store::give_key(node, store::SECRET);
    eventually("the first backup is made", LIMIT, || {
        let told = told(node);
        assert_ne!(told[1], "BackupFailed", "{:#?}", store::logs(node));
        (told[0] == "True")
            .then_some(())
            .ok_or((told, store::logs(node)))
    });
    assert!(shard(node)["status"]["lastBackupTime"].is_string());
    eprintln!("backed up after {} s", begun.elapsed().as_secs());
    let backups = store::backups(node);
    eprintln!("in the store: {backups:?}");
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert_ne!(backups[0], old);
    let asked = store::asked(node);
    assert!(asked.contains("partNumber=2"), "no file went in parts");
}

/// The pool is scaled out: the new tablet is restored from the bucket, and catches up.
fn a_tablet_is_restored(node: &Node) {
    let begun = Instant::now();
    let before = tablets(node);
    let later = "insert into noise (bytes) values ('later')";
    eventually("a row is written", LIMIT, || query(node, &before[0], later));
    let rows = own_mysqld(node, &before[0], SUM).unwrap();
    scale(node, 2);
    expect_tablets(node, "2/2");
    let all = tablets(node);
    let new = all.iter().find(|it| !before.contains(it)).unwrap();
    let pod = get(node, &format!("{CORE}/pods/{new}"));
    let args = pod["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains("--restore-from-backup"), "{args}");
    eventually("it has all rows", LIMIT, || {
        let said = own_mysqld(node, new, SUM);
        (said.as_ref() == Ok(&rows)).then_some(()).ok_or(said)
    });
    eprintln!(
        "a tablet from backup after {} s, {rows}",
        begun.elapsed().as_secs()
    );
}

#[test]
fn backups_go_to_a_bucket_and_tablets_come_from_it() {
    // First: without it no node need be started.
    let Some(image) = or_left_out("bucket", object_store(store::IMAGE)) else {
        return;
    };
    let Some(mut node) = node() else { return };
    Arc::get_mut(&mut node).unwrap().import(&image).unwrap();
    let runtime = operate(&node);
    store::start(&node);
    let old = store::plant_old_backup(&node);
    let begun = Instant::now();
    let vitess: Value = serde_saphyr::from_str(VITESS).unwrap();
    let vitesses = format!("{GROUP}/vitesses");
    node.plane().api().post(&vitesses, &vitess).unwrap();
    expect_ready(&node, "the cluster serves");
    eprintln!("ready after {} s", begun.elapsed().as_secs());
    let only = &tablets(&node)[0];
    eventually("a table is made", LIMIT, || query(&node, only, NOISE[0]));
    own_mysqld(&node, only, NOISE[1]).unwrap();

    wrong_credentials_are_told_of(&node);
    the_first_backup_is_made(&node, &old);
    a_tablet_is_restored(&node);
    runtime.shutdown_timeout(LIMIT);
}
