//! A Vitess of three cells and two keyspaces, one of them in two shards, on a real node: rows over shards, VTAdmin, and a
//! keyspace that the spec drops and names again. Needs root, and the parts of `node` and `vtadmin`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::sync::Arc;
use std::time::Instant;

use foreshard_testbed::{Node, or_left_out, vtadmin};
use serde_json::{Value, json};

use crate::stage::*;

mod page;
mod rows;
#[path = "../vitess_node/stage.rs"]
#[allow(dead_code, reason = "the test of a whole cluster asks for more of it")]
mod stage;

const SHARDS: [&str; 2] = ["x-80", "80-x"];
const VITESS: &str = r"
apiVersion: foreshard.dev/v1alpha1
kind: Vitess
metadata: {name: example}
spec:
  cells:
  - {name: a, vtgate: &gate {initialReplicas: 1, resources: &few {requests: {cpu: 10m, memory: 64Mi}}}}
  - {name: b, vtgate: *gate}
  - {name: c, vtgate: *gate}
  topology: {etcd: {members: 1, resources: *few}}
  vtctld: {replicas: 1, resources: *few}
  vtorc: {replicas: 1, resources: *few}
  vtadmin: {replicas: 1, resources: *few}
  keyspaces:
  - name: commerce
    durability: None
    tabletPools:
    - {cell: a, type: Replica, initialReplicas: 1, vttablet: *few, mysqld: *few, storage: &size {size: 10Gi}}
  - name: customer
    durability: CrossCell
    sharding: {equal: {shards: 2}}
    tabletPools:
    - {cell: a, type: Replica, initialReplicas: 1, vttablet: *few, mysqld: *few, storage: *size}
    - {cell: b, type: Replica, initialReplicas: 1, vttablet: *few, mysqld: *few, storage: *size}
    - {cell: c, type: Replica, initialReplicas: 1, vttablet: *few, mysqld: *few, storage: *size}
";

fn vitess(node: &Node) -> Value {
    get(node, &format!("{GROUP}/vitesses/example"))
}

/// Pods of the sharded keyspace's tablets.
fn customers(node: &Node) -> Vec<String> {
    let selector = "labelSelector=foreshard.dev%2Fkeyspace%3Dcustomer%2Capp.kubernetes.io%2Fcomponent%3Dvttablet";
    let pods = get(node, &format!("{CORE}/pods?{selector}"));
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let names = pods.iter().map(|it| it["metadata"]["name"].as_str());
    names.flatten().map(str::to_owned).collect()
}

fn name_keyspaces(node: &Node, keyspaces: &Value) {
    let patch = json!({"spec": {"keyspaces": keyspaces}}).to_string();
    let words = ["patch", "vitess/example", "--type=merge", "--patch", &patch];
    assert!(node.plane().kubectl(words).status().unwrap().success());
}

/// The keyspace is no longer named: it serves until it is scaled to none, then nothing is left of it but its volumes, and
/// the other one serves all the while.
fn a_keyspace_goes(node: &Node, keyspaces: &Value, at: &str) {
    name_keyspaces(node, &json!([keyspaces[0]]));
    let said = eventually("it is told", LIMIT, || {
        let orphaned = vitess(node)["status"]["orphaned"].clone();
        let said = orphaned[0]["message"].as_str().map(str::to_owned);
        said.ok_or(orphaned)
    });
    assert!(said.contains("kubectl scale tabletpools"), "{said}");
    assert_eq!(rows::count(node, at), Ok(rows::ROWS.to_string()));
    let begun = Instant::now();
    let selector = "--selector=foreshard.dev/vitess=example,foreshard.dev/keyspace=customer";
    let words = ["scale", "tabletpools", "--replicas=0", selector];
    // Until each shard has let go of its pools, the API server refuses fewer than durability asks for.
    eventually("they are scaled to none", LIMIT, || {
        let scaled = node.plane().kubectl(words).output().unwrap();
        scaled.status.success().then_some(()).ok_or(scaled)
    });
    eventually("it is forgotten", LIMIT, || {
        let vitess = vitess(node);
        assert!(is_true(&vitess, "Ready"), "{:#}", vitess["status"]);
        query(node, at, "select count(*) from kept").unwrap();
        let status = &vitess["status"];
        let is_over =
            status["begunKeyspaces"] == json!(["commerce"]) && status["endingKeyspaces"].is_null();
        is_over
            .then_some(())
            .ok_or_else(|| (status.clone(), customers(node)))
    });
    eprintln!("forgotten after {} s", begun.elapsed().as_secs());
    assert_eq!(customers(node), Vec::<String>::new());
    let said = rows::count(node, at).unwrap_err();
    assert!(said.contains("customer"), "{said}");
    let known = query(node, at, "show keyspaces").unwrap();
    assert_eq!(known, "commerce");
    let vitess = expect_ready(node, "the other one serves");
    assert_eq!(vitess["status"]["tabletsReady"], "1/1");
}

/// Named again it begins with the volumes that were kept.
fn it_comes_again(node: &Node, keyspaces: &Value, at: &str) {
    let begun = Instant::now();
    name_keyspaces(node, keyspaces);
    expect_tablets(node, "7/7");
    expect_ready(node, "it serves again");
    rows::spread(node);
    eventually("its rows are there", LIMIT, || {
        let said = rows::count(node, at);
        (said == Ok(rows::ROWS.to_string()))
            .then_some(())
            .ok_or(said)
    });
    eprintln!("served again after {} s", begun.elapsed().as_secs());
}

#[test]
fn rows_over_shards_and_cells_and_a_keyspace_that_goes_and_comes() {
    let Some(mut node) = node() else { return };
    let image = vtadmin(page::IMAGE);
    let Some(image) = or_left_out("VTAdmin", image) else {
        return;
    };
    Arc::get_mut(&mut node).unwrap().import(&image).unwrap();
    let runtime = operate(&node);
    let begun = Instant::now();
    let object: Value = serde_saphyr::from_str(VITESS).unwrap();
    let vitesses = format!("{GROUP}/vitesses");
    node.plane().api().post(&vitesses, &object).unwrap();
    expect_tablets(&node, "7/7");
    let ready = expect_ready(&node, "the cluster serves");
    eprintln!("ready after {} s", begun.elapsed().as_secs());
    assert_eq!(ready["status"]["shards"], 3);
    assert_eq!(ready["status"]["cells"], 3);
    let at = tablets(&node)
        .into_iter()
        .find(|it| !customers(&node).contains(it))
        .unwrap();
    rows::write(&node, &at);
    page::shows_and_changes_nothing(&node);
    let keyspaces = object["spec"]["keyspaces"].clone();
    a_keyspace_goes(&node, &keyspaces, &at);
    it_comes_again(&node, &keyspaces, &at);
    runtime.shutdown_timeout(LIMIT);
}
