//! A volume that nobody provides.

use std::time::{Duration, Instant};

use foreshard_testbed::Node;
use serde_json::{Value, json};

use crate::operators::condition;
use crate::stage::*;
use crate::writer::Writer;

const PROVISIONER: &str =
    "/apis/apps/v1/namespaces/local-path-storage/deployments/local-path-provisioner";
const POOL: &str = "example-commerce-x-x-zone1-replica-more";

fn patch(node: &Node, keyspaces: &Value) {
    let patch = json!({"spec": {"keyspaces": keyspaces}});
    let path = format!("{GROUP}/vitesses/example");
    node.plane().api().patch(&path, &patch).unwrap();
}

/// A pool whose class of volumes does not exist is named while the rest serves, and is taken back.
pub(crate) fn none_is_bound(node: &Node, writer: &Writer) {
    let vitess = get(node, &format!("{GROUP}/vitesses/example"));
    let before = vitess["spec"]["keyspaces"].clone();
    let mut with_more = before.clone();
    let pools = with_more[0]["tabletPools"].as_array_mut().unwrap();
    let mut more = pools[0].clone();
    more["name"] = json!("more");
    more["initialReplicas"] = json!(1);
    more["storage"]["storageClassName"] = json!("none-such");
    pools.push(more);
    let begun = Instant::now();
    patch(node, &with_more);
    let told = eventually("the volume is named", LIMIT, || {
        let vitess = get(node, &format!("{GROUP}/vitesses/example"));
        let said = condition(&vitess, "ShardsReady")["message"].to_string();
        let is_named =
            said.contains(POOL) && (said.contains("unbound") || said.contains("storageclass"));
        is_named
            .then(|| vitess.clone())
            .ok_or(vitess["status"].clone())
    });
    assert!(is_true(&told, "Ready"), "{:#}", told["status"]);
    eprintln!(
        "a volume that is not bound is named after {} s: {:#}",
        begun.elapsed().as_secs(),
        condition(&told, "ShardsReady")
    );
    let begun = Instant::now();
    patch(node, &before);
    let path = format!("{GROUP}/tabletpools/{POOL}");
    eventually("the pool is listed", LIMIT, || {
        let vitess = get(node, &format!("{GROUP}/vitesses/example"));
        let said = vitess["status"].to_string();
        let shard = get(
            node,
            &format!("{GROUP}/keyspaceshards/example-commerce-x-x"),
        );
        let stalled = condition(&shard, "Stalled");
        (stalled["reason"] == "PoolOrphaned")
            .then_some(())
            .ok_or((stalled, said))
    });
    let words = ["scale", &format!("tabletpool/{POOL}"), "--replicas=0"];
    assert!(node.plane().kubectl(words).status().unwrap().success());
    eventually("the pool is gone", LIMIT, || {
        let pool = get(node, &path);
        pool["metadata"].is_null().then_some(()).ok_or(pool)
    });
    let ready = expect_ready(node, "three are what is wanted");
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    let took = begun.elapsed().as_secs();
    eprintln!("taken back after {took} s");
    writer.expect_pauses_below("a volume is not bound", Duration::from_secs(15));
}

fn provision(node: &Node, replicas: u32) {
    let patch = json!({"spec": {"replicas": replicas}});
    node.plane().api().patch(PROVISIONER, &patch).unwrap();
    eventually("it does, or not", LIMIT, || {
        let status = get(node, PROVISIONER)["status"].clone();
        let there = status["readyReplicas"].as_u64().unwrap_or(0);
        let pods = status["replicas"].as_u64().unwrap_or(0);
        ((there, pods) == (u64::from(replicas), u64::from(replicas)))
            .then_some(())
            .ok_or(status)
    });
}

/// The pool is scaled out, and nobody provides the volume: its tablet is named while the rest serves, and is given up.
pub(crate) fn nobody_provides(node: &Node, writer: &Writer) {
    let before = tablets(node);
    forget_kept(node, &before);
    provision(node, 0);
    let begun = Instant::now();
    scale(node, 4);
    let told = eventually("the tablet is named", LIMIT, || {
        let vitess = get(node, &format!("{GROUP}/vitesses/example"));
        let new = tablets(node).into_iter().find(|it| !before.contains(it));
        let said = condition(&vitess, "ShardsReady")["message"].to_string();
        let is_named = new.is_some_and(|it| said.contains(&it) && said.contains("volume"));
        is_named
            .then(|| vitess.clone())
            .ok_or(vitess["status"].clone())
    });
    assert!(is_true(&told, "Ready"), "{:#}", told["status"]);
    eprintln!(
        "a volume that nobody provides is told of after {} s: {:#}",
        begun.elapsed().as_secs(),
        condition(&told, "ShardsReady")["message"]
    );
    let begun = Instant::now();
    scale(node, 3);
    eventually("it is given up", LIMIT, || {
        let now = tablets(node);
        (now.len() == 3).then_some(()).ok_or(now)
    });
    let ready = expect_ready(node, "three are what is wanted");
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    let took = begun.elapsed().as_secs();
    eprintln!("given up after {took} s");
    provision(node, 1);
    writer.expect_pauses_below("nobody provides a volume", Duration::from_secs(15));
}

/// Deletes volumes of tablets that left: with one there is nothing to provide.
fn forget_kept(node: &Node, serve: &[String]) {
    let claims = format!("{CORE}/persistentvolumeclaims");
    let all = get(node, &claims);
    let names = all["items"].as_array().into_iter().flatten();
    let names = names.filter_map(|it| it["metadata"]["name"].as_str());
    for name in names.filter(|it| it.starts_with("example-tablet-")) {
        if serve.iter().any(|it| it == name) {
            continue;
        }
        let path = format!("{claims}/{name}");
        node.plane().api().delete(&path).unwrap();
        eventually("the volume is gone", LIMIT, || {
            let claim = get(node, &path);
            claim["metadata"].is_null().then_some(()).ok_or(claim)
        });
    }
}
