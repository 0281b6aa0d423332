//! Backups of shards, what begins with them, and a cluster's own Prometheus.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, condition, eventually};
use crate::vitesses::{POOL, begun_as, expect, holds, is_ready, status, vitess};
use crate::world::World;

const SHARD: (&str, &str) = ("keyspaceshards", "example-commerce-x-x");
const CLUSTER: (&str, &str) = ("vitesses", "example");

/// A cluster with backups and a Prometheus.
fn backed_up() -> Value {
    let mut vitess = vitess("SemiSync");
    vitess["spec"]["backups"] = json!({"location": {"volume": {"claimName": "backups"}}});
    vitess["spec"]["monitoring"] = json!({"managed": {}});
    vitess
}

/// Where backups are.
fn volume() -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "backups"},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn jobs(stage: &Stage) -> Vec<Value> {
    stage.list("apis/batch/v1", "jobs")
}

fn begins(job: &Value) -> &Value {
    &job["metadata"]["annotations"]["foreshard.dev/begins-with"]
}

/// Arguments of the vttablets that get their rows first.
fn fillers(stage: &Stage) -> Vec<String> {
    let pods = stage.list("api/v1", "pods");
    let tablets = pods.iter().filter(|it| {
        let name = it["metadata"]["name"].as_str().unwrap();
        name.starts_with("example-tablet-")
    });
    let args = tablets.map(|it| it["spec"]["containers"][0]["args"].to_string());
    args.filter(|it| it.contains("--restore-")).collect()
}

fn scale(stage: &Stage, replicas: u32) {
    let patch = json!({"spec": {"replicas": replicas}});
    stage.patch(GROUP, "tabletpools", &format!("{POOL}/scale"), &patch);
}

fn is_settled(stage: &Stage, replicas: u32) -> bool {
    let pool = status(stage, "tabletpools", POOL);
    let progress = condition(&pool, "Progressing");
    pool["readyReplicas"] == replicas && progress.is_some_and(|it| it["reason"] == "AsWanted")
}

#[test]
fn killed_at_every_write_one_backup_is_made_and_a_new_tablet_begins_with_it() {
    let Some(mut stage) = Stage::new("backups-killed") else {
        return;
    };
    let _world = World::start(&stage);
    stage.limit_to_one_write();
    stage.create("api/v1", "persistentvolumeclaims", &volume());
    stage.create(GROUP, "vitesses", &backed_up());
    let is_backed_up =
        |stage: &Stage| holds(&status(stage, CLUSTER.0, CLUSTER.1), "BackupsHealthy");
    let deaths = stage.die_at_every_write(|stage| is_ready(stage) && is_backed_up(stage));
    assert!(deaths > 30, "{deaths}");
    let all = jobs(&stage);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(begins(&all[0]), "Clone");
    assert!(status(&stage, SHARD.0, SHARD.1)["lastBackupTime"].is_string());
    let source = stage.try_get(GROUP, "prometheussources", "example");
    let url = source.unwrap()["spec"]["url"].clone();
    assert!(
        url.as_str().unwrap().contains("//example-prometheus."),
        "{url}"
    );

    scale(&stage, 4);
    stage.die_at_every_write(|stage| is_settled(stage, 4));
    let all = fillers(&stage);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(all[0].contains("--restore-from-backup"), "{all:#?}");
    stage.operate();
    let writes = stage.writes_at_rest();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(stage.writes() - writes, 0);

    // It goes when it is no longer wanted; its samples stay.
    let without = json!({"spec": {"monitoring": null}});
    stage.patch(GROUP, CLUSTER.0, CLUSTER.1, &without);
    eventually("the Prometheus goes", || {
        let source = stage.try_get(GROUP, "prometheussources", "example");
        let program = stage.try_get("apis/apps/v1", "deployments", "example-prometheus");
        let gone = source.is_none() && program.is_none();
        gone.then_some(()).ok_or((source, program))
    });
    let volume = stage.try_get("api/v1", "persistentvolumeclaims", "example-prometheus");
    assert!(volume.is_some());
}

#[test]
fn a_backup_that_fails_is_told_and_nothing_else_stops() {
    let Some((stage, world)) = begun_as("backups-fail", &vitess("SemiSync")) else {
        return;
    };
    assert!(condition(&status(&stage, SHARD.0, SHARD.1), "BackupsHealthy").is_none());
    world.fails.store(true, Ordering::Relaxed);
    let with = json!({"spec": {"backups": backed_up()["spec"]["backups"]}});
    stage.patch(GROUP, CLUSTER.0, CLUSTER.1, &with);
    let said = expect(&stage, SHARD, "BackupsHealthy", "BackupsUnreadable");
    assert!(said.contains("PersistentVolumeClaim backups"), "{said}");
    stage.create("api/v1", "persistentvolumeclaims", &volume());
    let said = expect(&stage, SHARD, "BackupsHealthy", "BackupFailed");
    assert!(said.contains("Job example-backup-"), "{said}");
    expect(&stage, CLUSTER, "BackupsHealthy", "ShardNotBackedUp");
    // Without a backup a new tablet copies the primary.
    scale(&stage, 4);
    eventually("it has a fourth tablet", || {
        let pool = status(&stage, "tabletpools", POOL);
        is_settled(&stage, 4).then_some(()).ok_or(pool)
    });
    assert!(fillers(&stage)[0].contains("--restore-with-clone"));
    let without = json!({"spec": {"backups": null}});
    stage.patch(GROUP, CLUSTER.0, CLUSTER.1, &without);
    for (resource, name) in [SHARD, CLUSTER] {
        eventually("nothing is told of backups any more", || {
            let status = status(&stage, resource, name);
            let told = condition(&status, "BackupsHealthy").cloned();
            told.map_or(Ok(()), Err)
        });
    }
}

#[test]
fn a_keyspace_that_begins_with_a_backup_needs_its_passwords_and_all_tablets_begin_with_it() {
    let Some(stage) = Stage::new("backups-restore") else {
        return;
    };
    let _world = World::start(&stage);
    let mut object = backed_up();
    object["spec"]["keyspaces"][0]["restoreFrom"] = json!({"path": "shop/before"});
    stage.create(GROUP, "vitesses", &object);
    let said = expect(&stage, CLUSTER, "Progressing", "CredentialsMissing");
    assert!(said.contains("example-mysql-users"), "{said}");
    let users = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "example-mysql-users"},
        "stringData": {"credentials.json": "{}", "init_db.sql": "", "clone-password": "x"},
    });
    stage.create("api/v1", "secrets", &users);
    eventually("it serves", || {
        let seen = status(&stage, CLUSTER.0, CLUSTER.1);
        is_ready(&stage).then_some(()).ok_or(seen)
    });
    let all = fillers(&stage);
    assert_eq!(all.len(), 3, "{all:#?}");
    for args in &all {
        assert!(
            args.contains("--file-backup-storage-root=/backups/shop/before"),
            "{args}"
        );
        assert!(args.contains("--restore-from-backup-ts=20"), "{args}");
    }
    // They have their rows, and their volumes are volumes as any other.
    eventually("no volume waits to be filled", || {
        let claims = stage.list("api/v1", "persistentvolumeclaims");
        let waits =
            |it: &&Value| !it["metadata"]["annotations"]["foreshard.dev/fills-from"].is_null();
        let waiting: Vec<_> = claims.iter().filter(waits).cloned().collect();
        waiting.is_empty().then_some(()).ok_or(waiting)
    });
}
