//! Whole clusters: their order, their silence when nothing changes, and what is refused.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, condition, eventually};
use crate::world::World;

pub(crate) const POOL: &str = "example-commerce-x-x-zone1-replica-main";

pub(crate) fn vitess(durability: &str) -> Value {
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "Vitess", "metadata": {"name": "example"},
        "spec": {
            "cells": [{"name": "zone1"}],
            "topology": {"external": {"addresses": ["http://127.0.0.1:1"], "rootPath": "/example"}},
            "keyspaces": [{"name": "commerce", "durability": durability, "tabletPools": [
                {"cell": "zone1", "type": "Replica", "initialReplicas": 3, "storage": {"size": "1Gi"}}
            ]}],
        }
    })
}

pub(crate) fn status(stage: &Stage, resource: &str, name: &str) -> Value {
    let object = stage.try_get(GROUP, resource, name).unwrap_or_default();
    object["status"].clone()
}

pub(crate) fn holds(status: &Value, kind: &str) -> bool {
    condition(status, kind).is_some_and(|it| it["status"] == "True")
}

pub(crate) fn is_ready(stage: &Stage) -> bool {
    let status = status(stage, "vitesses", "example");
    let kinds = ["Ready", "TopologyReady", "ShardsReady", "VTGatesReady"];
    kinds.iter().all(|kind| holds(&status, kind))
        && condition(&status, "Progressing").is_some_and(|it| it["status"] == "False")
}

#[track_caller]
pub(crate) fn expect_ready(stage: &Stage) {
    eventually("the cluster serves", || {
        is_ready(stage).then_some(()).ok_or_else(|| {
            let pool = status(stage, "tabletpools", POOL);
            (status(stage, "vitesses", "example"), pool)
        })
    });
}

/// Pods, or volumes, of tablets.
pub(crate) fn tablets(stage: &Stage, resource: &str) -> usize {
    let all = stage.list("api/v1", resource);
    let names = all
        .iter()
        .map(|it| it["metadata"]["name"].as_str().unwrap());
    names.filter(|it| it.starts_with("example-tablet-")).count()
}

/// Waits for a condition of an object; answers its message.
#[track_caller]
pub(crate) fn expect(
    stage: &Stage,
    (resource, name): (&str, &str),
    kind: &str,
    reason: &str,
) -> String {
    eventually(&format!("{resource} {name}: {kind} by {reason}"), || {
        let seen = status(stage, resource, name);
        match condition(&seen, kind) {
            Some(it) if it["reason"] == reason => Ok(it["message"].as_str().unwrap().to_owned()),
            _ => Err(seen),
        }
    })
}

/// A cluster that serves; none: there are no real parts here.
fn begun(name: &str) -> Option<(Stage, World)> {
    begun_with(name, "SemiSync")
}

fn begun_with(name: &str, durability: &str) -> Option<(Stage, World)> {
    begun_as(name, &vitess(durability))
}

pub(crate) fn begun_as(name: &str, vitess: &Value) -> Option<(Stage, World)> {
    let stage = Stage::new(name)?;
    let world = World::start(&stage);
    stage.create(GROUP, "vitesses", vitess);
    expect_ready(&stage);
    Some((stage, world))
}

#[test]
fn a_cluster_comes_up_in_its_order_and_then_nothing_is_written() {
    let Some((stage, world)) = begun("vitess") else {
        return;
    };
    let recorded = ["AddCellInfo zone1", "CreateKeyspace commerce semi_sync"];
    assert_eq!(world.vitess.changes(), recorded);
    let status = status(&stage, "vitesses", "example");
    assert_eq!(status["tabletsReady"], "3/3");
    assert_eq!(status["begunKeyspaces"], json!(["commerce"]));
    for budget in [
        "example-vtctld",
        "example-vtorc-commerce",
        "example-commerce-x-x",
    ] {
        let group = "apis/policy/v1";
        assert!(
            stage
                .try_get(group, "poddisruptionbudgets", budget)
                .is_some(),
            "{budget}"
        );
    }
    let writes = stage.writes_at_rest();
    thread::sleep(Duration::from_secs(5));
    assert_eq!(stage.writes() - writes, 0);
}

#[test]
fn killed_at_every_write_it_comes_up_all_the_same_and_nothing_is_made_twice() {
    let Some(mut stage) = Stage::new("vitess-killed") else {
        return;
    };
    let world = World::start(&stage);
    stage.limit_to_one_write();
    stage.create(GROUP, "vitesses", &vitess("SemiSync"));
    let deaths = stage.die_at_every_write(is_ready);
    assert!(deaths > 20, "{deaths}");
    let recorded = ["AddCellInfo zone1", "CreateKeyspace commerce semi_sync"];
    assert_eq!(world.vitess.changes(), recorded);
    assert_eq!(tablets(&stage, "pods"), 3);
    assert_eq!(tablets(&stage, "persistentvolumeclaims"), 3);
}

#[test]
fn a_topology_that_has_lost_its_records_is_held() {
    let Some((stage, world)) = begun("vitess-lost") else {
        return;
    };
    world.vitess.wipe();
    let said = expect(&stage, ("vitesses", "example"), "Ready", "TopologyLost");
    assert!(said.contains("commerce"), "{said}");
    let shard = ("keyspaceshards", "example-commerce-x-x");
    expect(&stage, shard, "Ready", "TopologyLost");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(world.vitess.changes().len(), 2);
    assert_eq!(tablets(&stage, "pods"), 3);
}

#[test]
fn replicas_belong_to_the_spec_where_it_names_them_and_else_to_whoever_scales() {
    let Some((stage, _world)) = begun("vitess-replicas") else {
        return;
    };
    let replicas = |wanted: i64| {
        let look = || {
            let pool = stage
                .try_get(GROUP, "vtgatepools", "example-zone1")
                .unwrap();
            let replicas = pool["spec"]["replicas"].clone();
            let vtgate = stage.try_get("apis/apps/v1", "deployments", "example-vtgate-zone1");
            let runs = vtgate.unwrap()["spec"]["replicas"].clone();
            (replicas == wanted && runs == wanted)
                .then_some(())
                .ok_or((replicas, runs))
        };
        eventually(&format!("{wanted} gateways"), look);
        thread::sleep(Duration::from_secs(2));
        assert_eq!(look(), Ok(()), "and it stays so");
    };
    replicas(2);
    // Somebody scales.
    let scale = json!({"spec": {"replicas": 4}});
    stage.patch(GROUP, "vtgatepools", "example-zone1/scale", &scale);
    replicas(4);
    // The spec names them.
    let named = json!({"spec": {"cells": [{"name": "zone1", "vtgate": {"replicas": 3}}]}});
    stage.patch(GROUP, "vitesses", "example", &named);
    replicas(3);
    // And no longer does: they stay.
    let unnamed = json!({"spec": {"cells": [{"name": "zone1", "vtgate": {"initialReplicas": 1}}]}});
    stage.patch(GROUP, "vitesses", "example", &unnamed);
    replicas(3);
    stage.patch(GROUP, "vtgatepools", "example-zone1/scale", &scale);
    replicas(4);
}

#[test]
fn a_secret_that_gateways_wait_for_is_named() {
    let Some(stage) = Stage::new("vitess-secret") else {
        return;
    };
    let _world = World::start(&stage);
    let mut object = vitess("SemiSync");
    object["spec"]["access"] = json!({"users": {"name": "people", "key": "users.json"}});
    // Pods become ready with the stand-in for a node, whatever they wait for: here some never come.
    object["spec"]["cells"][0]["vtgate"] = json!({"replicas": 5});
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"pods": "9"}}
    });
    stage.create("api/v1", "resourcequotas", &quota);
    eventually("the quota is in force", || {
        let quota = stage.try_get("api/v1", "resourcequotas", "few").unwrap();
        let known = quota["status"]["hard"].is_object();
        known.then_some(()).ok_or(quota)
    });
    stage.create(GROUP, "vitesses", &object);
    let pool = ("vtgatepools", "example-zone1");
    let said = eventually("the Secret is named", || {
        let seen = status(&stage, pool.0, pool.1);
        let ready = condition(&seen, "Ready").cloned().unwrap_or_default();
        let said = ready["message"].as_str().unwrap_or_default().to_owned();
        said.contains("Secret people").then_some(said).ok_or(seen)
    });
    assert!(said.contains("spec.access"), "{said}");
    let users = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "people"}, "stringData": {"users.json": "{}"},
    });
    stage.create("api/v1", "secrets", &users);
    eventually("it is not named any more", || {
        let seen = status(&stage, pool.0, pool.1);
        let ready = condition(&seen, "Ready").cloned().unwrap_or_default();
        let said = ready["message"].to_string();
        (!said.contains("Secret people")).then_some(()).ok_or(seen)
    });
}

#[test]
fn what_the_spec_drops_stays_and_is_listed() {
    let Some((stage, _world)) = begun("vitess-dropped") else {
        return;
    };
    let other = json!({"spec": {"cells": [{"name": "zone1"}, {"name": "zone2"}]}});
    stage.patch(GROUP, "vitesses", "example", &other);
    eventually("another cell has gateways", || {
        let pool = status(&stage, "vtgatepools", "example-zone2");
        holds(&pool, "Ready").then_some(()).ok_or(pool)
    });
    let one = json!({"spec": {"cells": [{"name": "zone1"}]}});
    stage.patch(GROUP, "vitesses", "example", &one);
    let said = expect(&stage, ("vitesses", "example"), "Stalled", "PartsOrphaned");
    assert!(said.contains("example-zone2"), "{said}");
    let orphaned = status(&stage, "vitesses", "example")["orphaned"].clone();
    assert_eq!(orphaned[0]["kind"], "VTGatePool");
    let is_there = || stage.try_get(GROUP, "vtgatepools", "example-zone2");
    assert!(is_there().is_some());
    // Scaled to none it serves nobody.
    let none = json!({"spec": {"replicas": 0}});
    stage.patch(GROUP, "vtgatepools", "example-zone2/scale", &none);
    eventually("it goes", || is_there().map_or(Ok(()), Err));
    expect(&stage, ("vitesses", "example"), "Stalled", "NotStalled");
}
