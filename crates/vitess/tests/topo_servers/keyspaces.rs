//! Keyspaces that the spec no longer names: they stay while they may serve, and then nothing is left of them.

use serde_json::{Value, json};

use crate::stage::{GROUP, Stage, condition, eventually};
use crate::vitesses::{begun_as, expect, expect_ready, holds, status, vitess};

const SHARDS: [&str; 2] = ["example-old-x-80", "example-old-80-x"];
const CLAIMS: &str = "persistentvolumeclaims";

/// The keyspaces of a cluster, with another one of two shards or without.
fn keyspaces(when_deleted: &str, policy: &str, has_old: bool) -> Value {
    let mut keyspaces = vitess("SemiSync")["spec"]["keyspaces"].clone();
    if has_old {
        let old = json!({
            "name": "old", "durability": "SemiSync", "turndownPolicy": policy, "sharding": {"equal": {"shards": 2}},
            "tabletPools": [{
                "cell": "zone1", "type": "Replica", "replicas": 3, "storage": {"size": "1Gi"},
                "persistentVolumeClaimRetention": {"whenDeleted": when_deleted},
            }],
        });
        keyspaces.as_array_mut().unwrap().push(old);
    }
    keyspaces
}

fn two(when_deleted: &str, policy: &str) -> Value {
    let mut vitess = vitess("SemiSync");
    vitess["spec"]["keyspaces"] = keyspaces(when_deleted, policy, true);
    vitess
}

fn name(stage: &Stage, has_old: bool) {
    let keyspaces = keyspaces("Delete", "RequireIdle", has_old);
    let patch = json!({"spec": {"keyspaces": keyspaces}});
    stage.patch(GROUP, "vitesses", "example", &patch);
}

/// Pods, or volumes, of the keyspace's tablets.
fn tablets(stage: &Stage, resource: &str) -> usize {
    let all = stage.list("api/v1", resource);
    let of_old = all.iter().filter(|it| {
        let labels = &it["metadata"]["labels"];
        labels["foreshard.dev/keyspace"] == "old"
            && labels["app.kubernetes.io/component"] == "vttablet"
    });
    of_old.count()
}

/// Whether nothing is known of it any more.
fn is_forgotten(stage: &Stage) -> bool {
    let status = status(stage, "vitesses", "example");
    status["begunKeyspaces"] == json!(["commerce"]) && status["endingKeyspaces"].is_null()
}

#[track_caller]
fn expect_forgotten(stage: &Stage) {
    for shard in SHARDS {
        assert_eq!(stage.try_get(GROUP, "keyspaceshards", shard), None);
    }
    let vtorc = stage.try_get("apis/apps/v1", "deployments", "example-vtorc-old");
    assert_eq!(vtorc, None);
    let budget = stage.try_get(
        "apis/policy/v1",
        "poddisruptionbudgets",
        "example-vtorc-old",
    );
    assert_eq!(budget, None);
    assert_eq!(tablets(stage, "pods"), 0);
}

#[test]
fn killed_at_every_write_a_keyspace_that_the_spec_drops_goes_once_it_is_scaled_to_none() {
    let begun = begun_as("keyspaces-dropped", &two("Delete", "RequireIdle"));
    let Some((mut stage, world)) = begun else {
        return;
    };
    name(&stage, false);
    let said = expect(&stage, ("vitesses", "example"), "Stalled", "PartsOrphaned");
    assert!(said.contains("kubectl scale tabletpools"), "{said}");
    for shard in SHARDS {
        expect(
            &stage,
            ("keyspaceshards", shard),
            "Stalled",
            "KeyspaceOrphaned",
        );
    }
    assert_eq!(tablets(&stage, "pods"), 6, "it may serve");
    let before = world.vitess.changes().len();
    let none = json!({"spec": {"replicas": 0}});
    stage.limit_to_one_write();
    for shard in SHARDS {
        let pool = format!("{shard}-zone1-replica-main/scale");
        stage.patch(GROUP, "tabletpools", &pool, &none);
    }
    let mut flipped = Vec::new();
    let deaths = stage.die_at_every_write(|stage| {
        let status = status(stage, "vitesses", "example");
        let ready = condition(&status, "Ready").cloned().unwrap_or_default();
        if ready["status"] == "False" {
            flipped.push(ready);
        }
        is_forgotten(stage)
    });
    assert!(deaths > 12, "{deaths}");
    assert_eq!(
        flipped,
        Vec::<Value>::new(),
        "the other one serves all the while"
    );
    expect_forgotten(&stage);
    assert_eq!(tablets(&stage, CLAIMS), 0, "as whenDeleted says");
    let mut changes = world.vitess.changes().split_off(before);
    changes.retain(|it| !it.starts_with("end "));
    changes.dedup();
    let primaries = changes.iter().filter(|it| it.contains("Reparent"));
    assert_eq!(primaries.count(), 0, "{changes:?}");
    assert!(
        changes.contains(&"DeleteKeyspace old".to_owned()),
        "{changes:?}"
    );
    assert_eq!(changes.last().unwrap(), "RebuildVSchemaGraph");
    // Named again, it begins anew.
    name(&stage, true);
    eventually("it serves again", || {
        let shards = SHARDS.map(|it| status(&stage, "keyspaceshards", it));
        let serves = shards.iter().all(|it| holds(it, "Ready"));
        serves.then_some(()).ok_or(shards)
    });
    expect_ready(&stage);
    assert_eq!(tablets(&stage, "pods"), 6);
}

#[test]
fn a_keyspace_that_the_spec_drops_goes_at_once_where_the_policy_says_so() {
    let begun = begun_as("keyspaces-immediate", &two("Retain", "Immediate"));
    let Some((stage, _world)) = begun else {
        return;
    };
    name(&stage, false);
    eventually("it is forgotten", || {
        let seen = status(&stage, "vitesses", "example");
        is_forgotten(&stage).then_some(()).ok_or(seen)
    });
    expect_forgotten(&stage);
    assert_eq!(tablets(&stage, CLAIMS), 6, "as whenDeleted says");
    expect_ready(&stage);
}

#[test]
fn a_keyspace_that_is_named_again_while_its_tablets_leave_has_all_of_them_again() {
    let mut vitess = two("Retain", "RequireIdle");
    let pool = &mut vitess["spec"]["keyspaces"][1]["tabletPools"][0];
    pool["replicas"] = Value::Null;
    pool["initialReplicas"] = json!(3);
    let Some((stage, _world)) = begun_as("keyspaces-again", &vitess) else {
        return;
    };
    name(&stage, false);
    for shard in SHARDS {
        let at = ("keyspaceshards", shard);
        expect(&stage, at, "Stalled", "KeyspaceOrphaned");
        let pool = format!("{shard}-zone1-replica-main/scale");
        let none = json!({"spec": {"replicas": 0}});
        stage.patch(GROUP, "tabletpools", &pool, &none);
    }
    eventually("a tablet leaves", || {
        let there = tablets(&stage, "pods");
        (there < 6).then_some(()).ok_or(there)
    });
    let again = json!({"spec": {"keyspaces": vitess["spec"]["keyspaces"]}});
    stage.patch(GROUP, "vitesses", "example", &again);
    eventually("all serve again", || {
        let shards = SHARDS.map(|it| status(&stage, "keyspaceshards", it));
        let there = tablets(&stage, "pods");
        let serve = there == 6 && shards.iter().all(|it| holds(it, "Ready"));
        serve.then_some(()).ok_or((there, shards))
    });
    expect_ready(&stage);
}
