//! Stands in for a node: each pod of a member is an etcd process on this machine, each volume a folder.
//!
//! What the pod says is what runs; only what a network namespace and a mount would do is done to the command line: paths
//! of volumes, and addresses to listen at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use foreshard_testbed::{Bed, ControlPlane, PartSpec, guard, parts};
use serde_json::{Value, json};

/// Runs the members of one namespace until it is dropped.
pub(crate) struct Kubelet {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    pub(crate) fn start(plane: &'static ControlPlane, namespace: &str) -> Self {
        let bed = Bed::unique("members").unwrap();
        guard::watch(&bed).unwrap();
        let node = Node {
            plane,
            namespace: namespace.to_owned(),
            etcd: parts::find("etcd").unwrap().program("etcd"),
            bed,
            running: BTreeMap::new(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || node.run(&stopped));
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that broke has failed its test already.
            let _ = thread.join();
        }
    }
}

struct Node {
    plane: &'static ControlPlane,
    namespace: String,
    etcd: PathBuf,
    bed: Bed,
    /// Volumes by the pods that run on them.
    running: BTreeMap<String, String>,
}

impl Node {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.look();
            thread::sleep(Duration::from_millis(100));
        }
        self.bed.down().unwrap();
    }

    fn list(&self, resource: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{}/{resource}", self.namespace);
        let all = self.plane.api().get(&path);
        let all = all.map(|all| all["items"].as_array().cloned().unwrap_or_default());
        all.unwrap_or_default()
    }

    fn look(&mut self) {
        let claims: BTreeMap<String, String> = self
            .list("persistentvolumeclaims")
            .iter()
            .map(|it| (text(&it["metadata"]["name"]), text(&it["metadata"]["uid"])))
            .collect();
        let mut pods = self.list("pods");
        // By name: a member without its labels is one as well.
        pods.retain(|it| text(&it["metadata"]["name"]).contains("-etcd-"));
        let there: BTreeSet<String> = pods.iter().map(|it| text(&it["metadata"]["uid"])).collect();
        let volumes: BTreeSet<&String> = claims.values().collect();
        // A pod that is gone ends, and so does one whose disk is gone, with its data.
        for (pod, volume) in self.running.clone() {
            if !there.contains(&pod) || !volumes.contains(&volume) {
                let _ = self.bed.kill(&pod);
                self.running.remove(&pod);
            }
        }
        for pod in &pods {
            let uid = text(&pod["metadata"]["uid"]);
            let Some(volume) = claims.get(&text(&pod["metadata"]["name"])) else {
                continue;
            };
            if self.running.contains_key(&uid) {
                self.restart_if_ended(&uid);
            } else if self.start(pod, &uid, volume).is_some() {
                self.running.insert(uid, volume.clone());
            }
        }
    }

    fn start(&mut self, pod: &Value, uid: &str, volume: &str) -> Option<()> {
        let secrets = self.mount(pod, uid)?;
        let data = self
            .bed
            .subfolder(&format!("volume-{volume}"), None)
            .unwrap();
        let container = &pod["spec"]["containers"][0];
        let args: Vec<String> = container["args"].as_array()?.iter().map(text).collect();
        let value = |flag: &str| {
            let prefix = format!("--{flag}=");
            let found = args.iter().find_map(|it| it.strip_prefix(&prefix));
            found.unwrap().to_owned()
        };
        let (client, peer) = (
            value("advertise-client-urls"),
            value("initial-advertise-peer-urls"),
        );
        let rewritten = args.iter().filter_map(|arg| match arg.split_once('=') {
            Some(("--listen-client-urls", _)) => Some(format!("--listen-client-urls={client}")),
            Some(("--listen-peer-urls", _)) => Some(format!("--listen-peer-urls={peer}")),
            Some(("--listen-metrics-urls", _)) => None,
            _ => Some(
                arg.replace("/var/lib/etcd", &data.display().to_string())
                    .replace("/etc/etcd/tls", &secrets.display().to_string()),
            ),
        });
        let spec = PartSpec::new(uid, &self.etcd)
            .args(rewritten)
            .grace(Duration::ZERO);
        self.bed.spawn(spec).ok()?;
        let status = json!({"status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/status",
            self.namespace,
            text(&pod["metadata"]["name"])
        );
        let _ = self.plane.api().patch(&path, &status);
        Some(())
    }

    /// The pod's Secret as files; none while it is not there.
    fn mount(&self, pod: &Value, uid: &str) -> Option<PathBuf> {
        let volumes = pod["spec"]["volumes"].as_array()?;
        let name = volumes
            .iter()
            .find_map(|it| it["secret"]["secretName"].as_str())?;
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace);
        let secret = self.plane.api().get(&path).ok()?;
        let folder = self.bed.subfolder(&format!("secrets-{uid}"), None).unwrap();
        for (key, value) in secret["data"].as_object()? {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text(value));
            fs::write(folder.join(key), bytes.unwrap()).unwrap();
        }
        Some(folder)
    }

    fn restart_if_ended(&mut self, uid: &str) {
        let summary = self.bed.summary().unwrap();
        let ended = summary.parts.iter().any(|it| it.name == uid && !it.alive);
        if ended {
            let _ = self.bed.restart(uid);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
