//! A real node with a cluster on it, and how it is asked.

use std::fmt::Debug;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use foreshard_api::v1alpha1::topo_server::ETCD_IMAGE;
use foreshard_testbed::{Node, Stack, guard, or_left_out};
use foreshard_vitess::cluster::names::ClusterNames;
use foreshard_vitess::cluster::reach::Reach;
use foreshard_vitess::names::{Addresses, Dns, Names};
use foreshard_vitess::{ClusterOperator, Config};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const GROUP: &str = "/apis/foreshard.dev/v1alpha1/namespaces/default";
pub(crate) const CORE: &str = "/api/v1/namespaces/default";
pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const EXAMPLE: &str = include_str!("../../../../examples/vitess/minimal.yaml");
/// Names that the defaults of a spec lead to.
pub(crate) const VITESS_IMAGE: &str = "docker.io/vitess/lite:v24.0.0";
pub(crate) const MYSQL_IMAGE: &str = "docker.io/library/mysql:8.4";
/// Longest wait for anything on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(420);
/// Longest time from a dead primary to the next write.
pub(crate) const FAILOVER_LIMIT: Duration = Duration::from_secs(120);

#[track_caller]
pub(crate) fn eventually<T, S: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, S>,
) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > limit => {
                panic!("{what}: after {limit:?} still {seen:#?}")
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// This machine reaches pods and services by their addresses and does not know their names.
pub(crate) struct ByAddress(Arc<Node>);

impl ByAddress {
    fn service(&self, name: &str, port: u16) -> String {
        let service = get(&self.0, &format!("{CORE}/services/{name}"));
        let address = service["spec"]["clusterIP"].as_str().unwrap_or("127.0.0.1");
        format!("{address}:{port}")
    }
}

impl Addresses for ByAddress {
    fn peer_url(&self, names: &Names, index: u32) -> String {
        Dns.peer_url(names, index)
    }

    fn client_url(&self, names: &Names, index: u32) -> String {
        Dns.client_url(names, index)
    }

    fn dial(&self, names: &Names, index: u32) -> String {
        let pod = get(&self.0, &format!("{CORE}/pods/{}", names.member(index)));
        let address = pod["status"]["podIP"].as_str().unwrap_or("127.0.0.1");
        format!("{address}:2379")
    }
}

impl Reach for ByAddress {
    fn vtctld(&self, names: &ClusterNames) -> String {
        self.service(&names.vtctld(), 15_999)
    }

    fn gateway(&self, names: &ClusterNames) -> String {
        self.service(&names.gateway(), 15_999)
    }
}

pub(crate) fn get(node: &Node, path: &str) -> Value {
    node.plane().api().get(path).unwrap_or_default()
}

/// The node with images and definitions; none where it cannot be had.
pub(crate) fn node() -> Option<Arc<Node>> {
    let mut node = or_left_out("node", Node::start())?;
    guard::watch(node.plane().bed().unwrap()).unwrap();
    let stack = Stack {
        etcd: ETCD_IMAGE,
        vitess: VITESS_IMAGE,
        mysqld: MYSQL_IMAGE,
        prometheus: None,
    };
    for image in stack.images().unwrap() {
        node.import(&image).unwrap();
    }
    for definition in foreshard_api::crds() {
        let name = definition.metadata.name.clone().unwrap();
        let definition = serde_json::to_value(definition).unwrap();
        node.plane().api().post(DEFINITIONS, &definition).unwrap();
        eventually(&name, LIMIT, || {
            let known = get(&node, &format!("{DEFINITIONS}/{name}"));
            is_true(&known, "Established").then_some(()).ok_or(known)
        });
    }
    Some(Arc::new(node))
}

pub(crate) fn operate(node: &Arc<Node>) -> Runtime {
    operate_as(node, "operator")
}

/// Runs an operator of this name.
pub(crate) fn operate_as(node: &Arc<Node>, identity: &str) -> Runtime {
    let config = Config {
        namespace: NAMESPACE.to_owned(),
        identity: identity.to_owned(),
        watch_namespace: Some(NAMESPACE.to_owned()),
        leader_election: true,
        addresses: Arc::new(ByAddress(Arc::clone(node))),
        reach: Arc::new(ByAddress(Arc::clone(node))),
        look_every: Duration::from_secs(5),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let kubeconfig = Kubeconfig::read_from(node.plane().kubeconfig()).unwrap();
    let client = runtime.block_on(async {
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        kube::Client::try_from(config.unwrap()).unwrap()
    });
    let inside = runtime.enter();
    let operator = ClusterOperator::new(&config, client);
    runtime.spawn(operator.run(CancellationToken::new()));
    drop(inside);
    runtime
}

pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|it| it["type"] == kind && it["status"] == "True")
    })
}

/// Waits until the cluster serves with all of its tablets.
#[track_caller]
pub(crate) fn expect_ready(node: &Node, why: &str) -> Value {
    eventually(why, LIMIT, || {
        let vitess = get(node, &format!("{GROUP}/vitesses/example"));
        let settled = is_true(&vitess, "Ready") && is_true(&vitess, "ShardsReady");
        settled.then(|| vitess.clone()).ok_or_else(|| {
            let pods = get(node, &format!("{CORE}/pods"));
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            let pods: Vec<_> = pods
                .iter()
                .map(|it| (it["metadata"]["name"].clone(), state(&it["status"])))
                .collect();
            (vitess["status"].clone(), pods)
        })
    })
}

/// What a pod's containers do.
pub(crate) fn state(status: &Value) -> Vec<Value> {
    let of = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let all = [of("initContainerStatuses"), of("containerStatuses")].concat();
    all.iter()
        .map(|it| serde_json::json!([it["name"], it["ready"], it["restartCount"], it["state"]]))
        .collect()
}

/// A statement by MySQL's client in a tablet's pod, through the gateways' service, with the password that was made.
pub(crate) fn query(node: &Node, pod: &str, statement: &str) -> Result<String, String> {
    query_of(node, "example", pod, statement)
}

/// The same of the cluster of this name.
pub(crate) fn query_of(
    node: &Node,
    cluster: &str,
    pod: &str,
    statement: &str,
) -> Result<String, String> {
    let app = get(node, &format!("{CORE}/secrets/{cluster}-app"));
    let password = app["data"]["password"].as_str().unwrap_or_default();
    let password = base64::engine::general_purpose::STANDARD.decode(password);
    let password = String::from_utf8(password.unwrap()).unwrap();
    let said = node
        .plane()
        .kubectl(["exec", pod, "--container=mysqld", "--", "mysql"])
        .args([
            "--no-defaults",
            &format!("--host={cluster}-vtgate"),
            "--user=app",
        ])
        .args(["--ssl-mode=REQUIRED", "--connect-timeout=5"])
        .arg(format!("--password={password}"))
        .args(["--skip-column-names", "--batch", "--database=commerce"])
        .args(["--execute", statement])
        .output()
        .unwrap();
    if said.status.success() {
        Ok(String::from_utf8(said.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&said.stderr).into_owned())
    }
}

/// Pods of tablets, the primary last.
pub(crate) fn tablets(node: &Node) -> Vec<String> {
    let pods = get(node, &format!("{CORE}/pods"));
    let pods = pods["items"].as_array().cloned().unwrap_or_default();
    let names = pods.iter().map(|it| it["metadata"]["name"].as_str());
    let mut tablets: Vec<String> = names
        .flatten()
        .filter(|it| it.starts_with("example-tablet-"))
        .map(str::to_owned)
        .collect();
    let primary = primary(node);
    tablets.sort_by_key(|it| Some(it) == primary.as_ref());
    tablets
}

pub(crate) fn primary(node: &Node) -> Option<String> {
    let shard = get(
        node,
        &format!("{GROUP}/keyspaceshards/example-commerce-x-x"),
    );
    shard["status"]["primary"].as_str().map(str::to_owned)
}

/// Ends a tablet's pod at once, without a word to Vitess.
pub(crate) fn kill(node: &Node, tablet: &str) {
    let path = format!("{CORE}/pods/{tablet}?gracePeriodSeconds=0");
    node.plane().api().delete(&path).unwrap();
}

/// Breaks, with the last words of a vttablet that started more than twice.
#[track_caller]
pub(crate) fn expect_no_crash(node: &Node) {
    let pods = get(node, &format!("{CORE}/pods"));
    for pod in pods["items"].as_array().into_iter().flatten() {
        let status = &pod["status"]["containerStatuses"][0];
        if status["name"] == "vttablet" && status["restartCount"].as_u64() > Some(1) {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let log = format!("{CORE}/pods/{name}/log?previous=true&tailLines=40");
            let of = |container: &str| {
                let log = format!("{log}&container={container}");
                node.plane().api().text(&log).unwrap_or_default()
            };
            panic!("{name}: {}\n{}", of("vttablet"), of("mysqld"));
        }
    }
}

/// The password of MySQL's administrator.
pub(crate) fn dba(node: &Node) -> String {
    let users = get(node, &format!("{CORE}/secrets/example-mysql-users"));
    let users = users["data"]["credentials.json"]
        .as_str()
        .unwrap_or_default();
    let users = base64::engine::general_purpose::STANDARD.decode(users);
    let users: Value = serde_json::from_slice(&users.unwrap()).unwrap();
    users["vt_dba"][0].as_str().unwrap().to_owned()
}

pub(crate) fn scale(node: &Node, replicas: u32) {
    let wanted = [
        format!("--replicas={replicas}"),
        "tabletpool/example-commerce-x-x-zone1-replica-main".to_owned(),
    ];
    let scaled = node.plane().kubectl(["scale"]).args(wanted).status();
    assert!(scaled.unwrap().success());
}

pub(crate) fn annotate(node: &Node, annotation: &str) {
    let done = node
        .plane()
        .kubectl(["annotate", "vitess/example", annotation])
        .status();
    assert!(done.unwrap().success());
}

/// Waits until so many tablets serve, of so many.
#[track_caller]
pub(crate) fn expect_tablets(node: &Node, wanted: &str) -> Value {
    eventually(&format!("{wanted} tablets serve"), LIMIT, || {
        let vitess = get(node, &format!("{GROUP}/vitesses/example"));
        let all = vitess["status"]["tabletsReady"] == wanted;
        expect_no_crash(node);
        all.then(|| vitess.clone()).ok_or_else(|| {
            let pools = get(node, &format!("{GROUP}/tabletpools"));
            (
                vitess["status"].clone(),
                pools["items"][0]["status"].clone(),
            )
        })
    })
}

/// A statement by MySQL's client in a tablet's pod, to its own mysqld: what that has, whoever is primary.
pub(crate) fn own_mysqld(node: &Node, tablet: &str, statement: &str) -> Result<String, String> {
    let said = node
        .plane()
        .kubectl(["exec", tablet, "--container=mysqld", "--", "mysql"])
        .args(["--no-defaults", "--socket=/vt/socket/mysql.sock"])
        .args(["--user=vt_dba", &format!("--password={}", dba(node))])
        .args(["--skip-column-names", "--batch", "--execute", statement])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    said.status
        .success()
        .then(|| text(&said.stdout))
        .ok_or_else(|| text(&said.stderr))
}

/// The pod of the primary that the gateways send writes to.
pub(crate) fn serving_primary(node: &Node, at: &str) -> Result<String, String> {
    let all = query(node, at, "show vitess_tablets")?;
    let mut lines = all.lines().map(|it| it.split('\t').collect::<Vec<_>>());
    let serves = lines.find(|it| it.get(3..5) == Some(&["PRIMARY", "SERVING"]));
    let alias = serves.and_then(|it| it.get(5)?.rsplit_once('-'));
    let (_, uid) = alias.ok_or(all.clone())?;
    Ok(format!("example-tablet-{uid}"))
}
