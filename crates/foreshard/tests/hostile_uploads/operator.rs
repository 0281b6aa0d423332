//! The operator as a process, and callers of its HTTP API.

use std::fmt::Debug;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use foreshard_testbed::{Bed, ControlPlane, Namespace, PartSpec, Prometheus, or_left_out};
use serde_json::{Value, json};

const GROUP: &str = "apis/foreshard.dev/v1alpha1";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RBAC: &str = "rbac.authorization.k8s.io";
const PART: &str = "operator";

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// An operator that looks at one namespace, and a caller who may do everything with its modules.
pub(crate) struct Operator {
    plane: &'static ControlPlane,
    namespace: Namespace<'static>,
    caller: Caller,
    bed: Bed,
    _prometheus: Prometheus,
}

/// Who asks the HTTP API.
#[derive(Clone)]
pub(crate) struct Caller {
    address: SocketAddr,
    namespace: String,
    token: String,
}

impl Operator {
    /// None where the parts are not built.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let plane = or_left_out("control plane", ControlPlane::shared())?;
        let prometheus = or_left_out("prometheus", Prometheus::with_history(&[]))?;
        define(plane);
        let namespace = plane.namespace(name).unwrap();
        let mut bed = Bed::unique("operator").unwrap();
        let [api, health] = ["api", "health"].map(|what| bed.port(what).unwrap());
        let at = |port| format!("127.0.0.1:{port}");
        let folder = bed.folder().display().to_string();
        std::fs::create_dir(bed.folder().join("modules")).unwrap();
        let kubeconfig = plane.kubeconfig().display().to_string();
        let (listen, health) = (at(api), at(health));
        let spec = PartSpec::new(PART, env!("CARGO_BIN_EXE_foreshard"))
            .args(["operator", "--no-leader-election", "--poll-every", "1s"])
            .args(["--kubeconfig", &kubeconfig, "--namespace", namespace.name()])
            .args(["--watch-namespace", namespace.name()])
            .args(["--listen", &listen, "--health-listen", &health])
            .args(["--module-store", &format!("file://{folder}/modules")])
            // Compiled policies are kept there.
            .env("XDG_CACHE_HOME", folder);
        bed.spawn(spec).unwrap();
        let this = Self {
            caller: Caller {
                address: listen.parse().unwrap(),
                namespace: namespace.name().to_owned(),
                token: token(plane, &namespace),
            },
            plane,
            namespace,
            bed,
            _prometheus: prometheus,
        };
        let source = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PrometheusSource", "metadata": {"name": "main"},
            "spec": {"url": this._prometheus.url()}
        });
        this.create(GROUP, "prometheussources", &source);
        eventually("it serves", || {
            let asked = this.caller.try_ask("GET", "/targets", b"");
            asked.map(drop).map_err(|error| error.to_string())
        });
        Some(this)
    }

    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// The number of its process: another one would be another process.
    pub(crate) fn process(&self) -> impl PartialEq + Debug + use<> {
        let process = self.bed.process(PART).unwrap();
        format!("{process:?}")
    }

    pub(crate) fn create(&self, group: &str, resource: &str, object: &Value) {
        let path = self.namespace.path(group, resource);
        self.plane.api().post(&path, object).unwrap();
    }

    fn get(&self, group: &str, resource: &str, name: &str) -> Value {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().get(&path).unwrap()
    }

    /// A module as somebody makes it who does not use the HTTP API.
    pub(crate) fn apply_module(&self, name: &str, component: &[u8]) {
        let encoded = k8s_openapi::ByteString(component.to_vec());
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "binaryData": {"component.wasm": encoded}
        });
        self.create("api/v1", "configmaps", &map);
        let module = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PolicyModule", "metadata": {"name": name},
            "spec": {
                "digest": foreshard_api::sha256(component), "sizeBytes": component.len(),
                "source": {"uploaded": {"configMapName": name}}
            }
        });
        self.create(GROUP, "policymodules", &module);
    }

    /// Waits for the condition `Accepted` within the limit; its message.
    pub(crate) fn expect_module(
        &self,
        name: &str,
        status: &str,
        reason: &str,
        limit: Duration,
    ) -> String {
        within(limit, &format!("{name} is {reason}"), || {
            let object = self.get(GROUP, "policymodules", name);
            let conditions = object["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let accepted = conditions.find(|it| {
                it["type"] == "Accepted" && it["status"] == status && it["reason"] == reason
            });
            let message = accepted.map(|it| it["message"].as_str().unwrap().to_owned());
            message.ok_or(object)
        })
    }

    /// A Deployment of three replicas and a policy on it that follows `promql`, 100 a replica.
    pub(crate) fn follow(&self, name: &str, promql: &str) {
        let labels = json!({"app": name});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "x"}]}
                }
            }
        });
        self.create("apis/apps/v1", "deployments", &deployment);
        let policy = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "signals": [{
                    "name": "demand", "query": promql, "sourceRef": {"name": "main"}, "targetAverageValue": "100"
                }],
                "actions": [{"type": "Replicas", "mode": "Auto", "min": 1, "max": 20}],
                "evaluationIntervalSeconds": 15
            }
        });
        self.create(GROUP, "scalingpolicies", &policy);
    }

    /// Waits for the count of a Deployment.
    pub(crate) fn expect_replicas(&self, name: &str, count: u64) {
        eventually(&format!("{name} has {count} replicas"), || {
            let object = self.get("apis/apps/v1", "deployments", name);
            let seen = object["spec"]["replicas"].as_u64();
            (seen == Some(count)).then_some(()).ok_or(seen)
        });
    }
}

impl Caller {
    /// Asks in the namespace; the status and the document.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        self.try_ask(method, path, body).unwrap()
    }

    fn try_ask(&self, method: &str, path: &str, body: &[u8]) -> std::io::Result<(u16, Value)> {
        let mut socket = TcpStream::connect(self.address)?;
        let head = format!(
            "{method} /api/v1/namespaces/{}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {}\r\nContent-Type: application/wasm\r\nContent-Length: {}\r\n\r\n",
            self.namespace,
            self.address,
            self.token,
            body.len()
        );
        socket.write_all(head.as_bytes())?;
        // It may be refused before all of it has arrived.
        let sent = socket.write_all(body);
        let mut answer = Vec::new();
        let received = socket.read_to_end(&mut answer);
        let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else {
            sent.and(received)?;
            return Err(std::io::Error::other("no answer"));
        };
        let status = answer[9..12]
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        let document = serde_json::from_slice(&answer[end + 4..]).unwrap_or(Value::Null);
        Ok((status, document))
    }
}

/// Waits until `look` finds what it looks for; panics with what it saw last after [`LIMIT`].
pub(crate) fn eventually<T, S: Debug>(what: &str, look: impl FnMut() -> Result<T, S>) -> T {
    within(LIMIT, what, look)
}

fn within<T, S: Debug>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(
                begun.elapsed() < limit,
                "{what}: after {limit:?} still {seen:#?}"
            ),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Our definitions, and until they are served; once in a process.
fn define(plane: &ControlPlane) {
    static DEFINED: std::sync::Once = std::sync::Once::new();
    DEFINED.call_once(|| {
        for definition in foreshard_api::crds() {
            let plural = definition.spec.names.plural.clone();
            let definition = serde_json::to_value(definition).unwrap();
            plane.api().post(DEFINITIONS, &definition).unwrap();
            eventually(&plural, || plane.api().get(&format!("/{GROUP}/{plural}")));
        }
    });
}

/// A token of a service account that may read everything of ours and change modules.
fn token(plane: &ControlPlane, namespace: &Namespace<'_>) -> String {
    let api = plane.api();
    let metadata = json!({"name": "ci"});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    let accounts = namespace.path("api/v1", "serviceaccounts");
    api.post(&accounts, &account).unwrap();
    let group = format!("apis/{RBAC}/v1");
    let role = json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": metadata,
        "rules": [{"apiGroups": ["foreshard.dev"], "resources": ["*"], "verbs": ["*"]}]
    });
    api.post(&namespace.path(&group, "roles"), &role).unwrap();
    let binding = json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "ci"},
        "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": namespace.name()}]
    });
    api.post(&namespace.path(&group, "rolebindings"), &binding)
        .unwrap();
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": ["foreshard"], "expirationSeconds": 3600}
    });
    let made = api.post(&format!("{accounts}/ci/token"), &request).unwrap();
    made["status"]["token"].as_str().unwrap().to_owned()
}
