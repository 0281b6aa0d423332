//! `adopt`: what it prints is taken by the API server.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::cluster::{Cluster, eventually};

impl Cluster {
    /// Lets the API server check a file with all its rules, by the real kubectl.
    fn would_apply(&self, manifest: &str) -> String {
        let mut command = self.plane.kubectl(["apply", "--dry-run=server", "-f", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(manifest.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{manifest}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_api_server_takes_what_an_hpa_became() {
    let Some(cluster) = Cluster::new("adopt-hpa") else {
        return;
    };
    cluster.deployment("web", 3);
    let utilization = |name: &str, percent: u32| json!({"type": "Resource", "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}}});
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2, "maxReplicas": 12,
            "metrics": [utilization("cpu", 60), utilization("memory", 75)],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 120}}
        }
    });
    cluster.create("apis/autoscaling/v2", "horizontalpodautoscalers", &hpa);
    let text = cluster.run(&["adopt", "hpa", "web"]).ok();
    // Half a core and 1 GiB are what its pods request.
    assert!(text.contains("targetAverageValue: \"0.3\""), "{text}");
    assert!(text.contains("targetAverageValue: \"805306368\""), "{text}");
    assert!(text.contains("mode: Observe"), "{text}");
    assert_eq!(
        cluster.would_apply(&text),
        "scalingpolicy.foreshard.dev/web created (server dry run)\n"
    );
    assert_eq!(
        cluster.list("scalingpolicies").len(),
        0,
        "nothing was changed"
    );
    let json = cluster.run(&[
        "adopt", "hpa", "web", "-o", "json", "--name", "other", "--source", "mimir",
    ]);
    assert!(json.stderr.contains("check: "), "{json:#?}");
    let list: Value = serde_json::from_str(&json.ok()).unwrap();
    assert_eq!(list["items"][0]["metadata"]["name"], "other");
    assert_eq!(
        list["items"][0]["spec"]["signals"][0]["sourceRef"]["name"],
        "mimir"
    );
    cluster
        .run(&["adopt", "hpa", "none"])
        .failed(1, "horizontalpodautoscalers \"none\" not found");
}

#[test]
fn the_api_server_takes_what_a_scaled_object_became() {
    let Some(cluster) = Cluster::new("adopt-keda") else {
        return;
    };
    cluster
        .run(&["adopt", "scaledobject", "web"])
        .failed(1, "the cluster has no scaledobjects");
    define_keda(&cluster);
    let object = |name: &str, triggers: Value| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": name},
            "spec": {"scaleTargetRef": {"name": "web"}, "minReplicaCount": 2, "maxReplicaCount": 12, "triggers": triggers}
        })
    };
    let triggers = json!([
        {"type": "prometheus", "metadata": {
            "serverAddress": "http://prometheus.monitoring:9090", "query": "sum(rate(requests_total{app=\"web\"}[2m]))",
            "threshold": "72.5"}},
        {"type": "cron", "metadata": {
            "timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "10"}}
    ]);
    cluster.create(
        "apis/keda.sh/v1alpha1",
        "scaledobjects",
        &object("web", triggers),
    );
    let text = cluster.run(&["adopt", "scaledobject", "web"]).ok();
    assert_eq!(
        cluster.would_apply(&text),
        "prometheussource.foreshard.dev/web-prometheus created (server dry run)\n\
         scalingpolicy.foreshard.dev/web created (server dry run)\n"
    );
    // One that is there already is named instead.
    cluster.source("main", "http://prometheus.monitoring:9090/");
    let text = cluster.run(&["adopt", "scaledobject", "web"]).ok();
    assert!(
        !text.contains("kind: PrometheusSource\nmetadata") && text.contains("name: main"),
        "{text}"
    );
    let kafka = object(
        "kafka",
        json!([{"type": "kafka", "metadata": {"lagThreshold": "5"}}]),
    );
    cluster.create("apis/keda.sh/v1alpha1", "scaledobjects", &kafka);
    cluster
        .run(&["adopt", "scaledobject", "kafka"])
        .failed(3, "trigger kafka-0: type kafka asks no Prometheus");
}

/// The kind alone: no KEDA is needed to read its objects.
fn define_keda(cluster: &Cluster) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "scaledobjects.keda.sh"},
        "spec": {
            "group": "keda.sh", "scope": "Namespaced",
            "names": {"plural": "scaledobjects", "singular": "scaledobject", "kind": "ScaledObject"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
            }}}]
        }
    });
    let api = cluster.plane.api();
    api.post(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        &definition,
    )
    .unwrap();
    eventually("scaledobjects", || {
        api.get("/apis/keda.sh/v1alpha1/scaledobjects")
    });
}
