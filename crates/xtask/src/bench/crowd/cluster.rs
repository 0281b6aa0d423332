//! A control plane with many Deployments, and two replicas of the operator.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use foreshard_testbed::{Api, ControlPlane, PartSpec};
use serde_json::{Value, json};

use super::Usage;
use super::process::sum;

/// Where everything is.
pub(super) const NAMESPACE: &str = "bench";
const OWN: &str = "foreshard-system";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// At once; the API server's limits for one client are above it.
const WRITERS: usize = 8;
/// A thousand objects are megabytes: who asks without a pause measures the asking.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// For one object.
const ATTEMPTS: usize = 5;

/// One replica of the operator.
struct Replica {
    pid: u32,
    health: Api,
    server: String,
}

/// The bed and what runs in it.
pub(super) struct Cluster {
    plane: ControlPlane,
    replicas: BTreeMap<String, Replica>,
}

fn path(group: &str, kind: &str, name: impl std::fmt::Display) -> String {
    format!("/{group}/namespaces/{NAMESPACE}/{kind}/{name}")
}

fn ours(kind: &str, name: impl std::fmt::Display) -> String {
    path("apis/foreshard.dev/v1alpha1", kind, name)
}

impl Cluster {
    /// Starts it and waits until every pod runs.
    pub(super) fn start(deployments: usize) -> anyhow::Result<Self> {
        let plane = ControlPlane::start_with_fake_nodes()?;
        let api = plane.api();
        for node in 1..=3 {
            let room = json!({"cpu": "1000", "memory": "4Ti", "pods": "10000"});
            let status = json!({"status": {"allocatable": room, "capacity": room}});
            api.patch(&format!("/api/v1/nodes/kwok-{node}/status"), &status)?;
        }
        for name in [NAMESPACE, OWN] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            api.post("/api/v1/namespaces", &namespace)?;
        }
        for definition in foreshard_api::crds() {
            api.post(DEFINITIONS, &serde_json::to_value(definition)?)?;
        }
        let this = Self {
            plane,
            replicas: BTreeMap::new(),
        };
        this.create_all(
            "/apis/apps/v1/namespaces/bench/deployments",
            deployments,
            deployment,
        )?;
        super::wait("all pods running", || this.running(deployments))?;
        Ok(this)
    }

    /// Starts a replica of the operator for each name.
    pub(super) fn operate(&mut self, foreshard: &Path, names: &[&str]) -> anyhow::Result<()> {
        let kubeconfig = self.plane.kubeconfig().display().to_string();
        let bed = self
            .plane
            .bed_mut()
            .context("the control plane is no bed")?;
        for name in names {
            let health = format!("127.0.0.1:{}", bed.port(&format!("{name}-health"))?);
            let listen = format!("127.0.0.1:{}", bed.port(name)?);
            let state = bed.subfolder(&format!("{name}-state"), None)?;
            let spec = PartSpec::new(*name, foreshard).arg("operator").args([
                format!("--kubeconfig={kubeconfig}"),
                format!("--identity={name}"),
                format!("--state-directory={}", state.display()),
                format!("--health-listen={health}"),
                format!("--listen={listen}"),
            ]);
            bed.spawn(spec)?;
            let replica = Replica {
                pid: bed.process(name)?.pid,
                health: Api::plain(format!("http://{health}")),
                server: format!("http://{listen}"),
            };
            self.replicas.insert((*name).to_owned(), replica);
        }
        super::wait("a leader", || {
            Ok(self.leader().map(drop).map_err(|error| error.to_string()))
        })
    }

    /// Creates the source of all policies.
    pub(super) fn create_source(&self, url: &str) -> anyhow::Result<()> {
        let source = json!({
            "apiVersion": "foreshard.dev/v1alpha1",
            "kind": "PrometheusSource",
            "metadata": {"name": "main"},
            "spec": {"url": url},
        });
        self.plane
            .api()
            .post(&ours("prometheussources", ""), &source)?;
        Ok(())
    }

    /// Creates so many policies.
    pub(super) fn create_policies(
        &self,
        count: usize,
        policy: fn(usize) -> Value,
    ) -> anyhow::Result<()> {
        self.create_all(&ours("scalingpolicies", ""), count, policy)
    }

    fn create_all(
        &self,
        path: &str,
        count: usize,
        object: fn(usize) -> Value,
    ) -> anyhow::Result<()> {
        let path = path.trim_end_matches('/');
        thread::scope(|scope| {
            let write = |first: usize| {
                let mut mine = (first..count).step_by(WRITERS);
                mine.try_for_each(|number| self.create(path, &object(number)))
            };
            let writers: Vec<_> = (0..WRITERS)
                .map(|first| scope.spawn(move || write(first)))
                .collect();
            writers.into_iter().try_for_each(|writer| {
                let written = writer
                    .join()
                    .map_err(|_| anyhow::anyhow!("a writer panicked"))?;
                written.context("failed to create an object")
            })
        })
    }

    /// Once more where a busy API server gave no answer in time.
    fn create(&self, path: &str, object: &Value) -> anyhow::Result<()> {
        for attempt in 1.. {
            match self.plane.api().post(path, object) {
                Ok(_) => break,
                Err(error) if error.status() == Some(409) && attempt > 1 => break,
                Err(error) if error.status().is_some() || attempt == ATTEMPTS => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn running(&self, deployments: usize) -> anyhow::Result<Result<(), String>> {
        thread::sleep(LIST_EVERY);
        let all = self
            .plane
            .api()
            .get("/apis/apps/v1/namespaces/bench/deployments")?;
        let items = all["items"].as_array().map_or(&[][..], Vec::as_slice);
        let ready = items
            .iter()
            .filter(|it| it["status"]["readyReplicas"] == it["spec"]["replicas"]);
        let ready = ready.count();
        Ok((ready == deployments)
            .then_some(())
            .ok_or(format!("{ready} are")))
    }

    /// How many policies are Ready.
    pub(super) fn ready(&self) -> anyhow::Result<usize> {
        thread::sleep(LIST_EVERY);
        let all = self
            .plane
            .api()
            .get(ours("scalingpolicies", "").trim_end_matches('/'))?;
        let items = all["items"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(items.iter().filter(|it| is_true(it, "Ready")).count())
    }

    /// Whether both replicas have read the histories of so many signals.
    pub(super) fn backfilled(&self, signals: usize) -> anyhow::Result<Result<(), String>> {
        self.everywhere("fresh signals", signals, |text| {
            sum(text, "foreshard_signals", |labels| {
                labels.contains("\"fresh\"")
            })
        })
    }

    /// Whether both replicas have a forecast for so many policies whose skill they know.
    pub(super) fn fitted(&self, policies: usize) -> anyhow::Result<Result<(), String>> {
        self.everywhere("skills", policies, |text| {
            text.lines()
                .filter(|line| line.starts_with("foreshard_forecast_skill{"))
                .count() as f64
        })
    }

    fn everywhere(
        &self,
        what: &str,
        wanted: usize,
        count: impl Fn(&str) -> f64,
    ) -> anyhow::Result<Result<(), String>> {
        let mut fewest = f64::INFINITY;
        for replica in self.replicas.values() {
            fewest = fewest.min(count(&replica.health.text("/metrics")?));
        }
        Ok((fewest >= wanted as f64)
            .then_some(())
            .ok_or(format!("{fewest} {what}")))
    }

    /// Who holds the lease.
    pub(super) fn leader(&self) -> anyhow::Result<String> {
        let leader = self.lease()?["spec"]["holderIdentity"]
            .as_str()
            .map(str::to_owned);
        leader.context("nobody holds the lease")
    }

    fn lease(&self) -> anyhow::Result<Value> {
        let path =
            format!("/apis/coordination.k8s.io/v1/namespaces/{OWN}/leases/foreshard-scaling");
        Ok(self.plane.api().get(&path)?)
    }

    /// How often the lease was written in this time.
    pub(super) fn lease_writes(&self, during: Duration) -> anyhow::Result<usize> {
        let begun = Instant::now();
        let (mut last, mut count) = (self.lease()?["metadata"]["resourceVersion"].clone(), 0);
        while begun.elapsed() < during {
            thread::sleep(Duration::from_millis(250));
            let now = self.lease()?["metadata"]["resourceVersion"].clone();
            count += usize::from(now != last);
            last = now;
        }
        Ok(count)
    }

    /// Writes so far that only we make: to our kinds, events, `/scale`.
    pub(super) fn writes(&self) -> anyhow::Result<f64> {
        let text = self.plane.api().text("/metrics")?;
        Ok(sum(&text, "apiserver_request_total", |labels| {
            let is = |name: &str, value: &str| labels.contains(&format!("{name}=\"{value}\""));
            let write = ["POST", "PUT", "PATCH", "APPLY", "DELETE"]
                .iter()
                .any(|verb| is("verb", verb));
            write
                && (is("group", "foreshard.dev")
                    || is("resource", "events")
                    || is("subresource", "scale"))
        }))
    }

    /// What each replica of the operator takes.
    pub(super) fn usages(&self) -> anyhow::Result<Vec<(String, Usage)>> {
        let usage =
            |(name, replica): (&String, &Replica)| Ok((name.clone(), Usage::of(replica.pid)?));
        self.replicas.iter().map(usage).collect()
    }

    /// `spec.replicas` of a Deployment.
    pub(super) fn replicas(&self, number: usize) -> anyhow::Result<u64> {
        let scale = format!("a{number}/scale");
        let scale = self
            .plane
            .api()
            .get(&path("apis/apps/v1", "deployments", scale))?;
        scale["spec"]["replicas"]
            .as_u64()
            .context("a Deployment has no replicas")
    }

    /// Address of the leader's HTTP API.
    pub(super) fn server(&self) -> anyhow::Result<String> {
        let leader = self.leader()?;
        let replica = self
            .replicas
            .get(&leader)
            .context("the leader is unknown")?;
        Ok(replica.server.clone())
    }

    /// A token of a service account that may do everything.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        let api = self.plane.api();
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "uploader"}});
        api.post(
            &format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts"),
            &account,
        )?;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "uploader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "uploader", "namespace": NAMESPACE}],
        });
        api.post(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            &binding,
        )?;
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": ["foreshard"]},
        });
        let answer = api.post(
            &path("api/v1", "serviceaccounts", "uploader/token"),
            &request,
        )?;
        let token = answer["status"]["token"].as_str().map(str::to_owned);
        token.context("the API server gave no token")
    }

    /// Whether a module is accepted.
    pub(super) fn accepted(&self, module: &str) -> anyhow::Result<Result<(), String>> {
        let module = self.plane.api().get(&ours("policymodules", module))?;
        Ok(is_true(&module, "Accepted")
            .then_some(())
            .ok_or(module["status"].to_string()))
    }

    /// Kills a replica without a warning.
    pub(super) fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let bed = self
            .plane
            .bed_mut()
            .context("the control plane is no bed")?;
        bed.kill(name)?;
        self.replicas.remove(name);
        Ok(())
    }

    /// Ends everything.
    pub(super) fn down(self) -> anyhow::Result<()> {
        Ok(self.plane.down()?)
    }
}

fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|it| it["type"] == condition && it["status"] == "True")
    })
}

fn deployment(number: usize) -> Value {
    let name = format!("a{number}");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "nodeSelector": {"type": "kwok"},
                    "containers": [{"name": "app", "image": "app"}],
                },
            },
        },
    })
}
