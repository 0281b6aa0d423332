//! Pools of tablets that are scaled in: who leaves, in which order, and when nobody does.

use std::thread;
use std::time::Duration;

use foreshard_vtctld::TabletAlias;
use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, condition, eventually};
use crate::vitesses::{POOL, begun_as, expect, is_ready, status, tablets};
use crate::world::World;

const RDONLY: &str = "example-commerce-x-x-zone1-rdonly-main";

fn vitess(replicas: u32, when_scaled: &str) -> Value {
    let pool = |kind: &str, replicas: u32| {
        json!({"cell": "zone1", "type": kind, "initialReplicas": replicas, "storage": {"size": "1Gi"},
            "persistentVolumeClaimRetention": {"whenScaled": when_scaled}})
    };
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "Vitess", "metadata": {"name": "example"},
        "spec": {
            "cells": [{"name": "zone1"}],
            "topology": {"external": {"addresses": ["http://127.0.0.1:1"], "rootPath": "/example"}},
            "keyspaces": [{"name": "commerce", "tabletPools": [pool("Replica", replicas), pool("Rdonly", 1)]}],
        }
    })
}

fn scale(stage: &Stage, pool: &str, replicas: u32) {
    let patch = json!({"spec": {"replicas": replicas}});
    stage.patch(GROUP, "tabletpools", &format!("{pool}/scale"), &patch);
}

/// The tablet of an index of a pool, and its pod.
fn tablet(stage: &Stage, pool: &str, index: u32) -> (TabletAlias, String) {
    let kind = if pool == RDONLY { "rdonly" } else { "replica" };
    let index = index.to_string();
    let claims = stage.list("api/v1", "persistentvolumeclaims");
    let found = claims.iter().find(|it| {
        let labels = &it["metadata"]["labels"];
        labels["foreshard.dev/index"] == index && labels["foreshard.dev/tablet-type"] == kind
    });
    let name = found.unwrap()["metadata"]["name"].as_str().unwrap();
    let alias = TabletAlias {
        cell: "zone1".to_owned(),
        uid: name.rsplit('-').next().unwrap().parse().unwrap(),
    };
    (alias, name.to_owned())
}

/// Whether a pool has so many tablets, and nothing goes on.
fn is_settled(stage: &Stage, pool: &str, replicas: u32) -> bool {
    let status = status(stage, "tabletpools", pool);
    let is = |kind: &str, wanted: &str| {
        condition(&status, kind).is_some_and(|it| it["reason"] == wanted)
    };
    status["replicas"] == replicas && is("Progressing", "AsWanted") && is("Ready", "AllServe")
}

#[track_caller]
fn expect_settled(stage: &Stage, pool: &str, replicas: u32) {
    eventually(&format!("{pool} has {replicas} tablets"), || {
        let all = status(stage, "tabletpools", pool);
        is_settled(stage, pool, replicas).then_some(()).ok_or(all)
    });
}

/// What was changed in Vitess since the cluster came up. A pod that the stand-in saw end was out of service; it looks now and
/// then, so that it may find the record gone first.
fn changes(world: &World) -> Vec<String> {
    let all = world.vitess.changes();
    let (ended, asked): (Vec<_>, Vec<_>) = all
        .into_iter()
        .skip(2)
        .partition(|it| it.starts_with("Ended "));
    assert!(ended.iter().all(|it| it.ends_with(" Drained")), "{ended:?}");
    asked
}

/// What is asked of Vitess as one leaves in peace.
fn leaves(alias: &TabletAlias) -> [String; 2] {
    [
        format!("ChangeTabletType {alias} Drained"),
        format!("DeleteTablets {alias}"),
    ]
}

/// Waits until so many tablets of the shard have to stay, were one evicted.
#[track_caller]
fn expect_budget(stage: &Stage, expected: u32) {
    eventually(&format!("{expected} tablets have to stay"), || {
        let group = "apis/policy/v1";
        let budget = stage.try_get(group, "poddisruptionbudgets", "example-commerce-x-x");
        let budget = budget.unwrap()["spec"]["minAvailable"].clone();
        (budget == expected).then_some(()).ok_or(budget)
    });
}

#[test]
fn the_highest_leave_one_by_one_and_the_primary_hands_over_first() {
    let Some((stage, world)) = begun_as("pools-in", &vitess(5, "Retain")) else {
        return;
    };
    let [(third, _), (fourth, pod)] = [3, 4].map(|index| tablet(&stage, POOL, index));
    world.vitess.promote(&fourth);
    expect_budget(&stage, 5);
    scale(&stage, POOL, 3);
    expect_settled(&stage, POOL, 3);
    let changes = changes(&world);
    assert!(
        changes[0].starts_with("PlannedReparentShard"),
        "{changes:?}"
    );
    assert_eq!(
        changes[1..],
        [leaves(&fourth), leaves(&third)].concat(),
        "{changes:?}"
    );
    let primary = world.vitess.primary("commerce", "-").unwrap();
    assert!(![&third, &fourth].contains(&&primary));
    expect_budget(&stage, 3);
    // With its volume it comes back, and is not taken for one that leaves.
    assert_eq!(tablets(&stage, "persistentvolumeclaims"), 6);
    let claim = stage.try_get("api/v1", "persistentvolumeclaims", &pod);
    assert!(claim.unwrap()["metadata"]["annotations"]["foreshard.dev/leaves"].is_null());
    scale(&stage, POOL, 5);
    expect_settled(&stage, POOL, 5);
    thread::sleep(Duration::from_secs(2));
    assert_eq!(world.vitess.tablets().len(), 6);
}

#[test]
fn killed_at_every_write_they_leave_all_the_same_and_nothing_else_does() {
    let Some((mut stage, world)) = begun_as("pools-killed", &vitess(5, "Delete")) else {
        return;
    };
    let [(third, _), (fourth, _)] = [3, 4].map(|index| tablet(&stage, POOL, index));
    world.vitess.promote(&fourth);
    let (rdonly, _) = tablet(&stage, RDONLY, 0);
    stage.limit_to_one_write();
    scale(&stage, POOL, 3);
    scale(&stage, RDONLY, 0);
    let deaths = stage.die_at_every_write(|stage| {
        is_settled(stage, POOL, 3)
            && is_settled(stage, RDONLY, 0)
            && tablets(stage, "persistentvolumeclaims") == 3
    });
    assert!(deaths > 10, "{deaths}");
    let changes = changes(&world);
    let reparents = changes
        .iter()
        .filter(|it| it.starts_with("PlannedReparentShard"));
    assert_eq!(reparents.count(), 1, "{changes:?}");
    // Each of them left in peace, and none before the one before it was gone.
    let rest: Vec<_> = changes
        .iter()
        .filter(|it| !it.starts_with("PlannedReparentShard"))
        .cloned()
        .collect();
    let mut expected: Vec<_> = [&fourth, &third, &rdonly].map(leaves).to_vec();
    for two in rest.chunks(2) {
        let at = expected.iter().position(|it| it == two);
        expected.remove(at.unwrap_or_else(|| panic!("{changes:?}")));
    }
    assert!(expected.is_empty(), "{changes:?}");
    assert_eq!(tablets(&stage, "pods"), 3);
    assert_eq!(world.vitess.tablets().len(), 3);
    eventually("it serves", || is_ready(&stage).then_some(()).ok_or(()));
}

#[test]
fn nobody_leaves_while_that_would_hurt_and_whoever_is_wanted_again_serves_again() {
    let Some((stage, world)) = begun_as("pools-hurt", &vitess(4, "Delete")) else {
        return;
    };
    let [(stays, _), (leaves, pod)] = [0, 3].map(|index| tablet(&stage, POOL, index));
    // The first of those that came up is primary, which may be any.
    world.vitess.promote(&tablet(&stage, POOL, 1).0);
    let pool = ("tabletpools", POOL);
    world.vitess.lag(&stays, 300);
    scale(&stage, POOL, 3);
    let said = expect(&stage, pool, "Progressing", "ShardNotHealthy");
    assert!(said.contains("300 s behind"), "{said}");
    world.vitess.work(&[("split", "commerce", "-")]);
    world.vitess.lag(&stays, 0);
    let said = expect(&stage, pool, "Progressing", "WorkflowRuns");
    assert!(said.contains("commerce.split"), "{said}");
    world.vitess.backs_up(&leaves, true);
    world.vitess.work(&[]);
    expect(&stage, pool, "Progressing", "BackupRuns");
    assert_eq!(changes(&world), [] as [String; 0]);
    assert_eq!(tablets(&stage, "pods"), 5);
    // Wanted again while it is out of service.
    world.vitess.backs_up(&leaves, false);
    let drained = format!("ChangeTabletType {leaves} Drained");
    eventually("it is out of service", || {
        let all = changes(&world);
        all.contains(&drained).then_some(()).ok_or(all)
    });
    scale(&stage, POOL, 4);
    expect_settled(&stage, POOL, 4);
    let again = format!("ChangeTabletType {leaves} Replica");
    assert_eq!(changes(&world), [drained, again]);
    let claim = stage.try_get("api/v1", "persistentvolumeclaims", &pod);
    let claim = claim.unwrap();
    assert!(claim["metadata"]["annotations"]["foreshard.dev/leaves"].is_null());
    // With its volume gone, it begins anew.
    scale(&stage, POOL, 3);
    expect_settled(&stage, POOL, 3);
    eventually("its volume is gone", || {
        let left = tablets(&stage, "persistentvolumeclaims");
        (left == 4).then_some(()).ok_or(left)
    });
    scale(&stage, POOL, 4);
    expect_settled(&stage, POOL, 4);
}

/// Whether the pod of a tablet copies the primary first; none: it is not there.
fn copies(stage: &Stage, pool: &str, index: u32) -> Option<bool> {
    let (_, name) = tablet(stage, pool, index);
    let pod = stage.try_get("api/v1", "pods", &name)?;
    let args = pod["spec"]["containers"][0]["args"].as_array()?;
    Some(args.iter().any(|it| it == "--restore-with-clone"))
}

/// Whether a tablet's volume is still to be filled.
fn is_filling(stage: &Stage, pool: &str, index: u32) -> bool {
    let (_, name) = tablet(stage, pool, index);
    let claim = stage.try_get("api/v1", "persistentvolumeclaims", &name);
    let marks = &claim.unwrap()["metadata"]["annotations"];
    marks["foreshard.dev/fills-from"] == "Clone"
}

#[test]
fn killed_at_every_write_a_pool_that_the_spec_drops_goes_once_it_is_scaled_to_none() {
    let Some((mut stage, world)) = begun_as("pools-dropped", &vitess(3, "Delete")) else {
        return;
    };
    let mut without = vitess(3, "Delete")["spec"]["keyspaces"].clone();
    let pools = without[0]["tabletPools"].as_array_mut().unwrap();
    pools.truncate(1);
    let patch = json!({"spec": {"keyspaces": without}});
    stage.patch(GROUP, "vitesses", "example", &patch);
    let shard = ("keyspaceshards", "example-commerce-x-x");
    let said = expect(&stage, shard, "Stalled", "PoolOrphaned");
    assert!(said.contains(RDONLY), "{said}");
    assert_eq!(world.vitess.tablets().len(), 4);
    let (rdonly, _) = tablet(&stage, RDONLY, 0);
    stage.limit_to_one_write();
    scale(&stage, RDONLY, 0);
    stage.die_at_every_write(|stage| stage.try_get(GROUP, "tabletpools", RDONLY).is_none());
    assert_eq!(changes(&world), leaves(&rdonly));
    assert_eq!(tablets(&stage, "pods"), 3);
    assert_eq!(tablets(&stage, "persistentvolumeclaims"), 3);
}

#[test]
fn a_pool_that_the_spec_drops_is_scaled_to_none_where_the_policy_says_so() {
    let Some((stage, world)) = begun_as("pools-immediate", &vitess(3, "Retain")) else {
        return;
    };
    let mut without = vitess(3, "Retain")["spec"]["keyspaces"].clone();
    without[0]["turndownPolicy"] = json!("Immediate");
    let pools = without[0]["tabletPools"].as_array_mut().unwrap();
    pools.truncate(1);
    let patch = json!({"spec": {"keyspaces": without}});
    stage.patch(GROUP, "vitesses", "example", &patch);
    eventually("the pool goes", || {
        let pool = stage.try_get(GROUP, "tabletpools", RDONLY);
        pool.map_or(Ok(()), Err)
    });
    assert_eq!(world.vitess.tablets().len(), 3);
    assert_eq!(
        tablets(&stage, "persistentvolumeclaims"),
        4,
        "its volume stays"
    );
}

#[test]
fn killed_at_every_write_tablets_that_are_added_copy_the_primary_before_they_serve() {
    let Some((mut stage, _world)) = begun_as("pools-out", &vitess(3, "Retain")) else {
        return;
    };
    stage.limit_to_one_write();
    scale(&stage, POOL, 5);
    scale(&stage, RDONLY, 2);
    let deaths = stage
        .die_at_every_write(|stage| is_settled(stage, POOL, 5) && is_settled(stage, RDONLY, 2));
    assert!(deaths > 6, "{deaths}");
    let all = [(POOL, 5, 3), (RDONLY, 2, 1)];
    for (pool, count, first) in all {
        for index in 0..count {
            assert_eq!(copies(&stage, pool, index), Some(index >= first), "{index}");
            assert!(!is_filling(&stage, pool, index), "{index}");
        }
    }
    // With rows, it starts as any other.
    let (_, pod) = tablet(&stage, POOL, 4);
    stage.delete("api/v1", "pods", &pod);
    eventually("it comes back", || match copies(&stage, POOL, 4) {
        Some(false) => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a_primary_that_lost_its_volume_is_not_made_anew_before_another_one_is_primary() {
    let Some((stage, world)) = begun_as("pools-lost", &vitess(3, "Retain")) else {
        return;
    };
    let (lost, name) = tablet(&stage, POOL, 1);
    world.vitess.promote(&lost);
    stage.delete("api/v1", "persistentvolumeclaims", &name);
    stage.delete("api/v1", "pods", &name);
    let pool = ("tabletpools", POOL);
    let said = expect(&stage, pool, "Stalled", "NoProvisioningSource");
    assert!(said.contains("recorded as the primary"), "{said}");
    assert_eq!(tablets(&stage, "persistentvolumeclaims"), 3);
    world.vitess.promote(&tablet(&stage, POOL, 0).0);
    expect_settled(&stage, POOL, 3);
    assert_eq!(copies(&stage, POOL, 1), Some(true));
    let took = status(&stage, "tabletpools", POOL)["leadTimeSeconds"].clone();
    assert!(took.is_u64(), "{took}");
}

/// A class of volumes, and what is made of a claim of it.
fn class(stage: &Stage, name: &str, allows_expansion: bool) {
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": allows_expansion
    });
    let (plane, _) = stage.place();
    let path = "/apis/storage.k8s.io/v1/storageclasses";
    plane.api().post(path, &class).unwrap();
}

/// Gives every claim of the namespace a volume.
fn bind(stage: &Stage) {
    let (plane, namespace) = stage.place();
    for claim in stage.list("api/v1", "persistentvolumeclaims") {
        let name = claim["metadata"]["name"].as_str().unwrap();
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("{namespace}-{name}")},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": claim["spec"]["storageClassName"], "hostPath": {"path": "/nowhere"},
                "claimRef": {"namespace": namespace, "name": name}
            }
        });
        let path = "/api/v1/persistentvolumes";
        plane.api().post(path, &volume).unwrap();
        eventually(&format!("{name} is bound"), || {
            let claim = stage
                .try_get("api/v1", "persistentvolumeclaims", name)
                .unwrap();
            (claim["status"]["phase"] == "Bound")
                .then_some(())
                .ok_or(claim)
        });
    }
}

#[test]
fn volumes_grow_where_their_class_allows_it_and_else_nothing_else_is_kept_from_being_done() {
    let Some(stage) = Stage::new("pools-storage") else {
        return;
    };
    let _world = World::start(&stage);
    class(&stage, "pools-grow", true);
    class(&stage, "pools-fixed", false);
    let sized = |size: &str| {
        let mut vitess = vitess(3, "Retain");
        let pools = &mut vitess["spec"]["keyspaces"][0]["tabletPools"];
        for (at, class) in ["pools-grow", "pools-fixed"].into_iter().enumerate() {
            pools[at]["storage"] = json!({"size": size, "storageClassName": class});
        }
        vitess
    };
    stage.create(GROUP, "vitesses", &sized("1Gi"));
    eventually("it serves", || is_ready(&stage).then_some(()).ok_or(()));
    bind(&stage);
    stage.patch(GROUP, "vitesses", "example", &sized("2Gi"));
    let said = expect(
        &stage,
        ("tabletpools", RDONLY),
        "Stalled",
        "StorageNotGrown",
    );
    assert!(said.contains("allowVolumeExpansion"), "{said}");
    let said = expect(&stage, ("tabletpools", POOL), "Progressing", "StorageGrows");
    assert!(said.contains("grows to 2Gi"), "{said}");
    let size = |pool: &str| {
        let (_, claim) = tablet(&stage, pool, 0);
        let claim = stage
            .try_get("api/v1", "persistentvolumeclaims", &claim)
            .unwrap();
        claim["spec"]["resources"]["requests"]["storage"].clone()
    };
    assert_eq!([size(POOL), size(RDONLY)], ["2Gi", "1Gi"]);
    // A pod that is gone comes back all the same.
    let (_, pod) = tablet(&stage, RDONLY, 0);
    stage.delete("api/v1", "pods", &pod);
    eventually("it is made anew", || {
        let there = stage.try_get("api/v1", "pods", &pod);
        there.map(drop).ok_or(())
    });
}
