//! What the operator makes of a person's word.

use serde_json::json;

use crate::cluster::{Cluster, eventually};

#[test]
fn what_is_approved_is_done_and_a_pause_holds_it() {
    let Some(cluster) = Cluster::operated("operate-approve") else {
        return;
    };
    cluster.deployment("web", 3);
    cluster.policy("web", "vector(900)", "Approve");
    let message = cluster.expect("web", "WaitsForApproval");
    let name = cluster.recommended();
    let told = format!("kubectl foreshard approve {name} -n {}", cluster.name());
    assert!(message.contains(&told), "{message}");
    let paused = cluster
        .run(&["pause", "web", "--for", "1h", "--reason", "migration"])
        .ok();
    assert!(
        paused.starts_with("scalingoverride/web-pause: nothing is changed until "),
        "{paused}"
    );
    cluster.expect("web", "UpToDate");
    cluster.run(&["approve", &name, "--yes"]).ok();
    let message = cluster.expect("web", "Paused");
    assert!(message.contains("frozen by web-pause"), "{message}");
    assert_eq!(cluster.replicas("web"), 3);
    let ended = cluster.run(&["resume", "web"]).ok();
    assert_eq!(ended, "scalingoverride/web-pause deleted\n");
    cluster.expect_replicas("web", 9);
    cluster
        .run(&["approve", &name, "--yes"])
        .failed(3, "was carried out already");
    let text = cluster.run(&["explain", "web"]).ok();
    assert!(
        text.contains("Deployment/web from 3 to 9 replicas"),
        "{text}"
    );
    let again = cluster.run(&["resume", "web"]).ok();
    assert!(again.contains("was not paused"), "{again}");
}

#[test]
fn a_pause_is_honoured_until_it_is_ended() {
    let Some(cluster) = Cluster::operated("operate-pause") else {
        return;
    };
    cluster.deployment("web", 3);
    cluster.policy("web", "vector(900)", "Observe");
    cluster.expect("web", "Observing");
    cluster
        .run(&["pause", "web", "--for", "1h", "--direction", "down"])
        .ok();
    // Another one takes its place.
    cluster.run(&["pause", "web", "--for", "2h"]).ok();
    let orders = cluster.list("scalingoverrides");
    assert_eq!(orders.len(), 1, "{orders:#?}");
    assert_eq!(orders[0]["spec"]["pause"], "Both");
    assert!(orders[0]["metadata"]["annotations"]["foreshard.dev/ordered-by"].is_string());
    let auto = json!([{"type": "Replicas", "mode": "Auto", "min": 1, "max": 20}]);
    cluster.patch(
        "scalingpolicies",
        "web",
        &json!({"spec": {"actions": auto}}),
    );
    cluster.expect("web", "UpToDate");
    assert_eq!(cluster.replicas("web"), 3);
    let text = cluster.run(&["status", "web"]).ok();
    assert!(
        text.contains("override web-pause until") && text.contains("nothing is changed"),
        "{text}"
    );
    cluster.run(&["resume", "web"]).ok();
    cluster.expect_replicas("web", 9);
}

#[test]
fn a_hold_and_the_kill_switch_stop_what_would_be_done() {
    let Some(cluster) = Cluster::operated("operate-stop") else {
        return;
    };
    let all = ["--all", "--operator-namespace", cluster.name()];
    cluster.deployment("web", 3);
    let stopped = cluster.run(&[&["pause"], &all[..], &["--reason", "incident"]].concat());
    assert!(
        stopped.stderr.contains("has no lease foreshard-scaling"),
        "{stopped:#?}"
    );
    stopped.ok();
    cluster.policy("web", "vector(900)", "Auto");
    cluster.expect("web", "KillSwitch");
    cluster.run(&["pause", "web", "--hold"]).ok();
    cluster.run(&[&["resume"], &all[..]].concat()).ok();
    cluster.expect("web", "Paused");
    let text = cluster.run(&["status", "web"]).ok();
    assert!(
        text.contains("Paused: kubectl foreshard resume NAME"),
        "{text}"
    );
    assert_eq!(cluster.replicas("web"), 3);
    assert_eq!(
        cluster.run(&["resume", "web"]).ok(),
        "scalingpolicy/web released\n"
    );
    cluster.expect_replicas("web", 9);
    let nothing = cluster.run(&[&["resume"], &all[..]].concat()).ok();
    assert!(
        nothing.starts_with("there was no configmap/foreshard-kill-switch"),
        "{nothing}"
    );
}

#[test]
fn a_watch_shows_lines_as_they_change() {
    use std::io::{BufRead as _, BufReader};
    let Some(cluster) = Cluster::operated("operate-watch") else {
        return;
    };
    cluster.deployment("web", 3);
    cluster.policy("web", "vector(300)", "Observe");
    cluster.expect("web", "Observing");
    let mut child = cluster
        .command(&["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("NAME"));
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("web ") && first.contains("Observe"),
        "{first}"
    );
    let held = json!({"metadata": {"annotations": {"foreshard.dev/paused": "true"}}});
    cluster.patch("scalingpolicies", "web", &held);
    let auto = json!([{"type": "Replicas", "mode": "Auto", "min": 1, "max": 20}]);
    cluster.patch(
        "scalingpolicies",
        "web",
        &json!({"spec": {"actions": auto}}),
    );
    let changed = lines.find(|line| line.contains("Auto (Paused)")).unwrap();
    assert!(changed.starts_with("web "), "{changed}");
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("it has ended", || {
        child.try_wait().unwrap().ok_or("it runs")
    });
}
