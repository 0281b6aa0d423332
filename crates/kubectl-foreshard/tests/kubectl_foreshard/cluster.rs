//! A namespace on the shared control plane, and an operator for it where a test asks for one.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use foreshard_operator::module_store::KubeModules;
use foreshard_operator::{Config, Operator, Parts};
use foreshard_policy::{Compiler, Host, HostConfig};
use foreshard_server::{ActivationBy, Everybody, Hosted, Hub, Limits, MemoryStore, Ports};
use foreshard_testbed::{ControlPlane, Namespace, Prometheus, or_left_out};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::run::{Ended, command, ended};

pub(crate) const GROUP: &str = "apis/foreshard.dev/v1alpha1";
pub(crate) const DIGEST: &str =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `look` finds what it looks for; panics with what it saw last after [`LIMIT`].
#[track_caller]
pub(crate) fn eventually<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > LIMIT => {
                panic!("{what}: after {LIMIT:?} still {seen:#?}")
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// One test's namespace.
pub(crate) struct Cluster {
    pub(crate) plane: &'static ControlPlane,
    namespace: Namespace<'static>,
    operator: Option<(Runtime, CancellationToken, JoinHandle<()>)>,
}

impl Cluster {
    /// None: there are no real parts here.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let plane = or_left_out("control plane", ControlPlane::shared())?;
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED.get_or_init(|| install(plane));
        Some(Self {
            plane,
            namespace: plane.namespace(name).unwrap(),
            operator: None,
        })
    }

    /// With an operator that looks at this namespace only, has it for its own, and a source `main` without data.
    pub(crate) fn operated(name: &str) -> Option<Self> {
        static PROMETHEUS: OnceLock<Result<Prometheus, foreshard_testbed::Error>> = OnceLock::new();
        let mut cluster = Self::new(name)?;
        let shared = PROMETHEUS.get_or_init(|| Prometheus::with_history(&[]));
        let prometheus = or_left_out("prometheus", shared.as_ref())?;
        cluster.source("main", prometheus.url());
        cluster.operate();
        Some(cluster)
    }

    fn operate(&mut self) {
        let config = Config {
            namespace: self.name().to_owned(),
            identity: "operator".to_owned(),
            watch_namespace: Some(self.name().to_owned()),
            leader_election: false,
            sources: Vec::new(),
            poll_every: Duration::from_secs(1),
            evaluations_max: 2,
            shrinking_max: 10,
            state_directory: None,
            external_metrics: None,
        };
        let runtime = Runtime::new().unwrap();
        let read = Kubeconfig::read_from(self.plane.kubeconfig()).unwrap();
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(read, &options).await;
            kube::Client::try_from(config.unwrap()).unwrap()
        });
        let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
        let host = Arc::new(host);
        let builtin = foreshard_builtin::names()
            .map(|name| (name, foreshard_builtin::component(name).unwrap()));
        let ports = Ports {
            access: Arc::new(Everybody),
            policies: Arc::new(Hosted(Arc::clone(&host))),
            modules: MemoryStore::new([], Limits::DEFAULT),
            activation: ActivationBy::Patch,
            orders: None,
            backtests: None,
            host_names: Vec::new(),
        };
        let parts = Parts {
            store: Arc::new(KubeModules::new(client.clone(), None, Vec::new())),
            client,
            builtin: builtin.collect(),
            hub: Hub::new(ports, [], Limits::DEFAULT),
            host,
        };
        let inside = runtime.enter();
        let operator = Operator::new(&config, parts).unwrap();
        let stop = CancellationToken::new();
        let task = runtime.spawn(operator.run(stop.clone()));
        drop(inside);
        self.operator = Some((runtime, stop, task));
    }

    pub(crate) fn name(&self) -> &str {
        self.namespace.name()
    }

    /// The plugin in this namespace, to be run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_kubectl-foreshard");
        let mut command = command(program, self.plane.kubeconfig());
        command.args(args).args(["-n", self.name()]);
        command
    }

    /// Runs the plugin in this namespace, as the administrator.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(&mut self.command(args))
    }

    /// Runs the plugin as somebody.
    pub(crate) fn run_as(&self, user: &str, args: &[&str]) -> Ended {
        ended(self.command(args).args(["--as", user]))
    }

    /// Gives a user of this namespace a role; answers the user's name.
    pub(crate) fn user(&self, name: &str, cluster_role: &str) -> String {
        let user = format!("{name}@{}", self.name());
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": format!("{name}-{cluster_role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        self.create(&RBAC[1..], "rolebindings", &binding);
        user
    }

    pub(crate) fn create(&self, group: &str, resource: &str, object: &Value) -> Value {
        let path = self.namespace.path(group, resource);
        self.plane.api().post(&path, object).unwrap()
    }

    pub(crate) fn get(&self, group: &str, resource: &str, name: &str) -> Value {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().get(&path).unwrap()
    }

    pub(crate) fn list(&self, resource: &str) -> Vec<Value> {
        let path = self.namespace.path(GROUP, resource);
        let all = self.plane.api().get(&path).unwrap();
        all["items"].as_array().unwrap().clone()
    }

    pub(crate) fn patch(&self, resource: &str, name: &str, patch: &Value) -> Value {
        let path = format!("{}/{name}", self.namespace.path(GROUP, resource));
        self.plane.api().patch(&path, patch).unwrap()
    }

    pub(crate) fn source(&self, name: &str, url: &str) {
        let source = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PrometheusSource",
            "metadata": {"name": name}, "spec": {"url": url}
        });
        self.create(GROUP, "prometheussources", &source);
    }

    /// A policy on the Deployment of its name: `promql` over 100 a replica, between 1 and 20.
    pub(crate) fn policy(&self, name: &str, promql: &str, mode: &str) {
        let policy = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "signals": [{"name": "load", "query": promql, "sourceRef": {"name": "main"}, "targetAverageValue": "100"}],
                "actions": [{"type": "Replicas", "mode": mode, "min": 1, "max": 20}],
                "evaluationIntervalSeconds": 15
            }
        });
        self.create(GROUP, "scalingpolicies", &policy);
    }

    /// A Deployment; there are no nodes, so none of its pods is ever ready.
    pub(crate) fn deployment(&self, name: &str, replicas: u32) {
        let labels = json!({"app": name});
        let resources = json!({"requests": {"cpu": "500m", "memory": "1Gi"}});
        let container = json!({"name": "c", "image": "x", "resources": resources});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
            }
        });
        self.create("apis/apps/v1", "deployments", &deployment);
    }

    /// A recommendation from 2 to `to` replicas, as an operator would have made it.
    pub(crate) fn recommendation(&self, name: &str, issued: &str, expiry: &str, to: u32) {
        let object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation",
            "metadata": {"name": name, "labels": {"foreshard.dev/policy": "web"}},
            "spec": {
                "policyName": "web",
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "mode": "Approve", "issuedTime": issued, "expiryTime": expiry,
                "plan": [{"type": "Replicas", "from": 2, "to": to, "reason": "a peak comes"}],
                "digest": DIGEST,
                "explanation": {"summary": "a peak comes"},
                "counterfactual": {"replicas": 2, "summary": "it would stay"},
            }
        });
        self.create(GROUP, "scalingrecommendations", &object);
    }

    /// Waits for the condition `Actuated` of a policy: its reason. Answers its message.
    #[track_caller]
    pub(crate) fn expect(&self, policy: &str, reason: &str) -> String {
        eventually(&format!("{policy} is {reason}"), || {
            let status = self.get(GROUP, "scalingpolicies", policy)["status"].clone();
            let all = status["conditions"].as_array().cloned().unwrap_or_default();
            let found = all
                .iter()
                .find(|it| it["type"] == "Actuated" && it["reason"] == reason);
            let message = found.and_then(|it| it["message"].as_str().map(str::to_owned));
            message.ok_or(status)
        })
    }

    pub(crate) fn replicas(&self, deployment: &str) -> u64 {
        let seen = self.get("apis/apps/v1", "deployments", deployment);
        seen["spec"]["replicas"].as_u64().unwrap()
    }

    /// Waits for the count of a Deployment.
    #[track_caller]
    pub(crate) fn expect_replicas(&self, deployment: &str, count: u64) {
        eventually(&format!("{deployment} has {count} replicas"), || {
            let seen = self.replicas(deployment);
            let status = || self.get(GROUP, "scalingpolicies", deployment)["status"].clone();
            (seen == count)
                .then_some(())
                .ok_or_else(|| (seen, status()))
        });
    }

    /// The name of the first recommendation.
    #[track_caller]
    pub(crate) fn recommended(&self) -> String {
        eventually("a recommendation", || {
            let all = self.list("scalingrecommendations");
            let name = all
                .first()
                .and_then(|it| it["metadata"]["name"].as_str().map(str::to_owned));
            name.ok_or(all)
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some((runtime, stop, task)) = self.operator.take() {
            stop.cancel();
            // One that broke has failed its test already.
            let _ = runtime.block_on(task);
        }
    }
}

/// Documents of a file in deploy/.
fn deployed(file: &str) -> Vec<Value> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../deploy", file]
        .iter()
        .collect();
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// Our definitions, roles and admission policy, until they hold.
fn install(plane: &'static ControlPlane) {
    let api = plane.api();
    for definition in foreshard_api::crds() {
        let plural = definition.spec.names.plural.clone();
        api.post(DEFINITIONS, &serde_json::to_value(definition).unwrap())
            .unwrap();
        eventually(&plural, || api.get(&format!("/{GROUP}/{plural}")));
    }
    for role in deployed("kustomize/base/cluster-role-people.yaml") {
        api.post(&format!("{RBAC}/clusterroles"), &role).unwrap();
    }
    let mut kinds = BTreeSet::new();
    for object in deployed("kustomize/base/approval-policy.yaml") {
        let kind = object["kind"].as_str().unwrap().to_owned();
        let resource = match kind.as_str() {
            "ValidatingAdmissionPolicy" => "validatingadmissionpolicies",
            "ValidatingAdmissionPolicyBinding" => "validatingadmissionpolicybindings",
            other => panic!("{other}"),
        };
        api.post(&format!("{ADMISSION}/{resource}"), &object)
            .unwrap();
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 2);
    admission_holds(plane);
}

/// The API server takes a moment to notice a policy: until it refuses an approval in another one's name.
fn admission_holds(plane: &'static ControlPlane) {
    let namespace = plane.namespace("admission").unwrap();
    let cluster = Cluster {
        plane,
        namespace,
        operator: None,
    };
    cluster.recommendation("web-1", "2026-01-01T00:00:00Z", "2100-01-01T00:00:00Z", 5);
    let path = cluster.namespace.path(GROUP, "scalingrecommendations");
    eventually("approvals are guarded", || {
        let approval =
            json!({"digest": DIGEST, "user": "nobody", "expiryTime": "2100-01-01T00:00:00Z"});
        let patch = json!({"spec": {"approval": approval}});
        match plane
            .api()
            .patch(&format!("{path}/web-1?dryRun=All"), &patch)
        {
            Err(error) => Ok(error),
            Ok(taken) => Err(taken),
        }
    });
}
