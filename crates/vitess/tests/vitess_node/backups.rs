//! Backups on a volume: the first one, a tablet and another backup that begin with it, and another cluster.

use std::time::Instant;

use base64::Engine as _;
use foreshard_testbed::Node;
use serde_json::{Value, json};

use crate::stage::*;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const SHARD: &str = "example-commerce-x-x";

fn shard(node: &Node) -> Value {
    get(node, &format!("{GROUP}/keyspaceshards/{SHARD}"))
}

/// When the last backup was finished.
fn last(node: &Node) -> Value {
    shard(node)["status"]["lastBackupTime"].clone()
}

/// Jobs that made backups, the oldest first.
fn jobs(node: &Node) -> Vec<Value> {
    let jobs = get(node, "/apis/batch/v1/namespaces/default/jobs");
    let mut jobs = jobs["items"].as_array().cloned().unwrap_or_default();
    jobs.sort_by_key(|it| it["metadata"]["creationTimestamp"].to_string());
    jobs
}

/// What pods of backups say, for a test that broke.
fn logs(node: &Node) -> Vec<String> {
    let pods = get(node, &format!("{CORE}/pods"));
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let names = pods.iter().filter_map(|it| it["metadata"]["name"].as_str());
    let backups = names.filter(|it| it.contains("-backup-"));
    backups
        .map(|name| {
            let log = format!("{CORE}/pods/{name}/log");
            let said = node.plane().api().text(&log).unwrap_or_default();
            // Without the help that it prints when it breaks.
            let said = said.lines().filter(|it| !it.starts_with(' '));
            let said: Vec<_> = said.collect();
            let last = said.len().saturating_sub(30);
            format!("{name}: {}", said[last..].join("\n"))
        })
        .collect()
}

/// vtbackup logs how it starts mysqld.
fn expect_no_password(node: &Node) {
    let users = get(node, &format!("{CORE}/secrets/example-mysql-users"));
    let password = users["data"]["clone-password"].as_str().unwrap();
    let password = base64::engine::general_purpose::STANDARD.decode(password);
    let password = String::from_utf8(password.unwrap()).unwrap();
    let pods = get(node, &format!("{CORE}/pods"));
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let names = pods.iter().filter_map(|it| it["metadata"]["name"].as_str());
    for name in names.filter(|it| it.contains("-backup-")) {
        let log = node
            .plane()
            .api()
            .text(&format!("{CORE}/pods/{name}/log"))
            .unwrap();
        assert!(log.contains("mysqld"), "{log}");
        assert!(!log.contains(&password), "{name} logs a password");
    }
}

fn patch(node: &Node, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    let patched = node
        .plane()
        .kubectl(["patch", "vitess/example", "--type=merge", "--patch", &patch])
        .status();
    assert!(patched.unwrap().success());
}

/// A cluster that runs gets backups: the first one is a copy of the primary.
pub(crate) fn first(node: &Node) {
    let begun = Instant::now();
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "backups"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
    });
    node.plane().api().post(CLAIMS, &claim).unwrap();
    patch(
        node,
        &json!({"backups": {"location": {"volume": {"claimName": "backups"}}}}),
    );
    eventually("the first backup is made", LIMIT, || {
        let shard = shard(node);
        let told = shard["status"]["conditions"].to_string();
        assert!(!told.contains("BackupFailed"), "{:#?}", logs(node));
        is_true(&shard, "BackupsHealthy")
            .then_some(())
            .ok_or_else(|| (shard["status"].clone(), logs(node)))
    });
    let jobs = jobs(node);
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    let begins = &jobs[0]["metadata"]["annotations"]["foreshard.dev/begins-with"];
    assert_eq!(begins, "Clone");
    expect_no_password(node);
    eprintln!("backed up after {} s", begun.elapsed().as_secs());
}

/// The pool is scaled out: the new tablet is restored from the backup, and catches up.
pub(crate) fn another_tablet(node: &Node, rows: &str) {
    let begun = Instant::now();
    let before = tablets(node);
    let claims = get(node, CLAIMS);
    for claim in claims["items"].as_array().into_iter().flatten() {
        let name = claim["metadata"]["name"].as_str().unwrap();
        // Of the one that left: with it the tablet would have its rows.
        if name.starts_with("example-tablet-") && !before.iter().any(|it| it == name) {
            node.plane()
                .api()
                .delete(&format!("{CLAIMS}/{name}"))
                .unwrap();
            eventually("the volume is gone", LIMIT, || {
                let claim = get(node, &format!("{CLAIMS}/{name}"));
                claim["metadata"].is_null().then_some(()).ok_or(claim)
            });
        }
    }
    scale(node, 4);
    expect_tablets(node, "4/4");
    let all = tablets(node);
    let new = all.iter().find(|it| !before.contains(it)).unwrap();
    let pod = get(node, &format!("{CORE}/pods/{new}"));
    let args = pod["spec"]["containers"][0]["args"].to_string();
    assert!(args.contains("--restore-from-backup"), "{args}");
    let count = "select count(*) from vt_commerce.kept";
    eventually("it has all rows", LIMIT, || {
        let said = own_mysqld(node, new, count);
        (said.as_deref() == Ok(rows)).then_some(()).ok_or(said)
    });
    eprintln!("a tablet from backup after {} s", begun.elapsed().as_secs());
}

/// The next backup, as scheduled, begins with the one before.
pub(crate) fn another_backup(node: &Node) {
    let begun = Instant::now();
    let before = last(node);
    patch(node, &json!({"backups": {"schedule": "* * * * *"}}));
    eventually("another backup is made", LIMIT, || {
        let now = last(node);
        (now != before).then_some(()).ok_or_else(|| {
            let status = shard(node)["status"].clone();
            (status, logs(node))
        })
    });
    patch(node, &json!({"backups": {"schedule": null}}));
    let jobs = jobs(node);
    let begins = &jobs[1]["metadata"]["annotations"]["foreshard.dev/begins-with"];
    assert_eq!(begins, "Backup", "{jobs:#?}");
    eprintln!("backed up again after {} s", begun.elapsed().as_secs());
}

const COPY: &str = r#"
apiVersion: foreshard.dev/v1alpha1
kind: Vitess
metadata: {name: another}
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
    restoreFrom: {path: default/example}
    tabletPools:
    - {cell: zone1, type: Replica, initialReplicas: 1, vttablet: *few, mysqld: *few, storage: {size: 10Gi}}
  backups:
    location: {volume: {claimName: backups}}
"#;

/// Another cluster begins with the backup: without the passwords that are in it, it says so.
pub(crate) fn another_cluster(node: &Node, rows: &str) {
    let begun = Instant::now();
    let api = node.plane().api();
    let another: Value = serde_saphyr::from_str(COPY).unwrap();
    api.post(&format!("{GROUP}/vitesses"), &another).unwrap();
    let path = format!("{GROUP}/vitesses/another");
    eventually("the passwords are asked for", LIMIT, || {
        let status = get(node, &path)["status"].clone();
        let said = status["conditions"].to_string();
        said.contains("CredentialsMissing")
            .then_some(())
            .ok_or(status)
    });
    let secrets = format!("{CORE}/secrets");
    let users = get(node, &format!("{secrets}/example-mysql-users"));
    let copy = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "another-mysql-users"},
        "data": users["data"],
    });
    api.post(&secrets, &copy).unwrap();
    eventually("it serves", LIMIT, || {
        let another = get(node, &path);
        let settled = is_true(&another, "Ready") && is_true(&another, "ShardsReady");
        settled.then_some(()).ok_or_else(|| {
            let pods = get(node, &format!("{CORE}/pods"));
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            let pods: Vec<_> = pods
                .iter()
                .map(|it| (it["metadata"]["name"].clone(), state(&it["status"])))
                .collect();
            (another["status"].clone(), pods)
        })
    });
    let at = &tablets(node)[0];
    let count = "select count(*) from kept";
    let said = eventually("it has the rows", LIMIT, || {
        query_of(node, "another", at, count)
    });
    assert_eq!(said, rows);
    eprintln!("another cluster after {} s", begun.elapsed().as_secs());
}
