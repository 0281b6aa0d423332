//! An etcd cluster on a real node: names, probes, volumes and certificates as they are in pods. Needs root, and the parts
//! of bed `node`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::fmt::Debug;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use foreshard_api::v1alpha1::topo_server::ETCD_IMAGE;
use foreshard_testbed::{Image, Node, guard, or_left_out, parts};
use foreshard_vitess::names::{Addresses, Dns, Names};
use foreshard_vitess::{ClusterOperator, Config};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "default";
const SERVERS: &str = "/apis/foreshard.dev/v1alpha1/namespaces/default/toposervers";
const CORE: &str = "/api/v1/namespaces/default";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Longest wait for anything on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

#[track_caller]
fn eventually<T, S: Debug>(what: &str, mut look: impl FnMut() -> Result<T, S>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > LIMIT => {
                panic!("{what}: after {LIMIT:?} still {seen:#?}")
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// This machine reaches pods by their addresses and does not know their names.
struct ByAddress(Arc<Node>);

impl Addresses for ByAddress {
    fn peer_url(&self, names: &Names, index: u32) -> String {
        Dns.peer_url(names, index)
    }

    fn client_url(&self, names: &Names, index: u32) -> String {
        Dns.client_url(names, index)
    }

    fn dial(&self, names: &Names, index: u32) -> String {
        let path = format!("{CORE}/pods/{}", names.member(index));
        let pod = self.0.plane().api().get(&path).unwrap_or_default();
        let address = pod["status"]["podIP"].as_str().unwrap_or("127.0.0.1");
        format!("{address}:2379")
    }
}

/// The node with etcd's image and our definitions; none where it cannot be had.
fn node() -> Option<Arc<Node>> {
    let mut node = or_left_out("node", Node::start())?;
    let etcd = parts::find("etcd").unwrap();
    let image = Image::new(ETCD_IMAGE)
        .program(etcd.program("etcd"), "usr/local/bin/etcd")
        .program(etcd.program("etcdctl"), "usr/local/bin/etcdctl");
    node.import(&image).unwrap();
    guard::watch(node.plane().bed().unwrap()).unwrap();
    for definition in foreshard_api::crds() {
        let name = definition.metadata.name.clone().unwrap();
        let definition = serde_json::to_value(definition).unwrap();
        node.plane().api().post(DEFINITIONS, &definition).unwrap();
        eventually(&name, || {
            let known = node
                .plane()
                .api()
                .get(&format!("{DEFINITIONS}/{name}"))
                .unwrap();
            let conditions = known["status"]["conditions"].as_array().cloned();
            let established = conditions
                .unwrap_or_default()
                .iter()
                .any(|it| it["type"] == "Established" && it["status"] == "True");
            established.then_some(()).ok_or(known)
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
        reach: Arc::new(Dns),
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

fn get(node: &Node, path: &str) -> Value {
    node.plane().api().get(path).unwrap_or_default()
}

fn is_true(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|it| it["type"] == kind && it["status"] == "True")
    })
}

/// Waits until three members vote and kubelet finds all of them ready; answers their identities in the order of names.
#[track_caller]
fn expect_three(node: &Node, why: &str) -> Vec<String> {
    eventually(why, || {
        let server = get(node, &format!("{SERVERS}/example"));
        let pods: Vec<Value> = (0..3)
            .map(|index| get(node, &format!("{CORE}/pods/example-etcd-{index}")))
            .collect();
        let all_ready = pods.iter().all(|pod| is_true(pod, "Ready"));
        let members = server["status"]["members"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let settled = is_true(&server, "Ready")
            && is_true(&server, "MembersReady")
            && !is_true(&server, "Progressing")
            && members.len() == 3
            && all_ready;
        let ids = members
            .iter()
            .map(|it| it["id"].as_str().unwrap().to_owned());
        let pods = || {
            pods.iter()
                .map(|it| it["status"].clone())
                .collect::<Vec<_>>()
        };
        settled
            .then(|| ids.collect())
            .ok_or_else(|| (server["status"].clone(), pods()))
    })
}

/// What etcdctl says in a pod, asking by the name of the service.
fn etcdctl(node: &Node, words: &[&str]) -> Result<String, String> {
    let arguments = [
        "exec",
        "example-etcd-0",
        "--",
        "etcdctl",
        "--endpoints=https://example-etcd.default.svc:2379",
        "--cacert=/etc/etcd/tls/ca.crt",
        "--cert=/etc/etcd/tls/tls.crt",
        "--key=/etc/etcd/tls/tls.key",
    ];
    let said = node
        .plane()
        .kubectl(arguments.iter().chain(words))
        .output()
        .unwrap();
    if said.status.success() {
        Ok(String::from_utf8(said.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&said.stderr).into_owned())
    }
}

#[track_caller]
fn expect_kept(node: &Node) {
    let said = eventually("what was written is there", || {
        etcdctl(node, &["get", "/vitess/kept", "--print-value-only"])
    });
    assert_eq!(said, "yes");
}

#[test]
fn three_members_serve_by_name_and_outlive_their_pods_and_a_volume() {
    let Some(node) = node() else { return };
    let runtime = operate(&node);
    let api = node.plane().api();
    let server: Value =
        serde_saphyr::from_str(include_str!("../../../examples/vitess/topo-server.yaml")).unwrap();
    let begun = Instant::now();
    api.post(SERVERS, &server).unwrap();
    let first = expect_three(&node, "three members begin");
    eprintln!("three members serve after {} s", begun.elapsed().as_secs());
    eventually("it is written", || {
        etcdctl(&node, &["put", "/vitess/kept", "yes"])
    });

    // Another address: the others know it by its name.
    api.delete(&format!("{CORE}/pods/example-etcd-1")).unwrap();
    eventually("it ends", || {
        let pod = get(&node, &format!("{CORE}/pods/example-etcd-1"));
        let is_other = pod["metadata"]["deletionTimestamp"].is_null();
        is_other.then_some(()).ok_or(pod["metadata"].clone())
    });
    assert_eq!(expect_three(&node, "the pod comes back"), first);

    // A volume that is deleted stays until its pod ends; its member is replaced.
    let begun = Instant::now();
    api.delete(&format!("{CORE}/persistentvolumeclaims/example-etcd-2"))
        .unwrap();
    eventually("its member is removed", || {
        let server = get(&node, &format!("{SERVERS}/example"));
        let members = server["status"]["members"].to_string();
        (!members.contains(&first[2])).then_some(()).ok_or(members)
    });
    let replaced = expect_three(&node, "another member is in its place");
    eprintln!(
        "a lost volume was replaced after {} s",
        begun.elapsed().as_secs()
    );
    assert_eq!(replaced[..2], first[..2]);
    expect_kept(&node);

    // All at once: their volumes make them a majority again.
    for index in 0..3 {
        api.delete(&format!("{CORE}/pods/example-etcd-{index}"))
            .unwrap();
    }
    eventually("all end", || {
        let pods = get(&node, &format!("{CORE}/pods"));
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let any = pods
            .iter()
            .any(|it| !it["metadata"]["deletionTimestamp"].is_null());
        (!any).then_some(()).ok_or("some still end")
    });
    assert_eq!(expect_three(&node, "all come back"), replaced);
    expect_kept(&node);
    runtime.shutdown_timeout(LIMIT);
}
