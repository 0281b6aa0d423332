//! A namespace with the controllers and a stand-in for a node.

use std::convert::Infallible;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use foreshard_testbed::{ControlPlane, Namespace, or_left_out, parts};
use foreshard_vitess::cluster::names::ClusterNames;
use foreshard_vitess::cluster::reach::Reach;
use foreshard_vitess::names::{Addresses, MEMBERS_MAX, Names};
use foreshard_vitess::{ClusterOperator, Config};
use http::{HeaderValue, Method, Request, Response};
use kube::Client;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::kubelet::Kubelet;

pub(crate) const GROUP: &str = "apis/foreshard.dev/v1alpha1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
/// As whom the controllers ask: with the rights that are deployed, and no others.
const USER: &str = "system:serviceaccount:foreshard-system:foreshard-cluster";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until `look` finds what it looks for; panics with what it saw last after [`LIMIT`].
#[track_caller]
pub(crate) fn eventually<T, S: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> Result<T, S>,
) -> T {
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

/// The control plane with our definitions.
fn plane() -> Option<&'static ControlPlane> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let plane = or_left_out("control plane", ControlPlane::shared())?;
    INSTALLED.get_or_init(|| {
        for definition in foreshard_api::crds() {
            let name = definition.metadata.name.clone().unwrap();
            let definition = serde_json::to_value(definition).unwrap();
            plane.api().post(DEFINITIONS, &definition).unwrap();
            eventually(&name, || {
                let known = plane.api().get(&format!("{DEFINITIONS}/{name}")).unwrap();
                let conditions = known["status"]["conditions"].as_array().cloned();
                let established = conditions
                    .unwrap_or_default()
                    .iter()
                    .any(|it| it["type"] == "Established" && it["status"] == "True");
                established.then_some(()).ok_or(known)
            });
        }
        let rights = include_str!(
            "../../../../deploy/kustomize/components/cluster-controllers/cluster-role.yaml"
        );
        for (document, resource) in rights
            .split("\n---\n")
            .zip(["clusterroles", "clusterrolebindings"])
        {
            let object: Value = serde_saphyr::from_str(document).unwrap();
            let path = format!("{RBAC}/{resource}");
            plane.api().post(&path, &object).unwrap();
        }
    });
    Some(plane)
}

/// Members on ports of this machine.
pub(crate) struct Loopback {
    peers: Vec<u16>,
    clients: Vec<u16>,
    /// Where vtctld and the gateways are stood in for.
    servers: [TcpListener; 2],
}

impl Loopback {
    fn new() -> Self {
        // All are held until all are known, so that none is given twice.
        let held: Vec<TcpListener> = (0..MEMBERS_MAX * 2)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = held
            .iter()
            .map(|it| it.local_addr().unwrap().port())
            .collect();
        let (peers, clients) = ports.split_at(MEMBERS_MAX as usize);
        Self {
            peers: peers.to_vec(),
            clients: clients.to_vec(),
            servers: [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap()),
        }
    }

    /// The listeners of vtctld and the gateways.
    pub(crate) fn servers(&self) -> [TcpListener; 2] {
        [0, 1].map(|at| self.servers[at].try_clone().unwrap())
    }
}

impl Reach for Loopback {
    fn vtctld(&self, _: &ClusterNames) -> String {
        self.servers[0].local_addr().unwrap().to_string()
    }

    fn gateway(&self, _: &ClusterNames) -> String {
        self.servers[1].local_addr().unwrap().to_string()
    }
}

impl Addresses for Loopback {
    fn peer_url(&self, _: &Names, index: u32) -> String {
        format!("https://127.0.0.1:{}", self.peers[index as usize])
    }

    fn client_url(&self, _: &Names, index: u32) -> String {
        format!("https://127.0.0.1:{}", self.clients[index as usize])
    }
}

/// A namespace with controllers that look at nothing else.
pub(crate) struct Stage {
    plane: &'static ControlPlane,
    namespace: Namespace<'static>,
    operator: Option<(Runtime, CancellationToken, JoinHandle<()>)>,
    addresses: Arc<Loopback>,
    writes: Arc<AtomicU64>,
    /// Writes that the controllers are given before they die.
    left: Arc<AtomicI64>,
    _kubelet: Kubelet,
}

impl Stage {
    /// None: there are no real parts here.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let plane = plane()?;
        let namespace = plane.namespace(name).unwrap();
        let kubelet = Kubelet::start(plane, namespace.name());
        let mut stage = Self {
            plane,
            namespace,
            operator: None,
            addresses: Arc::new(Loopback::new()),
            writes: Arc::default(),
            left: Arc::new(AtomicI64::new(i64::MAX)),
            _kubelet: kubelet,
        };
        stage.operate();
        Some(stage)
    }

    /// Starts the controllers.
    pub(crate) fn operate(&mut self) {
        let config = Config {
            namespace: self.namespace.name().to_owned(),
            identity: "operator".to_owned(),
            watch_namespace: Some(self.namespace.name().to_owned()),
            leader_election: false,
            addresses: Arc::clone(&self.addresses) as _,
            reach: Arc::clone(&self.addresses) as _,
            look_every: Duration::from_millis(500),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let kubeconfig = Kubeconfig::read_from(self.plane.kubeconfig()).unwrap();
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .unwrap();
            counting(
                Client::try_from(config).unwrap(),
                Arc::clone(&self.writes),
                Arc::clone(&self.left),
            )
        });
        let inside = runtime.enter();
        let operator = ClusterOperator::new(&config, client);
        let stop = CancellationToken::new();
        let task = runtime.spawn(operator.run(stop.clone()));
        drop(inside);
        self.operator = Some((runtime, stop, task));
    }

    /// Ends the controllers as if their process was killed.
    pub(crate) fn kill_operator(&mut self) {
        if let Some((runtime, _, _)) = self.operator.take() {
            runtime.shutdown_background();
        }
    }

    /// The controllers die after one more write.
    pub(crate) fn limit_to_one_write(&self) {
        self.left.store(1, Ordering::SeqCst);
    }

    /// Has the controllers die after each single write, and start again, until `settled`; answers how often they died.
    pub(crate) fn die_at_every_write(&mut self, mut settled: impl FnMut(&Self) -> bool) -> u32 {
        let (mut begun, mut deaths) = (Instant::now(), 0);
        while !settled(self) {
            assert!(
                begun.elapsed() < LIMIT && deaths < 500,
                "{deaths} deaths: {:#?}",
                self.status("example")
            );
            if self.left.load(Ordering::SeqCst) < 0 {
                self.kill_operator();
                self.left.store(1, Ordering::SeqCst);
                self.operate();
                deaths += 1;
                begun = Instant::now();
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.left.store(i64::MAX, Ordering::SeqCst);
        deaths
    }

    /// Where everything is that is not in a pod here.
    pub(crate) fn loopback(&self) -> &Loopback {
        &self.addresses
    }

    /// The control plane and the namespace.
    pub(crate) fn place(&self) -> (&'static ControlPlane, String) {
        (self.plane, self.namespace.name().to_owned())
    }

    /// Requests so far that change something.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// The same once they have not become more for three seconds: watches are behind the last writes for a moment.
    pub(crate) fn writes_at_rest(&self) -> u64 {
        let (mut seen, mut since) = (self.writes(), Instant::now());
        eventually("a time without writes", || {
            if self.writes() != seen {
                (seen, since) = (self.writes(), Instant::now());
            }
            let rests = since.elapsed() > Duration::from_secs(3);
            rests.then_some(seen).ok_or(seen)
        })
    }

    pub(crate) fn create(&self, group: &str, resource: &str, object: &Value) {
        let path = self.namespace.path(group, resource);
        self.plane.api().post(&path, object).unwrap();
    }

    pub(crate) fn topo_server(&self, name: &str, members: u32) {
        let object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "TopoServer",
            "metadata": {"name": name}, "spec": {"members": members}
        });
        self.create(GROUP, "toposervers", &object);
    }

    pub(crate) fn try_get(&self, group: &str, resource: &str, name: &str) -> Option<Value> {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().get(&path).ok()
    }

    pub(crate) fn patch(&self, group: &str, resource: &str, name: &str, patch: &Value) {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().patch(&path, patch).unwrap();
    }

    pub(crate) fn delete(&self, group: &str, resource: &str, name: &str) {
        let path = format!("{}/{name}", self.namespace.path(group, resource));
        self.plane.api().delete(&path).unwrap();
    }

    pub(crate) fn list(&self, group: &str, resource: &str) -> Vec<Value> {
        let all = self.plane.api().get(&self.namespace.path(group, resource));
        all.unwrap()["items"].as_array().unwrap().clone()
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        self.try_get(GROUP, "toposervers", name)
            .map(|it| it["status"].clone())
            .unwrap_or_default()
    }

    /// Waits until so many members vote, as many are wanted, and nothing goes on; answers the status.
    #[track_caller]
    pub(crate) fn expect_members(&self, name: &str, count: u64) -> Value {
        eventually(&format!("{name} has {count} members"), || {
            let status = self.status(name);
            let settled = status["readyMembers"] == count
                && status["members"].as_array().map(Vec::len) == usize::try_from(count).ok()
                && condition(&status, "Ready").is_some_and(|it| it["status"] == "True")
                && condition(&status, "MembersReady").is_some_and(|it| it["status"] == "True")
                && condition(&status, "Progressing").is_some_and(|it| it["status"] == "False");
            settled.then(|| status.clone()).ok_or(status)
        })
    }

    /// Waits for a condition; answers its message.
    #[track_caller]
    pub(crate) fn expect(&self, name: &str, kind: &str, status: &str, reason: &str) -> String {
        eventually(&format!("{name}: {kind} is {status} by {reason}"), || {
            let seen = self.status(name);
            match condition(&seen, kind) {
                Some(it) if it["status"] == status && it["reason"] == reason => {
                    Ok(it["message"].as_str().unwrap().to_owned())
                }
                _ => Err(seen),
            }
        })
    }

    /// What etcdctl says, with the certificate that is meant for clients.
    pub(crate) fn etcdctl(&self, name: &str, args: &[&str]) -> String {
        self.try_etcdctl(name, args, &[])
            .unwrap_or_else(|said| panic!("{args:?}: {said}"))
    }

    /// The same with an input; the error is what it complains of.
    pub(crate) fn try_etcdctl(
        &self,
        name: &str,
        args: &[&str],
        input: &[u8],
    ) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let secret = format!("{name}-etcd-client");
        let secret = self.try_get("api/v1", "secrets", &secret).unwrap();
        for (key, value) in secret["data"].as_object().unwrap() {
            let value = base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap());
            std::fs::write(folder.path().join(key), value.unwrap()).unwrap();
        }
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("input"), input).unwrap();
        let names = Names::new("", name);
        let said = Command::new(parts::find("etcd").unwrap().program("etcdctl"))
            .arg(format!(
                "--endpoints={}",
                self.addresses.client_url(&names, 0)
            ))
            .arg(format!("--cacert={}", file("ca.crt").display()))
            .arg(format!("--cert={}", file("tls.crt").display()))
            .arg(format!("--key={}", file("tls.key").display()))
            .args(args)
            .stdin(std::fs::File::open(file("input")).unwrap())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if said.status.success() {
            Ok(text(said.stdout))
        } else {
            Err(text(said.stderr))
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some((runtime, stop, task)) = self.operator.take() {
            stop.cancel();
            // One that broke has failed its test already.
            let _ = runtime.block_on(task);
        }
    }
}

/// The condition of a type.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|it| it["type"] == kind)
}

/// A client that has the deployed rights, and counts requests that change something.
fn counting(real: Client, writes: Arc<AtomicU64>, left: Arc<AtomicI64>) -> Client {
    let namespace = real.default_namespace().to_owned();
    let service = service_fn(move |mut request: Request<Body>| {
        let user = HeaderValue::from_static(USER);
        request.headers_mut().insert("impersonate-user", user);
        let mut is_dead = left.load(Ordering::SeqCst) < 0;
        if request.method() != Method::GET {
            writes.fetch_add(1, Ordering::Relaxed);
            is_dead |= left.fetch_sub(1, Ordering::SeqCst) <= 0;
        }
        let real = real.clone();
        async move {
            if is_dead {
                return std::future::pending().await;
            }
            Ok::<Response<Body>, Infallible>(real.send(request).await.unwrap_or_else(|error| {
                let mut answer = Response::new(Body::from(error.to_string().into_bytes()));
                *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
                answer
            }))
        }
    });
    Client::new(service, namespace)
}
