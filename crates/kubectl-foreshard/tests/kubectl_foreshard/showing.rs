//! `status` and `explain` of what is there, and of what is not.

use serde_json::{Value, json};

use crate::cluster::{Cluster, GROUP};

#[test]
fn what_is_there_is_shown_and_what_is_not_is_named() {
    let Some(cluster) = Cluster::new("show") else {
        return;
    };
    let empty = cluster.run(&["status"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (0, ""), "{empty:#?}");
    assert!(
        empty
            .stderr
            .contains("There is no ScalingPolicy in namespace show-"),
        "{empty:#?}"
    );
    cluster.policy("web", "up", "Approve");
    cluster.policy("api", "up", "Observe");
    cluster.recommendation("web-1", "2026-01-01T00:00:00Z", "2100-01-01T00:00:00Z", 5);
    cluster.recommendation("web-2", "2026-01-02T00:00:00Z", "2100-01-01T00:00:00Z", 6);
    let table = cluster.run(&["status"]).ok();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.contains("no operator has looked at it yet"),
        "{table}"
    );
    let one = cluster.run(&["status", "web"]).ok();
    assert!(
        one.contains("web-2") && one.contains("2 to 6") && one.contains("Pending"),
        "{one}"
    );
    assert!(one.contains("Superseded"), "{one}");
    let lost = json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride", "metadata": {"name": "lost"},
        "spec": {"policyName": "wbe", "pause": "Both", "expiryTime": "2100-01-01T00:00:00Z"}
    });
    cluster.create(GROUP, "scalingoverrides", &lost);
    for args in [&["status"][..], &["status", "web"]] {
        let warned = cluster.run(args).stderr;
        assert!(warned.contains("there is no ScalingPolicy wbe"), "{warned}");
    }
    let json: Value = serde_json::from_str(&cluster.run(&["status", "-o", "json"]).ok()).unwrap();
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
    let yaml: Value =
        serde_saphyr::from_str(&cluster.run(&["status", "web", "-o", "yaml"]).ok()).unwrap();
    assert_eq!(
        (&yaml["kind"], &yaml["metadata"]["name"]),
        (&"ScalingPolicy".into(), &"web".into())
    );
    cluster
        .run(&["status", "none"])
        .failed(1, "scalingpolicies \"none\" not found in namespace show-");
    cluster
        .run(&["status", "none"])
        .failed(1, "there are api, web");
    let newest = cluster.run(&["explain", "web"]).ok();
    assert!(newest.starts_with("Recommendation:  web-2\n"), "{newest}");
    let older: Value =
        serde_json::from_str(&cluster.run(&["explain", "web-1", "-o", "json"]).ok()).unwrap();
    assert_eq!(older["spec"]["plan"][0]["to"], 5);
    cluster
        .run(&["explain", "api"])
        .failed(1, "has no recommendation yet");
    cluster.run(&["explain", "none"]).failed(1, "not found");
    let viewer = cluster.user("vera", "foreshard-viewer");
    cluster.run_as(&viewer, &["status"]).ok();
    cluster
        .run_as(&viewer, &["pause", "web", "--for", "1h"])
        .failed(1, "you may not patch scalingoverrides");
}

#[test]
fn all_namespaces_are_shown_together() {
    let Some(cluster) = Cluster::new("show-all") else {
        return;
    };
    cluster.policy("web", "up", "Observe");
    let mut command = crate::run::command(
        env!("CARGO_BIN_EXE_kubectl-foreshard"),
        cluster.plane.kubeconfig(),
    );
    let table = crate::run::ended(command.args(["status", "-A"])).ok();
    assert!(table.starts_with("NAMESPACE"), "{table}");
    assert!(table.contains(cluster.name()), "{table}");
    let both = cluster.run(&["status", "-A"]);
    both.failed(2, "cannot be used with");
}
