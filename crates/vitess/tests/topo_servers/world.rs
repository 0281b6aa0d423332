//! Stands in for what runs in a cluster of Vitess: its pods are ready, its tablets record themselves, and vtctld and
//! gateways answer over real connections with the certificates that were made for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use foreshard_testbed::ControlPlane;
use foreshard_vtctld::stand_in::StandIn;
use foreshard_vtctld::{TabletAlias, TabletType, Tls};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::stage::Stage;

/// Tablets of a shard, of which the first becomes primary once all are there.
const TABLETS: usize = 3;

/// Runs until it is dropped.
pub(crate) struct World {
    pub(crate) vitess: StandIn,
    /// Whether backups are not to be had.
    pub(crate) fails: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn start(stage: &Stage) -> Self {
        let vitess = StandIn::default();
        let (plane, namespace) = stage.place();
        let fails = Arc::new(AtomicBool::new(false));
        let turn = Turn {
            plane,
            namespace,
            vitess: vitess.clone(),
            fails: Arc::clone(&fails),
            done: BTreeSet::new(),
            tablets: BTreeMap::new(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        };
        let servers = stage.loopback().servers();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || turn.run(servers, &stopped));
        Self {
            vitess,
            fails,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that broke has failed its test already.
            let _ = thread.join();
        }
    }
}

struct Turn {
    plane: &'static ControlPlane,
    namespace: String,
    vitess: StandIn,
    fails: Arc<AtomicBool>,
    /// Objects that were brought up.
    done: BTreeSet<String>,
    /// Tablets that run, by their pods' identities.
    tablets: BTreeMap<String, TabletAlias>,
    runtime: Runtime,
}

impl Turn {
    fn run(mut self, servers: [std::net::TcpListener; 2], stop: &AtomicBool) {
        let names = ["example-vtctld-tls", "example-vtgate-tls"];
        let mut waiting: Vec<_> = names.into_iter().zip(servers).collect();
        while !stop.load(Ordering::Relaxed) {
            for (name, listener) in std::mem::take(&mut waiting) {
                match self.certificate(name) {
                    Some(tls) => {
                        let vitess = self.vitess.clone();
                        self.runtime.spawn(async move {
                            vitess.serve(listener, &tls).await.unwrap();
                        });
                    }
                    None => waiting.push((name, listener)),
                }
            }
            self.pods();
            thread::sleep(Duration::from_millis(50));
        }
        self.runtime.shutdown_background();
    }

    fn path(&self, group: &str, resource: &str) -> String {
        format!("/{group}/namespaces/{}/{resource}", self.namespace)
    }

    fn certificate(&self, name: &str) -> Option<Tls> {
        let path = format!("{}/{name}", self.path("api/v1", "secrets"));
        let secret = self.plane.api().get(&path).ok()?;
        let of = |key: &str| {
            let value = secret["data"][key].as_str()?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(value);
            String::from_utf8(bytes.ok()?).ok()
        };
        Some(Tls {
            ca: of("ca.crt")?,
            certificate: of("tls.crt")?,
            key: of("tls.key")?,
        })
    }

    fn list(&self, group: &str, resource: &str) -> Option<Vec<Value>> {
        let all = self.plane.api().get(&self.path(group, resource)).ok()?;
        all["items"].as_array().cloned()
    }

    /// Each becomes ready; the control plane counts those of Deployments. Tablets record themselves.
    fn pods(&mut self) {
        let Some(pods) = self.list("api/v1", "pods") else {
            return;
        };
        let there: BTreeSet<_> = pods
            .iter()
            .filter_map(|it| it["metadata"]["uid"].as_str())
            .collect();
        let gone: Vec<String> = self
            .tablets
            .keys()
            .filter(|it| !there.contains(it.as_str()))
            .cloned()
            .collect();
        for alias in gone.iter().filter_map(|it| self.tablets.remove(it)) {
            self.vitess.end(&alias);
        }
        for pod in &pods {
            let labels = &pod["metadata"]["labels"];
            let label = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
            let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
            if self.done.contains(&uid) {
                continue;
            }
            let name = pod["metadata"]["name"].as_str().unwrap();
            if label("app.kubernetes.io/component") == "vttablet" {
                let alias = self.record(name, &label);
                self.tablets.insert(uid.clone(), alias);
            }
            let phase = if label("app.kubernetes.io/component") == "vtbackup" {
                self.back_up(&label)
            } else {
                "Running"
            };
            let status = json!({"status": {
                "phase": phase,
                "conditions": [{"type": "Ready", "status": "True"}],
            }});
            let path = format!("{}/{name}/status", self.path("api/v1", "pods"));
            if self.plane.api().patch(&path, &status).is_ok() {
                self.done.insert(uid);
            }
        }
    }

    /// A pod that makes a backup: how it ends.
    fn back_up(&self, label: &dyn Fn(&str) -> String) -> &'static str {
        if self.fails.load(Ordering::Relaxed) {
            return "Failed";
        }
        let shard = label("foreshard.dev/shard").replace('x', "");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let keyspace = label("foreshard.dev/keyspace");
        self.vitess.back_up(&keyspace, &shard, now);
        "Succeeded"
    }

    fn record(&self, name: &str, label: &dyn Fn(&str) -> String) -> TabletAlias {
        let keyspace = label("foreshard.dev/keyspace");
        let changes = self.vitess.changes();
        let recorded = format!("CreateKeyspace {keyspace} ");
        assert!(
            changes.iter().any(|it| it.starts_with(&recorded)),
            "a tablet before its keyspace: {changes:?}"
        );
        let alias = TabletAlias {
            cell: label("foreshard.dev/cell"),
            uid: name.rsplit('-').next().unwrap().parse().unwrap(),
        };
        let shard = label("foreshard.dev/shard").replace('x', "");
        let kind = match &*label("foreshard.dev/tablet-type") {
            "rdonly" => TabletType::Rdonly,
            _ => TabletType::Replica,
        };
        self.vitess.join(&keyspace, &shard, &alias, kind, TABLETS);
        alias
    }
}
