//! A whole cluster of Vitess on a real node, from its object to a query, and after its primary has died. Needs root, and
//! the parts of beds `node` and `vitess`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use foreshard_api::v1alpha1::topo_server::ETCD_IMAGE;
use foreshard_testbed::{Image, Node, guard, or_left_out, parts};
use foreshard_vitess::cluster::names::ClusterNames;
use foreshard_vitess::cluster::reach::Reach;
use foreshard_vitess::names::{Addresses, Dns, Names};
use foreshard_vitess::{ClusterOperator, Config};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "default";
const GROUP: &str = "/apis/foreshard.dev/v1alpha1/namespaces/default";
const CORE: &str = "/api/v1/namespaces/default";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const EXAMPLE: &str = include_str!("../../../examples/vitess/minimal.yaml");
/// Names that the defaults of a spec lead to.
const VITESS_IMAGE: &str = "docker.io/vitess/lite:v24.0.0";
const MYSQL_IMAGE: &str = "docker.io/library/mysql:8.4";
/// Longest wait for anything on a busy machine.
const LIMIT: Duration = Duration::from_secs(420);
/// Longest time from a dead primary to the next write.
const FAILOVER_LIMIT: Duration = Duration::from_secs(120);

#[track_caller]
fn eventually<T, S: Debug>(
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
struct ByAddress(Arc<Node>);

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

fn get(node: &Node, path: &str) -> Value {
    node.plane().api().get(path).unwrap_or_default()
}

/// The images of etcd, Vitess and MySQL, by the names that users' clusters have.
fn images() -> [Image; 3] {
    let (etcd, vitess) = (parts::find("etcd").unwrap(), parts::find("vitess").unwrap());
    let busybox = parts::find("busybox").unwrap().program("busybox");
    let with_shell = |image: Image| {
        let image = image.program(&busybox, "usr/bin/busybox");
        let image = ["sh", "cp", "test"].iter().fold(image, |image, applet| {
            image.link(format!("usr/bin/{applet}"), "busybox")
        });
        image
            .link("bin", "usr/bin")
            .folder("tmp", 0o1777)
            .text("etc/passwd", "root:x:0:0::/:\nvitess:x:999:999::/tmp:\n")
    };
    let programs = ["mysqlctld", "vtctld", "vtgate", "vtorc", "vttablet"];
    let lite = programs
        .iter()
        .fold(Image::new(VITESS_IMAGE), |image, name| {
            image.program(vitess.program(name), format!("vt/bin/{name}"))
        });
    // What stands for a server's folder of programs is beside it.
    let mysqld = parts::find("mysql").unwrap().program("mysqld");
    let part = mysqld.parent().and_then(Path::parent).unwrap();
    let mysql = Image::new(MYSQL_IMAGE)
        .tree(&part.join("root/usr"), "usr")
        .unwrap()
        .link("lib", "usr/lib")
        .link("lib64", "usr/lib64");
    [
        Image::new(ETCD_IMAGE).program(etcd.program("etcd"), "usr/local/bin/etcd"),
        with_shell(lite),
        with_shell(mysql),
    ]
}

/// The node with images and definitions; none where it cannot be had.
fn node() -> Option<Arc<Node>> {
    let mut node = or_left_out("node", Node::start())?;
    guard::watch(node.plane().bed().unwrap()).unwrap();
    for image in images() {
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

fn operate(node: &Arc<Node>) -> Runtime {
    let config = Config {
        namespace: NAMESPACE.to_owned(),
        identity: "operator".to_owned(),
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

fn is_true(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|it| it["type"] == kind && it["status"] == "True")
    })
}

/// Waits until the cluster serves with all of its tablets.
#[track_caller]
fn expect_ready(node: &Node, why: &str) -> Value {
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
fn state(status: &Value) -> Vec<Value> {
    let of = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let all = [of("initContainerStatuses"), of("containerStatuses")].concat();
    all.iter()
        .map(|it| serde_json::json!([it["name"], it["ready"], it["restartCount"], it["state"]]))
        .collect()
}

/// A statement by MySQL's client in a tablet's pod, through the gateways' service, with the password that was made.
fn query(node: &Node, pod: &str, statement: &str) -> Result<String, String> {
    let app = get(node, &format!("{CORE}/secrets/example-app"));
    let password = app["data"]["password"].as_str().unwrap_or_default();
    let password = base64::engine::general_purpose::STANDARD.decode(password);
    let password = String::from_utf8(password.unwrap()).unwrap();
    let said = node
        .plane()
        .kubectl(["exec", pod, "--container=mysqld", "--", "mysql"])
        .args(["--no-defaults", "--host=example-vtgate", "--user=app"])
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
fn tablets(node: &Node) -> Vec<String> {
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

fn primary(node: &Node) -> Option<String> {
    let shard = get(
        node,
        &format!("{GROUP}/keyspaceshards/example-commerce-x-x"),
    );
    shard["status"]["primary"].as_str().map(str::to_owned)
}

/// Ends a tablet's pod at once, without a word to Vitess.
fn kill(node: &Node, tablet: &str) {
    let path = format!("{CORE}/pods/{tablet}?gracePeriodSeconds=0");
    node.plane().api().delete(&path).unwrap();
}

/// Has a row written, and says how long that took.
fn write_again(node: &Node, at: &str, row: u32, begun: Instant) {
    let insert = format!("insert into kept values ({row}, 'still')");
    eventually("writes are taken again", FAILOVER_LIMIT, || {
        match query(node, at, &insert) {
            // A write of which nobody was told that it was taken.
            Err(said) if said.contains("Duplicate entry") => Ok(String::new()),
            said => said,
        }
    });
    eprintln!("written again after {} s", begun.elapsed().as_secs());
}

/// A primary's pod dies. Who comes first is primary: its new pod, as the shard's record still names it, or another tablet.
fn comes_back(node: &Node) {
    let (dead, begun) = (primary(node).unwrap(), Instant::now());
    kill(node, &dead);
    write_again(node, &tablets(node)[0], 2, begun);
    expect_ready(node, "the dead tablet comes back");
    let is_same = primary(node) == Some(dead);
    eprintln!(
        "four tablets again after {} s, the same primary: {is_same}",
        begun.elapsed().as_secs()
    );
}

/// A primary dies and no pod comes for it: another tablet is primary, and remains it.
fn stays_dead(node: &Node) {
    let all = tablets(node);
    let dead = eventually("a primary serves", LIMIT, || serving_primary(node, &all[0]));
    let at = all.iter().find(|it| **it != dead).unwrap();
    annotate(node, "foreshard.dev/paused=true");
    let begun = Instant::now();
    kill(node, &dead);
    write_again(node, at, 3, begun);
    let pod = get(node, &format!("{CORE}/pods/{dead}"));
    assert!(pod["metadata"].is_null(), "a paused cluster is left alone");
    annotate(node, "foreshard.dev/paused-");
    expect_ready(node, "the dead tablet comes back once more");
    let now = eventually("a primary serves", LIMIT, || serving_primary(node, at));
    assert_ne!(now, dead, "another one is primary, and remains it");
    eventually("the shard's status says so", LIMIT, || {
        let told = primary(node);
        (told.as_ref() == Some(&now)).then_some(()).ok_or(told)
    });
    eprintln!("four tablets again after {} s", begun.elapsed().as_secs());
    let words = "select group_concat(word order by id) from kept";
    let said = eventually("all is there", LIMIT, || query(node, at, words));
    assert_eq!(said, "no,still,still");
}

/// The pod of the primary that the gateways send writes to.
fn serving_primary(node: &Node, at: &str) -> Result<String, String> {
    let all = query(node, at, "show vitess_tablets")?;
    let mut lines = all.lines().map(|it| it.split('\t').collect::<Vec<_>>());
    let serves = lines.find(|it| it.get(3..5) == Some(&["PRIMARY", "SERVING"]));
    let alias = serves.and_then(|it| it.get(5)?.rsplit_once('-'));
    let (_, uid) = alias.ok_or(all.clone())?;
    Ok(format!("example-tablet-{uid}"))
}

/// The pool is scaled to four, one more than semi-sync needs: the new one copies the primary.
fn one_more(node: &Node) {
    let begun = Instant::now();
    let before = tablets(node);
    scale(node, 4);
    let vitess = eventually("a fourth tablet serves", LIMIT, || {
        let vitess = get(node, &format!("{GROUP}/vitesses/example"));
        let all = vitess["status"]["tabletsReady"] == "4/4";
        expect_no_crash(node);
        all.then(|| vitess.clone()).ok_or_else(|| {
            let pools = get(node, &format!("{GROUP}/tabletpools"));
            (
                vitess["status"].clone(),
                pools["items"][0]["status"].clone(),
            )
        })
    });
    assert!(is_true(&vitess, "Ready"));
    eprintln!("a fourth one after {} s", begun.elapsed().as_secs());
    let all = tablets(node);
    let new = all.iter().find(|it| !before.contains(it)).unwrap();
    // By its own mysqld: what was there before it, and what came after it.
    let own = |statement: &str| {
        let said = node
            .plane()
            .kubectl(["exec", new, "--container=mysqld", "--", "mysql"])
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
    };
    let copied = "select concat(state, ' ', error_no) from performance_schema.clone_status";
    assert_eq!(own(copied).unwrap(), "Completed 0");
    let later = "update kept set word = 'no' where id = 1";
    eventually("a row is written", LIMIT, || query(node, new, later));
    eventually("it follows the primary", LIMIT, || {
        let word = own("select word from vt_commerce.kept where id = 1");
        (word.as_deref() == Ok("no")).then_some(()).ok_or(word)
    });
    let pools = get(node, &format!("{GROUP}/tabletpools"));
    let took = &pools["items"][0]["status"]["leadTimeSeconds"];
    assert!(took.is_u64(), "{took}");
}

/// Breaks, with the last words of a vttablet that started more than twice.
#[track_caller]
fn expect_no_crash(node: &Node) {
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
fn dba(node: &Node) -> String {
    let users = get(node, &format!("{CORE}/secrets/example-mysql-users"));
    let users = users["data"]["credentials.json"]
        .as_str()
        .unwrap_or_default();
    let users = base64::engine::general_purpose::STANDARD.decode(users);
    let users: Value = serde_json::from_slice(&users.unwrap()).unwrap();
    users["vt_dba"][0].as_str().unwrap().to_owned()
}

fn scale(node: &Node, replicas: u32) {
    let pools = get(node, &format!("{GROUP}/tabletpools"));
    let pool = pools["items"][0]["metadata"]["name"].as_str().unwrap();
    let wanted = [
        format!("--replicas={replicas}"),
        format!("tabletpool/{pool}"),
    ];
    let scaled = node.plane().kubectl(["scale"]).args(wanted).status();
    assert!(scaled.unwrap().success());
}

fn annotate(node: &Node, annotation: &str) {
    let done = node
        .plane()
        .kubectl(["annotate", "vitess/example", annotation])
        .status();
    assert!(done.unwrap().success());
}

/// The pool is scaled to three while rows are written.
fn one_leaves(node: &Node) {
    let begun = Instant::now();
    scale(node, 3);
    let mut written = 3;
    let left = eventually("one tablet has left", LIMIT, || {
        let all = tablets(node);
        let at = all.first().ok_or("no tablet")?;
        let insert = format!("insert into kept values ({}, 'more')", written + 1);
        match query(node, at, &insert) {
            Ok(_) => written += 1,
            // It may have been taken all the same.
            Err(said) if said.contains("Duplicate entry") => written += 1,
            Err(said) => eprintln!("row {}: {said}", written + 1),
        }
        let known = query(node, at, "show vitess_tablets").unwrap_or_default();
        let known = known.lines().count();
        ((all.len(), known) == (3, 3)).then_some(all).ok_or("four")
    });
    eprintln!(
        "one left after {} s, {written} rows written",
        begun.elapsed().as_secs()
    );
    let count = "select count(*) from kept";
    let said = eventually("all rows are there", LIMIT, || query(node, &left[0], count));
    assert_eq!(said, written.to_string());
    let vitess = expect_ready(node, "three are what is wanted");
    assert_eq!(vitess["status"]["tabletsReady"], "3/3");
}

#[test]
fn an_object_becomes_a_cluster_that_answers_and_outlives_its_primary() {
    let Some(node) = node() else { return };
    let runtime = operate(&node);
    let vitess: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
    let begun = Instant::now();
    let vitesses = format!("{GROUP}/vitesses");
    node.plane().api().post(&vitesses, &vitess).unwrap();
    let ready = expect_ready(&node, "the cluster serves");
    eprintln!("ready after {} s", begun.elapsed().as_secs());
    assert_eq!(ready["status"]["tabletsReady"], "3/3");
    assert_eq!(ready["status"]["initialized"], true);
    let all = tablets(&node);
    assert_eq!(all.len(), 3, "{all:?}");
    let replica = all[0].clone();
    let made = "create table kept (id bigint primary key, word varchar(20))";
    eventually("a table is made", LIMIT, || query(&node, &replica, made));
    let insert = "insert into kept values (1, 'yes')";
    eventually("a row is written", LIMIT, || query(&node, &replica, insert));
    let select = "select word from kept where id = 1";
    let said = eventually("it is read", LIMIT, || query(&node, &replica, select));
    assert_eq!(said, "yes");
    eprintln!("a row was read after {} s", begun.elapsed().as_secs());

    one_more(&node);
    comes_back(&node);
    stays_dead(&node);
    one_leaves(&node);
    runtime.shutdown_timeout(LIMIT);
}
