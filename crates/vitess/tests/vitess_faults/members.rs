//! Members of etcd that crash, lose a volume, and lose all of them.

use std::time::{Duration, Instant};

use foreshard_testbed::Node;
use serde_json::Value;

use crate::operators::{Operators, condition};
use crate::processes::{processes, signal};
use crate::stage::*;
use crate::writer::Writer;

const MEMBERS: u32 = 3;
/// The operator looks each 5 s.
const SEVERAL_LOOKS: Duration = Duration::from_secs(20);

fn server(node: &Node) -> Value {
    get(node, &format!("{GROUP}/toposervers/example"))
}

fn pod(node: &Node, index: u32) -> Value {
    get(node, &format!("{CORE}/pods/example-etcd-{index}"))
}

fn starts(node: &Node, index: u32) -> Option<u64> {
    pod(node, index)["status"]["containerStatuses"][0]["restartCount"].as_u64()
}

fn vitess(node: &Node) -> Value {
    get(node, &format!("{GROUP}/vitesses/example"))
}

/// Identities of the members, in the order of their names.
fn ids(server: &Value) -> Vec<String> {
    let members = server["status"]["members"].as_array();
    let ids = members
        .into_iter()
        .flatten()
        .map(|it| it["id"].as_str().unwrap_or_default().to_owned());
    ids.collect()
}

/// Waits until three members vote and their pods are ready; answers what etcd is: itself, and its members.
#[track_caller]
fn expect_three(node: &Node, why: &str) -> (Value, Vec<String>) {
    eventually(why, LIMIT, || {
        let server = server(node);
        let pods: Vec<Value> = (0..MEMBERS).map(|index| pod(node, index)).collect();
        let settled = is_true(&server, "Ready")
            && is_true(&server, "MembersReady")
            && !is_true(&server, "Progressing")
            && ids(&server).len() == 3
            && pods.iter().all(|pod| is_true(pod, "Ready"));
        let pods: Vec<_> = pods.iter().map(|it| state(&it["status"])).collect();
        settled
            .then(|| (server["status"]["clusterId"].clone(), ids(&server)))
            .ok_or_else(|| (server["status"].clone(), pods))
    })
}

/// Kills the programs of these members, and waits until all are back as they were.
fn crash(node: &Node, indexes: &[u32]) {
    let before = expect_three(node, "three members vote");
    let was_ready = condition(&vitess(node), "Ready");
    let counts: Vec<_> = indexes.iter().map(|it| starts(node, *it)).collect();
    let begun = Instant::now();
    let found: Vec<u32> = indexes
        .iter()
        .flat_map(|index| processes(node, &[&format!("--name=example-etcd-{index} ")]))
        .collect();
    assert_eq!(found.len(), indexes.len(), "{found:?}");
    signal(&found, "-9");
    eventually("they start again", LIMIT, || {
        let now: Vec<_> = indexes.iter().map(|it| starts(node, *it)).collect();
        let all = now.iter().zip(&counts).all(|(now, before)| now > before);
        all.then_some(()).ok_or(now)
    });
    let after = expect_three(node, "they vote again");
    assert_eq!(before, after, "nothing is bootstrapped anew");
    expect_ready(node, "it serves");
    let is_ready = condition(&vitess(node), "Ready");
    assert_eq!(
        was_ready["lastTransitionTime"], is_ready["lastTransitionTime"],
        "queries need no etcd: {is_ready}"
    );
    let (count, took) = (indexes.len(), begun.elapsed().as_secs());
    eprintln!("{count} members of etcd crashed: all is as it was after {took} s");
}

pub(crate) fn one_crashes(node: &Node, writer: &Writer) {
    crash(node, &[1]);
    writer.expect_pauses_below("one member crashed", Duration::from_secs(15));
}

/// Gateways and tablets need no topology to answer.
pub(crate) fn all_crash(node: &Node, writer: &Writer) {
    crash(node, &[0, 1, 2]);
    writer.expect_pauses_below("all members crashed", Duration::from_secs(15));
}

/// Deletes pods of members and their volumes at once.
fn lose_volumes(node: &Node, indexes: &[u32]) {
    // A volume stays until its pod is gone.
    for (folder, end) in [
        ("persistentvolumeclaims", ""),
        ("pods", "?gracePeriodSeconds=0"),
    ] {
        for index in indexes {
            let path = format!("{CORE}/{folder}/example-etcd-{index}{end}");
            node.plane().api().delete(&path).unwrap();
        }
    }
}

/// One member is replaced while the cluster serves.
pub(crate) fn one_loses_its_volume(node: &Node, writer: &Writer) {
    let (cluster, before) = expect_three(node, "three members vote");
    let begun = Instant::now();
    lose_volumes(node, &[2]);
    eventually("its member is removed", LIMIT, || {
        let now = ids(&server(node));
        (!now.contains(&before[2])).then_some(()).ok_or(now)
    });
    let (same, after) = expect_three(node, "another member is in its place");
    assert_eq!(cluster, same);
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
    expect_ready(node, "it serves");
    let took = begun.elapsed().as_secs();
    eprintln!("a member of etcd without its volume was replaced after {took} s");
    writer.expect_pauses_below("a member lost its volume", Duration::from_secs(15));
}

/// Names and identities of all pods and volumes of tablets.
fn of_tablets(node: &Node) -> Vec<(Value, Value)> {
    let all = ["pods", "persistentvolumeclaims"].map(|it| get(node, &format!("{CORE}/{it}")));
    let all = all
        .iter()
        .flat_map(|it| it["items"].as_array().into_iter().flatten());
    all.map(|it| {
        (
            it["metadata"]["name"].clone(),
            it["metadata"]["uid"].clone(),
        )
    })
    .filter(|(name, _)| name.as_str().unwrap().starts_with("example-tablet-"))
    .collect()
}

/// The topology is wiped behind our back: nothing is made anew, and nothing else is touched, by an operator that starts
/// then either.
pub(crate) fn all_lose_their_volumes(node: &Node, operators: &mut Operators, writer: &Writer) {
    let before = of_tablets(node);
    assert!(before.len() >= 6, "{before:?}");
    let begun = Instant::now();
    lose_volumes(node, &[0, 1, 2]);
    expect_lost(node);
    let took = begun.elapsed().as_secs();
    eprintln!("a topology that is wiped is told of after {took} s");
    operators.replace("with a topology that is wiped");
    let begun = Instant::now();
    eventually("time passes", LIMIT, || {
        for index in 0..MEMBERS {
            let claim = format!("{CORE}/persistentvolumeclaims/example-etcd-{index}");
            for made in [pod(node, index), get(node, &claim)] {
                assert!(made["metadata"].is_null(), "nothing is made: {made}");
            }
        }
        assert_eq!(of_tablets(node), before, "nothing is touched");
        let passed = begun.elapsed();
        (passed > SEVERAL_LOOKS).then_some(()).ok_or(passed)
    });
    expect_lost(node);
    let said = condition(&server(node), "MembersReady")["message"].to_string();
    assert!(!said.contains("Delete the volume"), "{said}");
    // By gateways that know the topology as it was.
    let vitess = vitess(node);
    assert!(is_true(&vitess, "VTGatesReady"), "{:#}", vitess["status"]);
    writer.expect_pauses_below("no topology is left", Duration::from_secs(15));
}

#[track_caller]
fn expect_lost(node: &Node) {
    eventually("it is told of", LIMIT, || {
        let (vitess, server) = (vitess(node), server(node));
        let said = vec![
            condition(&server, "Stalled"),
            condition(&vitess, "Stalled"),
            condition(&vitess, "TopologyReady"),
            condition(&vitess, "Ready"),
        ];
        let is_told = said.iter().all(|it| it["reason"] == "TopologyLost");
        is_told.then_some(()).ok_or(said)
    });
}
