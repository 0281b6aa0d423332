//! Pods that are ready as soon as they are there, though no node runs them: as long as some are not, nothing shrinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use foreshard_testbed::Api;
use serde_json::json;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keeps the pods of a namespace ready until it is dropped.
pub(crate) struct Kubelet {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Kubelet {
    /// For the pods at this path.
    pub(crate) fn new(api: Api, pods: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                make_ready(&api, &pods);
                thread::sleep(LOOK_EVERY);
            }
        });
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
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

fn make_ready(api: &Api, pods: &str) {
    let Ok(all) = api.get(pods) else { return };
    let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    for pod in all["items"].as_array().into_iter().flatten() {
        if pod["status"]["phase"] != "Running" {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            // One that is gone by now need not be ready.
            let _ = api.patch(&format!("{pods}/{name}/status"), &ready);
        }
    }
}
