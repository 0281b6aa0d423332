//! The control-plane lane: a real Kubernetes control plane comes up, does what it should, and leaves nothing behind.
//!
//! Left out, and says so, where it is not built: `cargo xtask testbed build control-plane kwok`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod machine;

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use foreshard_testbed::{Bed, ControlPlane, or_left_out};
use machine::{Snapshot, eventually};
use serde_json::{Value, json};

/// Names the bed that a process of this test makes to be killed.
const KILLED_BED: &str = "FORESHARD_TESTBED_KILLED_BED";

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn shared() -> Option<&'static ControlPlane> {
    or_left_out("control plane", ControlPlane::shared())
}

/// A resource with a rule, and with `/scale`.
fn definition(group: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("shards.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Shard", "plural": "shards", "singular": "shard"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas",
                }},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {"spec": {
                        "type": "object",
                        "required": ["replicas"],
                        "x-kubernetes-validations": [{
                            "rule": "self.replicas % 2 == 1",
                            "message": "replicas must be odd",
                        }],
                        "properties": {"replicas": {"type": "integer"}},
                    }},
                }},
            }],
        },
    })
}

fn shard(replicas: i64) -> Value {
    json!({
        "apiVersion": "tb.example.com/v1",
        "kind": "Shard",
        "metadata": {"name": "a"},
        "spec": {"replicas": replicas},
    })
}

#[test]
fn rules_of_custom_resources_hold_and_scale_works() {
    let Some(plane) = shared() else { return };
    let api = plane.api();
    assert_eq!(api.text("/readyz").unwrap(), "ok");
    let namespace = plane.namespace("scale").unwrap();
    api.post(DEFINITIONS, &definition("tb.example.com"))
        .unwrap();
    let shards = namespace.path("apis/tb.example.com/v1", "shards");
    eventually("the resource being served", || {
        api.get(&shards)
            .map(drop)
            .map_err(|error| error.to_string())
    });
    let error = api.post(&shards, &shard(2)).unwrap_err().to_string();
    assert!(error.contains("replicas must be odd"), "{error}");
    api.post(&shards, &shard(3)).unwrap();

    let path = format!("{shards}/a/scale");
    let scale = api.get(&path).unwrap();
    assert_eq!(scale["kind"], "Scale");
    assert_eq!(scale["spec"]["replicas"], 3);
    api.patch(&path, &json!({"spec": {"replicas": 7}})).unwrap();
    let scaled = api.get(&format!("{shards}/a")).unwrap();
    assert_eq!(scaled["spec"]["replicas"], 7);
    let error = api
        .patch(&path, &json!({"spec": {"replicas": 8}}))
        .unwrap_err()
        .to_string();
    assert!(error.contains("replicas must be odd"), "{error}");

    let output = plane
        .kubectl([
            "--namespace",
            namespace.name(),
            "get",
            "shards",
            "--output=name",
        ])
        .output()
        .unwrap();
    let names = String::from_utf8_lossy(&output.stdout);
    assert_eq!(names.trim(), "shard.tb.example.com/a");
}

#[test]
fn everything_listens_on_loopback_only() {
    let Some(bed) = shared().and_then(ControlPlane::bed) else {
        return;
    };
    let sockets = machine::listening(bed.folder());
    // etcd twice, API server, controller manager, scheduler.
    assert!(sockets.len() >= 5, "{sockets:?}");
    let open: Vec<_> = sockets
        .iter()
        .filter(|address| !address.ip().is_loopback())
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_is_sent_to_pods_stays_here() {
    let Some(plane) = shared() else { return };
    if plane.bed().is_none() {
        return;
    }
    let api = plane.api();
    let namespace = plane.namespace("egress").unwrap();
    let pods = namespace.path("api/v1", "pods");
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "a", "image": "nowhere.invalid/none:1"}]},
    });
    // Once the namespace has its service account.
    eventually("the pod being taken", || {
        api.post(&pods, &pod)
            .map(drop)
            .map_err(|error| error.to_string())
    });
    let address = json!({"status": {"podIP": "10.244.0.9", "podIPs": [{"ip": "10.244.0.9"}]}});
    api.patch(&format!("{pods}/a/status"), &address).unwrap();
    let error = api
        .text(&format!("{pods}/a/proxy/"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("nowhere.sock"), "{error}");
}

#[test]
fn two_stand_side_by_side_and_leave_nothing_behind() {
    if shared().is_none_or(|plane| plane.bed().is_none()) {
        return;
    }
    let before = Snapshot::take();
    let start = || {
        let begun = Instant::now();
        let plane = ControlPlane::start_in(Bed::unique("pair").unwrap()).unwrap();
        (plane, begun.elapsed())
    };
    let other = thread::spawn(start);
    let (one, one_took) = start();
    let (other, other_took) = other.join().unwrap();
    println!("ready in {one_took:?} and {other_took:?}, two at once");
    assert_ne!(one.api().server(), other.api().server());

    let folders = [&one, &other].map(|plane| plane.bed().unwrap().folder().to_owned());
    assert_eq!(machine::processes_of(&folders[0]).len(), 4);
    one.down().unwrap();
    assert_eq!(other.api().text("/readyz").unwrap(), "ok");
    other.down().unwrap();
    for folder in &folders {
        assert_eq!(machine::processes_of(folder), Vec::<u32>::new());
        assert!(!folder.exists());
    }
    before.assert_nothing_added();
}

/// Not a test of its own: what the next one runs in a process that it kills.
#[test]
fn a_runner_that_is_killed() {
    let Some(name) = std::env::var_os(KILLED_BED) else {
        return;
    };
    let bed = Bed::create(&name.to_string_lossy(), "control-plane").unwrap();
    let plane = ControlPlane::start_in(bed).unwrap();
    // Until the test that holds the other end of the pipe kills this process, or is gone itself.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    plane.down().unwrap();
}

#[test]
fn a_killed_runner_leaves_nothing_behind_after_down() {
    if shared().is_none_or(|plane| plane.bed().is_none()) {
        return;
    }
    let before = Snapshot::take();
    let name = format!("cp-killed-{}", std::process::id());
    let mut runner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_runner_that_is_killed"])
        .env(KILLED_BED, &name)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut folder = None;
    eventually("the runner's bed being up", || {
        let all = Bed::list();
        let bed = all.into_iter().find(|bed| bed.name == name);
        folder = bed
            .filter(|bed| bed.facts.contains_key("kubeconfig"))
            .map(|bed| bed.folder);
        folder
            .as_ref()
            .map(drop)
            .ok_or_else(|| "not yet".to_owned())
    });
    let folder = folder.unwrap();
    runner.kill().unwrap();
    runner.wait().unwrap();
    assert_eq!(machine::processes_of(&folder).len(), 4);
    Bed::open(&name).unwrap().down().unwrap();
    assert_eq!(machine::processes_of(&folder), Vec::<u32>::new());
    assert!(!folder.exists());
    before.assert_nothing_added();
}

#[test]
fn pods_run_on_fake_nodes() {
    if shared().is_none_or(|plane| plane.bed().is_none()) {
        return;
    }
    let plane = or_left_out("fake nodes", ControlPlane::start_with_fake_nodes());
    let Some(plane) = plane else { return };
    let api = plane.api();
    let labels = json!({"app": "fake"});
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "fake"},
        "spec": {
            "replicas": 6,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "a", "image": "nowhere.invalid/none:1"}]},
            },
        },
    });
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    api.post(deployments, &deployment).unwrap();
    eventually("all pods being ready", || {
        let seen = api.get(&format!("{deployments}/fake")).unwrap();
        let ready = seen["status"]["readyReplicas"].clone();
        (ready == 6).then_some(()).ok_or_else(|| ready.to_string())
    });
    let open: Vec<_> = machine::listening(plane.bed().unwrap().folder())
        .into_iter()
        .filter(|address| !address.ip().is_loopback())
        .collect();
    assert!(open.is_empty(), "{open:?}");
    let begun = Instant::now();
    plane.down().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
}
