//! The cluster: a real node, the operator as its users install it, four Deployments.

use std::fmt::Debug;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use foreshard_testbed::{BUSYBOX, Node};
use serde_json::{Value, json};

use crate::scene::{REPLICAS, REPLICAS_MAX, TARGET};

pub(crate) const NAMESPACE: &str = "shop";
/// What is measured.
pub(crate) const QUERY: &str = "sum(rate(requests_total[1m]))";
/// From a pod's start to its being ready.
pub(crate) const START_UP_SECONDS: i64 = 120;

const POLICIES: &str = "/apis/foreshard.dev/v1alpha1/namespaces/shop/scalingpolicies";
const RECOMMENDATIONS: &str = "/apis/foreshard.dev/v1alpha1/namespaces/shop/scalingrecommendations";

/// Who scales a Deployment of this name.
pub(crate) const OBSERVE: &str = "observe";
pub(crate) const APPROVE: &str = "approve";
pub(crate) const AUTO: &str = "auto";
pub(crate) const HPA: &str = "hpa";
pub(crate) const ALL: [&str; 4] = [OBSERVE, APPROVE, AUTO, HPA];

/// A node with four Deployments.
pub(crate) struct Stage {
    node: Node,
    begun: Instant,
}

impl Stage {
    /// With the operator running, and nobody who scales yet.
    pub(crate) fn new(node: Node, root: &Path) -> Self {
        let mut stage = Self {
            node,
            begun: Instant::now(),
        };
        let image = root.join("target/images/foreshard-0.1.0.tar");
        assert!(image.is_file(), "run it by `cargo xtask e2e scaling`");
        stage.node.import_archive(&image).unwrap();
        let base = root.join("deploy/kustomize/base");
        stage.kubectl(&["apply", "--server-side", "-k", &base.display().to_string()]);
        stage.say("the operator is installed");
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        stage.post("/api/v1/namespaces", &namespace);
        for name in ALL {
            stage.post(
                "/apis/apps/v1/namespaces/shop/deployments",
                &deployment(name),
            );
        }
        let path = "/apis/apps/v1/namespaces/foreshard-system/deployments/foreshard-operator";
        stage.eventually("the operator runs", || {
            let seen = stage.get(path)["status"].clone();
            (seen["readyReplicas"] == 2).then_some(()).ok_or(seen)
        });
        stage.say("both replicas of the operator are ready");
        stage
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// A line with the time since the node was ready.
    pub(crate) fn say(&self, what: &str) {
        println!("[{:4.0} s] {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Three policies, with their source.
    pub(crate) fn policies(&self, prometheus: &str) {
        let source = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PrometheusSource", "metadata": {"name": "main"},
            "spec": {"url": prometheus},
        });
        let sources = "/apis/foreshard.dev/v1alpha1/namespaces/shop/prometheussources";
        self.post(sources, &source);
        for (name, mode) in [(OBSERVE, "Observe"), (APPROVE, "Approve"), (AUTO, "Auto")] {
            self.post(POLICIES, &policy(name, mode));
        }
    }

    /// The HorizontalPodAutoscaler, with its metric served at `adapter`.
    pub(crate) fn autoscaler(&self, adapter: SocketAddr) {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"},
            "spec": {"ports": [{"port": 443, "targetPort": adapter.port()}]},
        });
        self.post("/api/v1/namespaces/shop/services", &service);
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "metrics", "labels": {"kubernetes.io/service-name": "metrics"}},
            "ports": [{"port": adapter.port()}],
            "endpoints": [{"addresses": [adapter.ip().to_string()]}],
        });
        let slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
        self.post(slices, &slice);
        let name = "v1beta1.external.metrics.k8s.io";
        let api = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name},
            "spec": {
                "group": "external.metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
                "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"namespace": NAMESPACE, "name": "metrics", "port": 443},
            },
        });
        let services = "/apis/apiregistration.k8s.io/v1/apiservices";
        self.post(services, &api);
        self.expect_condition(&format!("{services}/{name}"), "Available");
        let autoscaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": HPA},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": HPA},
                "minReplicas": 1, "maxReplicas": REPLICAS_MAX,
                "metrics": [{"type": "External", "external": {
                    "metric": {"name": "requests"},
                    "target": {"type": "AverageValue", "averageValue": TARGET.to_string()},
                }}],
            },
        });
        let autoscalers = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers";
        self.post(autoscalers, &autoscaler);
        self.expect_condition(&format!("{autoscalers}/{HPA}"), "ScalingActive");
    }

    /// Waits until every policy decides with a forecast that may act; skills as the statuses show them.
    pub(crate) fn learned(&self) -> Vec<String> {
        [OBSERVE, APPROVE, AUTO]
            .map(|name| {
                let path = format!("{POLICIES}/{name}");
                self.expect_condition(&path, "ForecastReliable");
                self.expect_condition(&path, "Ready");
                let status = self.get(&path)["status"].clone();
                status["forecastSkill"].as_str().unwrap_or("?").to_owned()
            })
            .to_vec()
    }

    /// Waits until all replicas are ready.
    pub(crate) fn started(&self) {
        self.eventually("all replicas are ready", || {
            let seen = self.counts();
            let all = seen.iter().all(|(_, ready)| *ready >= REPLICAS);
            all.then_some(()).ok_or(seen)
        });
    }

    /// Replicas asked for and ready, in the order of [`ALL`].
    pub(crate) fn counts(&self) -> [(u32, u32); 4] {
        let list = self.get("/apis/apps/v1/namespaces/shop/deployments");
        ALL.map(|name| {
            let items = list["items"].as_array().unwrap();
            let one = items.iter().find(|it| it["metadata"]["name"] == name);
            let count = |place: &str| one.unwrap().pointer(place).and_then(Value::as_u64);
            (
                count("/spec/replicas").unwrap() as u32,
                count("/status/readyReplicas").unwrap_or(0) as u32,
            )
        })
    }

    /// The recommendations of a policy, oldest first.
    pub(crate) fn recommendations(&self, policy: &str) -> Vec<Value> {
        let list = self.get(RECOMMENDATIONS);
        let items = list["items"].as_array().unwrap().iter();
        let mut own: Vec<Value> = items
            .filter(|it| it["spec"]["policyName"] == policy)
            .cloned()
            .collect();
        own.sort_by_key(|it| it["spec"]["issuedTime"].as_str().unwrap().to_owned());
        own
    }

    /// Approves a recommendation as people do it with `kubectl`.
    pub(crate) fn approve(&self, recommendation: &Value) {
        let name = recommendation["metadata"]["name"].as_str().unwrap();
        let approval = json!({"spec": {"approval": {
            "digest": recommendation["spec"]["digest"], "user": "admin", "expiryTime": "2100-01-01T00:00:00Z",
        }}});
        self.kubectl(&[
            "patch",
            "-n",
            NAMESPACE,
            "scalingrecommendation",
            name,
            "--type=merge",
            "-p",
            &approval.to_string(),
        ]);
    }

    /// How often containers of the operator were started again.
    pub(crate) fn operator_restarts(&self) -> u64 {
        let pods = self.get("/api/v1/namespaces/foreshard-system/pods");
        let pods = pods["items"].as_array().unwrap();
        pods.iter()
            .filter_map(|pod| {
                pod.pointer("/status/containerStatuses/0/restartCount")?
                    .as_u64()
            })
            .sum()
    }

    /// What the operator says, for whoever looks for the reason of a failure.
    pub(crate) fn operator_log(&self) -> String {
        let words = [
            "logs",
            "-n",
            "foreshard-system",
            "-l",
            "app.kubernetes.io/name=foreshard",
            "--prefix",
            "--tail=-1",
        ];
        let output = self.node.plane().kubectl(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// An API server on a busy machine may be too slow once.
    fn get(&self, path: &str) -> Value {
        let get = || self.node.plane().api().get(path);
        get().or_else(|_| get()).or_else(|_| get()).unwrap()
    }

    fn post(&self, path: &str, object: &Value) {
        // A definition that was just made takes a moment to be served.
        self.eventually(path, || {
            self.node
                .plane()
                .api()
                .post(path, object)
                .map_err(|error| error.to_string())
        });
    }

    fn kubectl(&self, words: &[&str]) {
        let output = self.node.plane().kubectl(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "kubectl {}: {said}",
            words.join(" ")
        );
    }

    fn expect_condition(&self, path: &str, kind: &str) {
        self.eventually(&format!("{path}: {kind}"), || {
            let status = self.get(path)["status"].clone();
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let is_true = |it: &Value| it["type"] == kind && it["status"] == "True";
            conditions.iter().any(is_true).then_some(()).ok_or(status)
        });
    }

    /// Waits until `look` finds what it looks for.
    fn eventually<T, S: Debug>(&self, what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
        const LIMIT: Duration = Duration::from_secs(300);
        let begun = Instant::now();
        loop {
            match look() {
                Ok(found) => return found,
                Err(seen) if begun.elapsed() > LIMIT => {
                    let log = self.operator_log();
                    panic!("{what}: after {LIMIT:?} still {seen:#?}\n{log}")
                }
                Err(_) => thread::sleep(Duration::from_millis(500)),
            }
        }
    }
}

fn deployment(name: &str) -> Value {
    let labels = json!({"app": name});
    let container = json!({
        "name": "web", "image": BUSYBOX, "imagePullPolicy": "Never",
        "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
        "readinessProbe": {
            "tcpSocket": {"port": 8080}, "initialDelaySeconds": START_UP_SECONDS, "periodSeconds": 5,
        },
        "resources": {"requests": {"cpu": "1m", "memory": "2Mi"}},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
        },
    })
}

fn policy(name: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "signals": [{
                "name": "demand", "query": QUERY, "unit": "requests/s", "sourceRef": {"name": "main"},
                "targetAverageValue": TARGET.to_string(),
            }],
            "actions": [{
                "type": "Replicas", "mode": mode, "min": 1, "max": REPLICAS_MAX, "leadTimeSeconds": START_UP_SECONDS + 30,
            }],
        },
    })
}

/// The folder `target/e2e`, made if it is not there.
pub(crate) fn results(root: &Path) -> std::path::PathBuf {
    let folder = root.join("target/e2e");
    fs::create_dir_all(&folder).unwrap();
    folder
}
