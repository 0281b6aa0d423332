//! A real node with both operators and a Vitess.

use std::fmt::Debug;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use std::{fs, io};

use base64::Engine as _;
use foreshard_testbed::{Node, Stack, guard};
use foreshard_vtctld::{Gate, Tls};
use serde_json::Value;

const GROUP: &str = "/apis/foreshard.dev/v1alpha1/namespaces/default";
const CORE: &str = "/api/v1/namespaces/default";
/// The user of Prometheus' image.
const PROMETHEUS_USER: u32 = 65_534;
/// What a spec names by default.
const STACK: Stack<'_> = Stack {
    etcd: "gcr.io/etcd-development/etcd:v3.7.3",
    vitess: "docker.io/vitess/lite:v24.0.0",
    mysqld: "docker.io/library/mysql:8.4",
    prometheus: Some("quay.io/prometheus/prometheus:v3.5.0"),
};
/// Many pods on two cores.
const VITESS: &str = r#"
apiVersion: foreshard.dev/v1alpha1
kind: Vitess
metadata: {name: example}
spec:
  cells:
  - name: zone1
    vtgate: {initialReplicas: 3, resources: &few {requests: {cpu: 10m, memory: 64Mi}}}
  topology: {etcd: {members: 1, resources: *few}}
  vtctld: {replicas: 1, resources: *few}
  vtorc: {replicas: 1, resources: *few}
  keyspaces:
  - name: commerce
    tabletPools:
    - {cell: zone1, type: Replica, initialReplicas: 3, vttablet: *few, mysqld: *few, storage: {size: 10Gi}}
  monitoring:
    managed: {resources: *few, storage: {size: 10Gi}}
"#;

/// A node with a cluster.
pub(crate) struct Stage {
    node: Node,
    begun: Instant,
}

impl Stage {
    /// With both operators running.
    pub(crate) fn new(node: Node, root: &Path) -> Self {
        guard::watch(node.plane().bed().unwrap()).unwrap();
        let mut stage = Self {
            node,
            begun: Instant::now(),
        };
        let image = root.join("target/images/foreshard-0.1.0.tar");
        assert!(image.is_file(), "run it by `cargo xtask e2e vitess`");
        stage.node.import_archive(&image).unwrap();
        for image in STACK.images().unwrap() {
            stage.node.import(&image).unwrap();
        }
        let clusters = root.join("deploy/kustomize/overlays/clusters");
        let clusters = clusters.display().to_string();
        stage
            .kubectl(&["apply", "--server-side", "-k", &clusters])
            .unwrap();
        for operator in ["foreshard-operator", "foreshard-cluster"] {
            let path = format!("/apis/apps/v1/namespaces/foreshard-system/deployments/{operator}");
            stage.eventually(operator, || {
                let seen = stage.get(&path)["status"].clone();
                let ready = seen["readyReplicas"].as_u64() >= Some(1);
                ready.then_some(()).ok_or(seen)
            });
        }
        stage.say("both operators run");
        stage
    }

    /// A line with the time since the node was ready.
    pub(crate) fn say(&self, what: &str) {
        println!("[{:4.0} s] {what}", self.begun.elapsed().as_secs_f64());
    }

    /// Brings a Vitess up.
    pub(crate) fn vitess(&self) {
        let vitess: Value = serde_saphyr::from_str(VITESS).unwrap();
        let begun = Instant::now();
        self.post("vitesses", &vitess);
        self.expect_condition("vitesses/example", "Ready");
        self.expect_condition("vitesses/example", "ShardsReady");
        let took = begun.elapsed().as_secs();
        self.say(&format!(
            "the Vitess serves {took} s after it was asked for"
        ));
        let prometheus = "/apis/apps/v1/namespaces/default/deployments/example-prometheus";
        self.eventually("its Prometheus runs", || {
            let seen = self.get(prometheus)["status"].clone();
            (seen["readyReplicas"] == 1).then_some(()).ok_or(seen)
        });
        self.expect_condition("prometheussources/example", "Reachable");
    }

    /// A client of its gateways.
    pub(crate) fn gateway(&self) -> Gate {
        let secret = self.get(&format!("{CORE}/secrets/example-client-tls"));
        let of = |key: &str| {
            let value = secret["data"][key].as_str().unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(value);
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        let tls = Tls {
            ca: of("ca.crt"),
            certificate: of("tls.crt"),
            key: of("tls.key"),
        };
        let service = self.get(&format!("{CORE}/services/example-vtgate"));
        let address = service["spec"]["clusterIP"].as_str().unwrap();
        let name = "example-vtgate.default.svc";
        Gate::with_tls(&format!("{address}:15999"), name, &tls).unwrap()
    }

    /// The folder of its Prometheus' volume.
    pub(crate) fn samples(&self) -> PathBuf {
        let claim = self.get(&format!("{CORE}/persistentvolumeclaims/example-prometheus"));
        let volume = claim["spec"]["volumeName"].as_str().unwrap();
        let volume = self.get(&format!("/api/v1/persistentvolumes/{volume}"));
        let spec = &volume["spec"];
        let path = [&spec["hostPath"]["path"], &spec["local"]["path"]];
        path.iter().find_map(|it| it.as_str()).unwrap().into()
    }

    /// What was written there is its own.
    pub(crate) fn owned_by_prometheus(&self, folder: &Path) {
        fn give(path: &Path) -> io::Result<()> {
            chown(path, Some(PROMETHEUS_USER), Some(PROMETHEUS_USER))?;
            if path.is_dir() {
                for entry in fs::read_dir(path)? {
                    give(&entry?.path())?;
                }
            }
            Ok(())
        }
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Blocks, and nothing that it is writing.
            if path.join("meta.json").is_file() {
                give(&path).unwrap();
            }
        }
    }

    /// Waits until its Prometheus has found what was before it.
    pub(crate) fn sees_history(&self, metric: &str) {
        let service = self.get(&format!("{CORE}/services/example-prometheus"));
        let address = service["spec"]["clusterIP"].as_str().unwrap();
        let api = foreshard_testbed::Api::plain(format!("http://{address}:9090"));
        // Found by `count_over_time(METRIC[28d]) > 70000`.
        let query = format!("/api/v1/query?query=count_over_time({metric}%5B28d%5D)%3E70000");
        self.eventually("it has found its history", || {
            let found = api.get(&query).map_err(|error| error.to_string())?;
            let some = found["data"]["result"]
                .as_array()
                .is_some_and(|it| !it.is_empty());
            some.then_some(()).ok_or_else(|| found.to_string())
        });
        self.say("its Prometheus has found them");
    }

    /// Waits until a policy decides with a forecast that may act; its skill.
    pub(crate) fn learned(&self, policy: &str) -> String {
        let path = format!("scalingpolicies/{policy}");
        self.expect_condition(&path, "ForecastReliable");
        self.expect_condition(&path, "Ready");
        let status = self.get(&format!("{GROUP}/{path}"))["status"].clone();
        status["forecastSkill"].as_str().unwrap_or("?").to_owned()
    }

    /// Replicas of a pool that are asked for, and that serve.
    pub(crate) fn counts(&self, kind: &str, name: &str) -> (u32, u32) {
        let plural = format!("{}s", kind.to_lowercase());
        let pool = self.get(&format!("{GROUP}/{plural}/{name}"));
        let count = |place: &str| pool.pointer(place).and_then(Value::as_u64).unwrap_or(0) as u32;
        (count("/spec/replicas"), count("/status/readyReplicas"))
    }

    /// Deleting is refused while it is protected, and its data outlives it.
    pub(crate) fn deletion_is_refused_and_then_allowed(&self) {
        let delete = ["delete", "vitess/example", "--wait=false"];
        let said = self.kubectl(&delete).unwrap_err();
        assert!(said.contains("deletionProtection"), "{said}");
        let off = r#"{"spec":{"deletionProtection":"Disabled"}}"#;
        self.kubectl(&["patch", "vitess/example", "--type=merge", "--patch", off])
            .unwrap();
        self.kubectl(&delete).unwrap();
        self.eventually("its pods are gone", || {
            let pods = self.get(&format!("{CORE}/pods"));
            let left = pods["items"].as_array().map_or(0, Vec::len);
            (left == 0).then_some(()).ok_or(left)
        });
        let claims = self.get(&format!("{CORE}/persistentvolumeclaims"));
        let claims = claims["items"].as_array().unwrap();
        let names = claims
            .iter()
            .filter_map(|it| it["metadata"]["name"].as_str());
        let tablets = names.filter(|it| it.starts_with("example-tablet-")).count();
        assert!(tablets >= 3, "{tablets} volumes are left");
        self.say("deletion was refused, then allowed; its data is left");
    }

    /// What the operator of policies says, for whoever looks for the reason of a failure.
    pub(crate) fn operator_log(&self) -> String {
        let log = [
            "logs",
            "-n",
            "foreshard-system",
            "deployment/foreshard-operator",
            "--tail=200",
        ];
        self.kubectl(&log).unwrap_or_default()
    }

    pub(crate) fn post(&self, resource: &str, object: &Value) {
        // A definition that was just made takes a moment to be served.
        self.eventually(resource, || {
            let posted = self
                .node
                .plane()
                .api()
                .post(&format!("{GROUP}/{resource}"), object);
            posted.map_err(|error| error.to_string())
        });
    }

    fn get(&self, path: &str) -> Value {
        self.node.plane().api().get(path).unwrap_or_default()
    }

    fn kubectl(&self, words: &[&str]) -> Result<String, String> {
        let output = self.node.plane().kubectl(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        output
            .status
            .success()
            .then(|| text(&output.stdout))
            .ok_or_else(|| text(&output.stderr))
    }

    fn expect_condition(&self, path: &str, kind: &str) {
        self.eventually(&format!("{path}: {kind}"), || {
            let status = self.get(&format!("{GROUP}/{path}"))["status"].clone();
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
                    panic!(
                        "{what}: after {LIMIT:?} still {seen:#?}\n{}",
                        self.operator_log()
                    )
                }
                Err(_) => thread::sleep(Duration::from_millis(500)),
            }
        }
    }
}
