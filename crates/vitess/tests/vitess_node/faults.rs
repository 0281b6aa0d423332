//! Parts of tablets that die, hands that meddle, and an image that does not exist.

use std::time::Instant;

use foreshard_testbed::Node;
use serde_json::{Value, json};

use crate::processes::{processes, signal};
use crate::stage::*;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// Kills one program of a tablet, and leaves its pod.
fn crash(node: &Node, tablet: &str, program: &str) {
    let uid = tablet.rsplit('-').next().unwrap();
    let words = match program {
        "vttablet" => [
            "/vt/bin/vttablet".to_owned(),
            format!("--tablet-path=zone1-{uid}"),
        ],
        _ => ["mysqld".to_owned(), format!("/vt_{uid}/my.cnf")],
    };
    let found = processes(node, &words.each_ref().map(String::as_str));
    assert!(!found.is_empty(), "{words:?}");
    signal(&found, "-9");
}

/// The primary's vttablet dies, then a primary's mysqld: kubelet or vtorc has writes be taken again, and none is lost.
pub(crate) fn parts_of_a_primary_die(node: &Node, mut row: u32) -> u32 {
    for program in ["vttablet", "mysqld"] {
        let all = tablets(node);
        let primary = eventually("a primary serves", LIMIT, || serving_primary(node, &all[0]));
        let at = all.iter().find(|it| **it != primary).unwrap();
        let begun = Instant::now();
        crash(node, &primary, program);
        row += 1;
        let insert = format!("insert into kept values ({row}, 'crash')");
        eventually("writes are taken again", FAILOVER_LIMIT, || {
            match query(node, at, &insert) {
                // A write of which nobody was told that it was taken.
                Err(said) if said.contains("Duplicate entry") => Ok(String::new()),
                said => said,
            }
        });
        let took = begun.elapsed().as_secs();
        eprintln!("written again {took} s after the primary's {program} died");
        expect_ready(node, "all tablets serve again");
    }
    let at = &tablets(node)[0];
    let count = format!("select count(*) from kept where id <= {row}");
    let said = eventually("all rows are there", LIMIT, || query(node, at, &count));
    assert_eq!(said, row.to_string());
    row
}

/// What somebody does to our objects is undone.
pub(crate) fn hands_meddle(node: &Node) {
    let words = ["scale", "deployment/example-vtctld", "--replicas=0"];
    assert!(node.plane().kubectl(words).status().unwrap().success());
    let words = [
        "delete",
        "service/example-vtgate",
        "poddisruptionbudget/example-commerce-x-x",
    ];
    assert!(node.plane().kubectl(words).status().unwrap().success());
    eventually("all is as it was", LIMIT, || {
        let vtctld =
            get(node, &format!("{DEPLOYMENTS}/example-vtctld"))["spec"]["replicas"].clone();
        let service =
            get(node, &format!("{CORE}/services/example-vtgate"))["metadata"]["uid"].clone();
        let budget = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/example-commerce-x-x";
        let budget = get(node, budget)["metadata"]["uid"].clone();
        let is_back = vtctld == 2 && service.is_string() && budget.is_string();
        is_back.then_some(()).ok_or((vtctld, service, budget))
    });
    expect_ready(node, "it serves");
}

/// An image that does not exist stops nothing that serves, and can be taken back.
pub(crate) fn no_such_image(node: &Node) {
    let patch = |image: &Value| {
        let patch = json!({"spec": {"images": {"vitess": image}}}).to_string();
        let words = ["patch", "vitess/example", "--type=merge", "--patch", &patch];
        assert!(node.plane().kubectl(words).status().unwrap().success());
    };
    patch(&json!("docker.io/vitess/lite:none-such"));
    eventually("a pod waits for its image", LIMIT, || {
        let pods = get(node, &format!("{CORE}/pods"))["items"].to_string();
        let waits = pods.contains("ErrImagePull") || pods.contains("ImagePullBackOff");
        waits.then_some(()).ok_or(pods.len())
    });
    let vitess = get(node, &format!("{GROUP}/vitesses/example"));
    assert!(is_true(&vitess, "Ready"), "{:#}", vitess["status"]);
    let pool = get(
        node,
        &format!("{GROUP}/tabletpools/example-commerce-x-x-zone1-replica-main"),
    );
    assert!(
        pool["status"].to_string().contains("PendingRollout"),
        "{:#}",
        pool["status"]
    );
    patch(&Value::Null);
    eventually("nothing waits for an image", LIMIT, || {
        let pods = get(node, &format!("{CORE}/pods"))["items"].to_string();
        let waits = pods.contains("ErrImagePull") || pods.contains("ImagePullBackOff");
        (!waits).then_some(()).ok_or("some wait")
    });
    expect_ready(node, "it serves");
}

const WITHOUT_BACKUPS: &str = r#"[{"op": "remove", "path": "/spec/backups"}]"#;
const STUCK: &str = r#"
apiVersion: foreshard.dev/v1alpha1
kind: Vitess
metadata: {name: stuck}
spec:
  cells:
  - name: zone1
  topology: {etcd: {members: 1, resources: &few {requests: {cpu: 10m, memory: 64Mi}}}}
  vtctld: {replicas: 1, resources: *few}
  vtorc: {replicas: 1, resources: *few}
  backups: {location: {volume: {claimName: nowhere}}}
  keyspaces:
  - name: commerce
    durability: None
    tabletPools:
    - cell: zone1
      type: Replica
      initialReplicas: 1
      vttablet: *few
      mysqld: *few
      storage: {size: 1Gi, storageClassName: none-such}
"#;

/// A volume of backups and a class of volumes that do not exist are named, and the cluster can be deleted: it never served.
pub(crate) fn no_storage_class(node: &Node) {
    let stuck: Value = serde_saphyr::from_str(STUCK).unwrap();
    let vitesses = format!("{GROUP}/vitesses");
    node.plane().api().post(&vitesses, &stuck).unwrap();
    let path = format!("{vitesses}/stuck");
    eventually("the volume of backups is named", LIMIT, || {
        let status = get(node, &path)["status"].clone();
        let said = status["conditions"].to_string();
        said.contains("nowhere").then_some(()).ok_or(status)
    });
    let words = [
        "patch",
        "vitess/stuck",
        "--type=json",
        "--patch",
        WITHOUT_BACKUPS,
    ];
    assert!(node.plane().kubectl(words).status().unwrap().success());
    eventually("the volume is named", LIMIT, || {
        let status = get(node, &path)["status"].clone();
        let said = status["conditions"].to_string();
        let is_named = said.contains("unbound") || said.contains("storageclass");
        is_named.then_some(()).ok_or(status)
    });
    node.plane().api().delete(&path).unwrap();
    eventually("it is gone", LIMIT, || {
        let pods = get(node, &format!("{CORE}/pods"))["items"].to_string();
        (!pods.contains("stuck-"))
            .then_some(())
            .ok_or("its pods are there")
    });
}
