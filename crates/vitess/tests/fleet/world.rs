//! Stands in for what runs in the pods of many clusters.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine as _;
use foreshard_testbed::{Api, ControlPlane};
use foreshard_vtctld::stand_in::StandIn;
use foreshard_vtctld::{TabletAlias, TabletType, Tls};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{CLUSTERS, name};

/// Tablets of a shard, of which the first becomes primary once all are there.
const TABLETS: usize = 3;
const CORE: &str = "/api/v1/namespaces/default";

/// Where a cluster's vtctld (0) or gateway (1) answers: all of loopback is this machine's.
pub(crate) fn address(number: usize, server: usize) -> Ipv4Addr {
    let (number, server) = (u8::try_from(number).unwrap(), u8::try_from(server).unwrap());
    Ipv4Addr::new(127, 77, number, 1 + server)
}

/// Runs until it is dropped.
pub(crate) struct World {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn start(plane: &ControlPlane) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let turn = Turn {
            api: plane.api().clone(),
            clusters: (0..CLUSTERS)
                .map(|it| (name(it), StandIn::default()))
                .collect(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        };
        let thread = thread::spawn(move || turn.run(&stopped));
        Self {
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
    api: Api,
    clusters: BTreeMap<String, StandIn>,
    runtime: Runtime,
}

impl Turn {
    fn run(self, stop: &AtomicBool) {
        // Whoever makes a client of Kubernetes chooses how TLS is done, for the whole process.
        self.runtime.block_on(async {
            let config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
            drop(kube::Client::try_from(config).unwrap());
        });
        let mut waiting: VecDeque<(usize, usize)> =
            (0..CLUSTERS).flat_map(|it| [(it, 0), (it, 1)]).collect();
        while !stop.load(Ordering::Relaxed) {
            // A few at a time: the API server has more to do.
            for _ in 0..waiting.len().min(20) {
                let Some((number, server)) = waiting.pop_front() else {
                    break;
                };
                if !self.serves(number, server) {
                    waiting.push_back((number, server));
                }
            }
            self.pods();
            thread::sleep(Duration::from_millis(200));
        }
        self.runtime.shutdown_background();
    }

    /// Has a server answer, once it has a certificate.
    fn serves(&self, number: usize, server: usize) -> bool {
        let of = ["vtctld", "vtgate"][server];
        let Some(tls) = self.certificate(&format!("{}-{of}-tls", name(number))) else {
            return false;
        };
        let listener = TcpListener::bind((address(number, server), 15_999)).unwrap();
        let vitess = self.clusters[&name(number)].clone();
        self.runtime.spawn(async move {
            vitess.serve(listener, &tls).await.unwrap();
        });
        true
    }

    fn certificate(&self, name: &str) -> Option<Tls> {
        let secret = self.api.get(&format!("{CORE}/secrets/{name}")).ok()?;
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

    /// Each becomes ready; the control plane counts those of Deployments. Tablets record themselves.
    fn pods(&self) {
        let pending = format!("{CORE}/pods?fieldSelector=status.phase=Pending");
        let pods = self.api.get(&pending).unwrap_or_default();
        for pod in pods["items"].as_array().into_iter().flatten() {
            let labels = &pod["metadata"]["labels"];
            let pod = pod["metadata"]["name"].as_str().unwrap();
            if labels["app.kubernetes.io/component"] == "vttablet" {
                self.record(pod, labels);
            }
            let status = json!({"status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
            }});
            let _ = self
                .api
                .patch(&format!("{CORE}/pods/{pod}/status"), &status);
        }
    }

    fn record(&self, pod: &str, labels: &Value) {
        let cluster = labels["foreshard.dev/vitess"].as_str().unwrap();
        let alias = TabletAlias {
            cell: "zone1".to_owned(),
            uid: pod.rsplit('-').next().unwrap().parse().unwrap(),
        };
        self.clusters[cluster].join("commerce", "-", &alias, TabletType::Replica, TABLETS);
    }
}
