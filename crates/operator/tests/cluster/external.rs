//! Recommendations for those who act themselves, on the real thing: kube-apiserver's aggregation layer asks us, and
//! kube-controller-manager's HorizontalPodAutoscaler scales by what we say.

use std::path::Path;

use foreshard_operator::external::{ExternalMetrics, Registration};
use foreshard_testbed::ControlPlane;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;

use crate::aggregation::{create_service, network, write_certificates};
use crate::stage::{GROUP, Stage, condition, eventually, plane};

const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const NAME: &str = "v1beta1.external.metrics.k8s.io";
const SERVICE: &str = "foreshard-external-metrics";
const AUTOSCALING: &str = "apis/autoscaling/v2";

fn autoscaler(name: &str) -> Value {
    let selector = json!({"matchLabels": {"policy": name}});
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1, "maxReplicas": 20,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": foreshard_external::METRIC, "selector": selector},
                "target": {"type": "AverageValue", "averageValue": "1"}
            }}]
        }
    })
}

/// An operator that serves the API and is to tell the cluster of it.
fn operate(stage: &mut Stage, plane: &ControlPlane, folder: &Path) {
    let path = plane.way_to_services().unwrap();
    let (namespace, authority_file) = (stage.name().to_owned(), folder.join("ca.crt"));
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    stage.operate_with(
        false,
        |config| {
            config.external_metrics = Some(Registration {
                namespace,
                service: SERVICE.to_owned(),
                port: 443,
                authority_file,
            });
        },
        |operator, client, stop| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            tokio::spawn(network(UnixListener::bind(path).unwrap(), address));
            let answers = operator.metrics().external_answers;
            let api =
                ExternalMetrics::new(client.clone(), operator.advice(), answers, certificate, key);
            tokio::spawn(api.unwrap().serve(listener, stop.clone()));
        },
    );
}

/// The sample of a metric of ours without labels.
fn sample(stage: &Stage, name: &str) -> Option<String> {
    let text = stage.metrics.as_ref()?.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

#[test]
fn a_real_autoscaler_scales_by_what_a_policy_recommends() {
    let Some(mut stage) = Stage::empty("external") else {
        return;
    };
    let plane = plane().unwrap();
    if plane.bed().is_none() {
        // The network of a cluster that was there before is not ours.
        return;
    }
    let url = crate::stage::prometheus().unwrap().url().to_owned();
    stage.source("main", &url);
    let foreign = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": NAME},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1",
            "groupPriorityMinimum": 10, "versionPriority": 10, "insecureSkipTLSVerify": true,
            "service": {"namespace": "keda", "name": "adapter", "port": 443}
        }
    });
    plane.api().post(API_SERVICES, &foreign).unwrap();
    let folder = TempDir::new().unwrap();
    let name = format!("{SERVICE}.{}.svc", stage.name());
    write_certificates(folder.path(), &[&name]);
    create_service(&stage, SERVICE);
    operate(&mut stage, plane, folder.path());
    let path = format!("{API_SERVICES}/{NAME}");
    let note = eventually("it is told that the API is another's", || {
        let events = plane
            .api()
            .get("/apis/events.k8s.io/v1/namespaces/default/events")
            .unwrap();
        let all = events["items"].as_array().unwrap();
        let own = all.iter().find(|it| it["reason"] == "ExternalMetricsTaken");
        own.map(|it| it["note"].as_str().unwrap().to_owned())
            .ok_or(events.clone())
    });
    assert!(note.contains("service keda/adapter"), "{note}");
    let seen = plane.api().get(&path).unwrap();
    assert_eq!(seen["spec"], foreign["spec"], "another's is left alone");
    let registered = |stage: &Stage| sample(stage, "foreshard_external_metrics_registered ");
    assert_eq!(registered(&stage).as_deref(), Some("0"));

    plane.api().delete(&path).unwrap();
    eventually("ours is there, and the API server reaches us", || {
        let seen = plane.api().get(&path).map_err(|error| error.to_string())?;
        let available = condition(&seen, "Available").map(|it| it["status"].clone());
        (available == Some(json!("True")) && registered(&stage).as_deref() == Some("1"))
            .then_some(())
            .ok_or(seen.to_string())
    });

    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Observe");
    stage.create(AUTOSCALING, "horizontalpodautoscalers", &autoscaler("web"));
    stage.expect_replicas("web", 9);
    // A policy that watches beside an autoscaler is as it should be.
    stage.expect("web", "Ready", "True", "Decides");
    stage.expect("web", "TargetResolved", "True", "Resolved");
    stage.expect("web", "Actuated", "Unknown", "Observing");

    // What is withheld is said where people look, and nothing changes.
    let pause = json!({"metadata": {"annotations": {"foreshard.dev/paused": "true"}}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &pause)
        .unwrap();
    let message = eventually("the autoscaler says why it holds", || {
        let seen = stage.get(AUTOSCALING, "horizontalpodautoscalers", "web");
        match condition(&seen, "ScalingActive") {
            Some(it) if it["status"] == "False" => Ok(it["message"].as_str().unwrap().to_owned()),
            _ => Err(seen["status"].clone()),
        }
    });
    let why = format!(
        "scalingpolicy {}/web: the annotation foreshard.dev/paused is set on it",
        stage.name()
    );
    assert!(message.contains(&why), "{message}");
    assert_eq!(stage.replicas("web"), 9);
    plane.api().delete(&path).unwrap();
}
