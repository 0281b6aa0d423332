//! A store that speaks S3, in a pod: what is asked of it, and what is in it.

use foreshard_testbed::Node;
use serde_json::{Value, json};

use crate::stage::*;

pub(crate) const IMAGE: &str = "docker.io/local/versitygw:1";
/// Made up, as is the key's name.
pub(crate) const SECRET: &str = "what-only-this-store-knows";
const KEY: &str = "foreshard";
/// Where backups of the shard are, by the Vitess's prefix, namespace and name.
const FOLDER: &str = "/data/backups/of/us/default/example/commerce/-";

/// Starts it, with an empty bucket: each folder of its own is one.
pub(crate) fn start(node: &Node) {
    let port = 7070;
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "store", "labels": {"app": "store"}},
        "spec": {
            "containers": [{
                "name": "store",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": ["/usr/bin/versitygw", "--region=eu-1", "--health=/health", "posix", "/data"],
                "env": [
                    {"name": "ROOT_ACCESS_KEY_ID", "value": KEY},
                    {"name": "ROOT_SECRET_ACCESS_KEY", "value": SECRET},
                ],
                "readinessProbe": {"httpGet": {"path": "/health", "port": port}, "periodSeconds": 1},
                "volumeMounts": [{"name": "bucket", "mountPath": "/data/backups"}],
            }],
            "volumes": [{"name": "bucket", "emptyDir": {}}],
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "store"},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": port}]},
    });
    let api = node.plane().api();
    api.post(&format!("{CORE}/pods"), &pod).unwrap();
    api.post(&format!("{CORE}/services"), &service).unwrap();
    eventually("the store answers", LIMIT, || {
        let pod = get(node, &format!("{CORE}/pods/store"));
        is_true(&pod, "Ready")
            .then_some(())
            .ok_or(pod["status"].clone())
    });
}

/// Says what a user says in `~/.aws/credentials`.
pub(crate) fn give_key(node: &Node, secret: &str) {
    let file = format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n");
    let object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket"},
        "stringData": {"credentials": file},
    });
    let secrets = format!("{CORE}/secrets");
    let path = format!("{secrets}/bucket");
    let api = node.plane().api();
    let is_there = get(node, &path)["metadata"].is_object();
    let written = if is_there {
        api.put(&path, &object)
    } else {
        api.post(&secrets, &object)
    };
    written.unwrap();
}

fn run(node: &Node, script: &str) -> String {
    let said = node
        .plane()
        .kubectl([
            "exec",
            "store",
            "--",
            "/usr/bin/busybox",
            "sh",
            "-c",
            script,
        ])
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    String::from_utf8(said.stdout).unwrap()
}

/// Names of the shard's backups, the oldest first.
pub(crate) fn backups(node: &Node) -> Vec<String> {
    let all = run(node, &format!("busybox ls {FOLDER}"));
    all.lines().map(str::to_owned).collect()
}

/// One that is as good as none, of years ago: whoever keeps only one, and none that is older than a day, deletes it.
pub(crate) fn plant_old_backup(node: &Node) -> String {
    let name = "2020-02-02.020202.zone1-0000000100";
    let folder = format!("{FOLDER}/{name}");
    run(
        node,
        &format!("busybox mkdir -p {folder} && busybox touch {folder}/MANIFEST"),
    );
    assert_eq!(backups(node), [name]);
    name.to_owned()
}

/// What the store was asked, a request a line.
pub(crate) fn asked(node: &Node) -> String {
    let log = format!("{CORE}/pods/store/log");
    node.plane().api().text(&log).unwrap()
}

/// What pods of backups say, for a test that broke.
pub(crate) fn logs(node: &Node) -> Vec<String> {
    let pods = get(node, &format!("{CORE}/pods"));
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let names = pods
        .iter()
        .filter_map(|it: &Value| it["metadata"]["name"].as_str());
    let backups = names.filter(|it| it.contains("-backup-"));
    let log = |name: &str| {
        let path = format!("{CORE}/pods/{name}/log?tailLines=40");
        format!(
            "{name}: {}",
            node.plane().api().text(&path).unwrap_or_default()
        )
    };
    backups.map(log).collect()
}
