//! A Secret that somebody edits.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use foreshard_testbed::Node;
use serde_json::{Value, json};

use crate::operators::condition;
use crate::stage::*;
use crate::writer::Writer;

const FILE: &str = "credentials.json";

fn path() -> String {
    format!("{CORE}/secrets/example-mysql-users")
}

fn overwrite(node: &Node, file: &Value) {
    let patch = json!({"data": {FILE: file}});
    node.plane().api().patch(&path(), &patch).unwrap();
}

/// What a user sees of the cluster, for whoever reads this test's words.
fn seen(node: &Node) -> Value {
    let vitess = get(node, &format!("{GROUP}/vitesses/example"));
    condition(&vitess, "ShardsReady")
}

/// A tablet that starts with a wrong password is named, the others serve, and with the right one it comes up.
pub(crate) fn a_password_is_wrong(node: &Node, writer: &Writer) {
    let right = get(node, &path())["data"][FILE].clone();
    let users = STANDARD.decode(right.as_str().unwrap()).unwrap();
    let mut users: Value = serde_json::from_slice(&users).unwrap();
    for (_, passwords) in users.as_object_mut().unwrap() {
        *passwords = json!(["wrong"]);
    }
    let all = tablets(node);
    let (ill, well) = all.split_first().unwrap();
    let uid = |name: &str| get(node, &format!("{CORE}/pods/{name}"))["metadata"]["uid"].clone();
    let before: Vec<_> = well.iter().map(|it| uid(it)).collect();
    overwrite(node, &json!(STANDARD.encode(users.to_string())));
    let begun = Instant::now();
    kill(node, ill);
    let told = eventually("the tablet is named", LIMIT, || {
        let said = seen(node);
        let is_named = said["message"]
            .as_str()
            .is_some_and(|it| it.contains(ill) && it.contains("container mysqld runs"));
        is_named.then(|| said.clone()).ok_or(said)
    });
    eprintln!(
        "a wrong password is told of after {} s: {told:#}",
        begun.elapsed().as_secs()
    );
    eventually("mysqld lets nobody in", LIMIT, || {
        let log = format!("{CORE}/pods/{ill}/log?container=mysqld&tailLines=5");
        let said = node.plane().api().text(&log).unwrap_or_default();
        said.contains("Access denied").then_some(()).ok_or(said)
    });
    let vitess = get(node, &format!("{GROUP}/vitesses/example"));
    assert!(is_true(&vitess, "Ready"), "{:#}", vitess["status"]);
    overwrite(node, &right);
    let begun = Instant::now();
    // By itself it tries again after minutes.
    kill(node, ill);
    let ready = expect_ready(node, "the right password is there");
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    let after: Vec<_> = well.iter().map(|it| uid(it)).collect();
    assert_eq!(before, after, "what serves is left alone");
    let took = begun.elapsed().as_secs();
    eprintln!("with the right password it serves after {took} s");
    writer.expect_pauses_below("a password is wrong", Duration::from_secs(15));
}

/// Passwords that are deleted are not made anew: every mysqld knows those that there were.
pub(crate) fn passwords_are_deleted(node: &Node, writer: &Writer) {
    let mut users = get(node, &path());
    let ill = tablets(node)[0].clone();
    let begun = Instant::now();
    node.plane().api().delete(&path()).unwrap();
    kill(node, &ill);
    let vitess = || get(node, &format!("{GROUP}/vitesses/example"));
    let told = eventually("it is told of", LIMIT, || {
        let vitess = vitess();
        let said = condition(&vitess, "Progressing");
        let is_told = said["reason"] == "CredentialsLost";
        is_told.then(|| vitess.clone()).ok_or(said)
    });
    assert!(is_true(&told, "Ready"), "{:#}", told["status"]);
    assert!(get(node, &path())["data"].is_null(), "none are made");
    let took = begun.elapsed().as_secs();
    eprintln!("passwords that are gone are told of after {took} s");
    let begun = Instant::now();
    let metadata = users["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "labels", "annotations"].contains(&key.as_str()));
    let secrets = format!("{CORE}/secrets");
    node.plane().api().post(&secrets, &users).unwrap();
    eventually("all is as it is wanted", LIMIT, || {
        let said = condition(&vitess(), "Progressing");
        (said["status"] == "False").then_some(()).ok_or(said)
    });
    let ready = expect_ready(node, "it serves");
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    let took = begun.elapsed().as_secs();
    eprintln!("brought back, all serve after {took} s");
    writer.expect_pauses_below("passwords are deleted", Duration::from_secs(15));
}

/// Certificates that are deleted are made anew before pods that start wait for long.
pub(crate) fn certificates_are_deleted(node: &Node, writer: &Writer) {
    let begun = Instant::now();
    let ill = tablets(node)[0].clone();
    for (certificate, pod) in [
        ("example-vttablet-tls", &*ill),
        ("example-etcd-member", "example-etcd-0"),
    ] {
        let path = format!("{CORE}/secrets/{certificate}");
        node.plane().api().delete(&path).unwrap();
        kill(node, pod);
        eventually("it is made anew", LIMIT, || {
            let secret = get(node, &path);
            let pod = get(node, &format!("{CORE}/pods/{pod}"));
            let is_there = secret["data"].is_object() && is_true(&pod, "Ready");
            is_there
                .then_some(())
                .ok_or_else(|| (secret["data"].is_object(), state(&pod["status"])))
        });
    }
    let ready = expect_ready(node, "it serves");
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    let took = begun.elapsed().as_secs();
    eprintln!(
        "certificates that were deleted were made anew, and pods run with them, after {took} s"
    );
    writer.expect_pauses_below("certificates are deleted", Duration::from_secs(15));
}
