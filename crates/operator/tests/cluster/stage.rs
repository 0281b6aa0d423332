//! An operator on a control plane, in a namespace of its own.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use foreshard_operator::module_store::KubeModules;
use foreshard_operator::{Config, Metrics, Operator, Parts};
use foreshard_policy::{Compiler, Host, HostConfig};
use foreshard_server::{ActivationBy, Everybody, Hosted, Hub, Limits, MemoryStore, Ports};
use foreshard_testbed::{ControlPlane, Namespace, Prometheus, or_left_out};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::kubelet::Kubelet;

pub(crate) const GROUP: &str = "apis/foreshard.dev/v1alpha1";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Longest wait for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The control plane with our definitions.
pub(crate) fn plane() -> Option<&'static ControlPlane> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let plane = or_left_out("control plane", ControlPlane::shared())?;
    INSTALLED.get_or_init(|| {
        for definition in foreshard_api::crds() {
            let name = definition.metadata.name.clone().unwrap();
            let definition = serde_json::to_value(definition).unwrap();
            plane.api().post(DEFINITIONS, &definition).unwrap();
            eventually(&name, || {
                let known = plane.api().get(&format!("{DEFINITIONS}/{name}")).unwrap();
                let established = condition(&known, "Established").map(|it| it["status"].clone());
                (established == Some(json!("True")))
                    .then_some(())
                    .ok_or(known)
            });
        }
    });
    Some(plane)
}

/// A Prometheus without any data, for expressions that need none.
pub(crate) fn prometheus() -> Option<&'static Prometheus> {
    static SHARED: OnceLock<Result<Prometheus, foreshard_testbed::Error>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Prometheus::with_history(&[]));
    or_left_out("prometheus", shared.as_ref())
}

/// Waits until `look` finds what it looks for; panics with what it saw last after [`LIMIT`].
pub(crate) fn eventually<T, S: std::fmt::Debug>(
    what: &str,
    look: impl FnMut() -> Result<T, S>,
) -> T {
    within(LIMIT, what, look)
}

/// A moment, in Unix seconds, when an operator that is started now and its policies have long been ready.
pub(crate) fn soon() -> i64 {
    jiff::Timestamp::now().as_second() + 20
}

/// The same with a limit of its own.
pub(crate) fn within<T, S: std::fmt::Debug>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, S>,
) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > limit => {
                panic!("{what}: after {limit:?} still {seen:#?}")
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The condition of a type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|it| it["type"] == kind)
}

/// A namespace with an operator that looks at nothing else.
pub(crate) struct Stage {
    pub(crate) plane: &'static ControlPlane,
    prometheus: &'static Prometheus,
    namespace: Namespace<'static>,
    /// Each with a runtime of its own, as if it were a process.
    operators: Vec<(Runtime, CancellationToken, JoinHandle<()>)>,
    pub(crate) metrics: Option<Metrics>,
    /// On the way of the operator that is started next.
    faults: Option<Faults>,
}

impl Stage {
    /// Without an operator as yet; none where the parts are not built.
    pub(crate) fn empty(name: &str) -> Option<Self> {
        let (plane, prometheus) = (plane()?, prometheus()?);
        Some(Self {
            plane,
            prometheus,
            namespace: plane.namespace(name).unwrap(),
            operators: Vec::new(),
            metrics: None,
            faults: None,
        })
    }

    /// With an operator that writes without a lease, and a source `main`.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let mut stage = Self::empty(name)?;
        stage.source("main", stage.prometheus.url());
        stage.operate(false);
        Some(stage)
    }

    /// Starts one more operator.
    pub(crate) fn operate(&mut self, leader_election: bool) {
        self.operate_with(leader_election, |_| {}, |_, _, _| {});
    }

    /// The same, on a way to the API server that can be broken.
    pub(crate) fn operate_through(&mut self, leader_election: bool, faults: &Faults) {
        self.faults = Some(faults.clone());
        self.operate(leader_election);
        self.faults = None;
    }

    /// The same with a change of its settings; `made` is called inside of its runtime before it runs.
    pub(crate) fn operate_with(
        &mut self,
        leader_election: bool,
        change: impl FnOnce(&mut Config),
        made: impl FnOnce(&Operator, &kube::Client, &CancellationToken),
    ) {
        let mut config = Config {
            namespace: self.name().to_owned(),
            identity: format!("operator-{}", self.operators.len()),
            watch_namespace: Some(self.name().to_owned()),
            leader_election,
            sources: Vec::new(),
            poll_every: Duration::from_secs(1),
            evaluations_max: 2,
            shrinking_max: 10,
            state_directory: None,
            external_metrics: None,
        };
        change(&mut config);
        let kubeconfig = Kubeconfig::read_from(self.plane.kubeconfig()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .unwrap();
            let client = kube::Client::try_from(config).unwrap();
            match &self.faults {
                Some(faults) => faults.client(client),
                None => client,
            }
        });
        let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
        let host = Arc::new(host);
        let builtin = foreshard_builtin::names()
            .map(|name| (name, foreshard_builtin::component(name).unwrap()));
        let parts = Parts {
            store: Arc::new(KubeModules::new(client.clone(), None, Vec::new())),
            client: client.clone(),
            builtin: builtin.collect(),
            hub: hub(&host),
            host,
        };
        let inside = runtime.enter();
        let operator = Operator::new(&config, parts).unwrap();
        self.metrics = Some(operator.metrics());
        let stop = CancellationToken::new();
        made(&operator, &client, &stop);
        let task = runtime.spawn(operator.run(stop.clone()));
        drop(inside);
        self.operators.push((runtime, stop, task));
    }

    /// Ends an operator as if its process was killed: nothing is released.
    pub(crate) fn kill(&mut self, operator: usize) {
        self.operators.remove(operator).0.shutdown_background();
    }

    /// Ends an operator as it ends by itself when it is told to.
    pub(crate) fn stop(&mut self, operator: usize) {
        let (runtime, stop, task) = self.operators.remove(operator);
        stop.cancel();
        runtime.block_on(task).unwrap();
    }

    pub(crate) fn name(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn source(&self, name: &str, url: &str) {
        let source = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PrometheusSource",
            "metadata": {"name": name}, "spec": {"url": url}
        });
        self.create(GROUP, "prometheussources", &source);
    }

    /// Has pods be ready from now on.
    pub(crate) fn kubelet(&self) -> Kubelet {
        let pods = self.namespace.path("api/v1", "pods");
        Kubelet::new(self.plane.api().clone(), pods)
    }

    /// A Deployment of so many replicas; there are no nodes, so without a [`Kubelet`] none is ever ready.
    pub(crate) fn deployment(&self, name: &str, replicas: u32) {
        let labels = json!({"app": name});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
            }
        });
        self.create("apis/apps/v1", "deployments", &deployment);
    }

    /// A policy on a Deployment of its own name: `promql` over 100 a replica, between 1 and 20.
    pub(crate) fn policy(&self, name: &str, promql: &str, mode: &str) {
        self.create(GROUP, "scalingpolicies", &policy(name, promql, mode));
    }

    pub(crate) fn create(&self, group: &str, resource: &str, object: &Value) -> Value {
        self.try_create(group, resource, object).unwrap()
    }

    pub(crate) fn try_create(
        &self,
        group: &str,
        resource: &str,
        object: &Value,
    ) -> Result<Value, String> {
        let path = self.namespace.path(group, resource);
        self.plane
            .api()
            .post(&path, object)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn get(&self, group: &str, resource: &str, name: &str) -> Value {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().get(&path).unwrap()
    }

    pub(crate) fn list(&self, group: &str, resource: &str) -> Vec<Value> {
        let all = self
            .plane
            .api()
            .get(&self.namespace.path(group, resource))
            .unwrap();
        all["items"].as_array().unwrap().clone()
    }

    pub(crate) fn patch(
        &self,
        group: &str,
        resource: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, String> {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane
            .api()
            .patch(&path, patch)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn delete(&self, group: &str, resource: &str, name: &str) {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().delete(&path).unwrap();
    }

    pub(crate) fn replicas(&self, deployment: &str) -> u64 {
        self.get("apis/apps/v1", "deployments", deployment)["spec"]["replicas"]
            .as_u64()
            .unwrap()
    }

    /// Waits for the count of a Deployment.
    pub(crate) fn expect_replicas(&self, deployment: &str, count: u64) {
        eventually(&format!("{deployment} has {count} replicas"), || {
            let seen = self.replicas(deployment);
            (seen == count).then_some(()).ok_or_else(|| {
                (
                    seen,
                    self.get(GROUP, "scalingpolicies", deployment)["status"].clone(),
                )
            })
        });
    }

    /// Waits for a policy's condition: `True`, `False` or `Unknown`, and its reason. Answers its message.
    pub(crate) fn expect(&self, policy: &str, kind: &str, status: &str, reason: &str) -> String {
        eventually(&format!("{policy}: {kind} is {status} by {reason}"), || {
            let object = self.get(GROUP, "scalingpolicies", policy);
            match condition(&object, kind) {
                Some(it) if it["status"] == status && it["reason"] == reason => {
                    Ok(it["message"].as_str().unwrap().to_owned())
                }
                _ => Err(object["status"].clone()),
            }
        })
    }

    /// Evaluations that were made so far.
    pub(crate) fn evaluations(&self) -> u64 {
        let text = self.metrics.as_ref().unwrap().text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("foreshard_evaluation_seconds_count "));
        line.unwrap().parse().unwrap()
    }

    /// Waits for so many more evaluations.
    pub(crate) fn evaluated(&self, more: u64) {
        let wanted = self.evaluations() + more;
        eventually("more evaluations", || {
            let seen = self.evaluations();
            (seen >= wanted).then_some(()).ok_or(seen)
        });
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (runtime, stop, task) in self.operators.drain(..) {
            stop.cancel();
            // One that broke has failed its test already.
            let _ = runtime.block_on(task);
        }
    }
}

/// See [`Stage::policy`].
pub(crate) fn policy(name: &str, promql: &str, mode: &str) -> Value {
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "signals": [{
                "name": "demand", "query": promql, "sourceRef": {"name": "main"}, "targetAverageValue": "100"
            }],
            "actions": [{"type": "Replicas", "mode": mode, "min": 1, "max": 20}],
            "evaluationIntervalSeconds": 15
        }
    })
}

fn hub(host: &Arc<Host>) -> Arc<Hub> {
    let ports = Ports {
        access: Arc::new(Everybody),
        policies: Arc::new(Hosted(Arc::clone(host))),
        modules: MemoryStore::new([], Limits::DEFAULT),
        activation: ActivationBy::Patch,
        orders: None,
        backtests: None,
        host_names: Vec::new(),
    };
    Hub::new(ports, [], Limits::DEFAULT)
}
