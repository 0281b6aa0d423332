//! The real KEDA scales by what a policy recommends: its operator asks our external scaler over TLS, its adapter serves
//! the answer to kube-controller-manager's HorizontalPodAutoscaler.
//!
//! Left out, and says so, where KEDA is not built: `cargo xtask e2e keda` does it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

#[path = "../cluster/aggregation.rs"]
mod aggregation;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../cluster/faults.rs"]
mod faults;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../cluster/kubelet.rs"]
mod kubelet;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../cluster/stage.rs"]
mod stage;

use std::path::Path;
use std::time::Duration;

use foreshard_external::{Answers, Scaler, serve_scaler};
use foreshard_listener::Tls;
use foreshard_testbed::parts::{self, Built};
use foreshard_testbed::{Bed, ControlPlane, Error, PartSpec, or_left_out};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::aggregation::{create_service, network, write_certificates};
use crate::stage::{GROUP, Stage, condition, eventually, plane, within};

const KEDA: &str = "apis/keda.sh/v1alpha1";
const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
const SERVICE: &str = "keda-metrics-apiserver";
/// KEDA polls every 5 s here, the autoscaler every 15 s.
const LIMIT: Duration = Duration::from_secs(180);

/// KEDA's two programs.
struct Keda {
    bed: Bed,
    adapter: u16,
}

impl Keda {
    fn start(built: &Built, plane: &ControlPlane, namespace: &str) -> Self {
        let mut bed = Bed::unique("keda").unwrap();
        let certificates = bed.subfolder("certs", None).unwrap();
        write_certificates(&certificates, &["localhost"]);
        let ports = [
            "metrics-service",
            "operator-probe",
            "operator-metrics",
            "adapter",
        ];
        let [service, probe, metrics, adapter] = ports.map(|what| bed.port(what).unwrap());
        let settings = [
            ("KUBECONFIG", plane.kubeconfig().display().to_string()),
            ("WATCH_NAMESPACE", namespace.to_owned()),
            ("POD_NAMESPACE", namespace.to_owned()),
            ("POD_NAME", "keda".to_owned()),
            ("KEDA_CLUSTER_OBJECT_NAMESPACE", namespace.to_owned()),
        ];
        let with = |spec: PartSpec| {
            let spec = spec.grace(Duration::ZERO);
            settings
                .iter()
                .fold(spec, |spec, (name, value)| spec.env(*name, value))
        };
        let folder = certificates.display();
        let operator = PartSpec::new("keda-operator", built.program("keda-operator"));
        bed.spawn(with(operator).args([
            format!("--cert-dir={folder}"),
            format!("--metrics-service-bind-address=127.0.0.1:{service}"),
            format!("--health-probe-bind-address=127.0.0.1:{probe}"),
            format!("--metrics-bind-address=127.0.0.1:{metrics}"),
            "--enable-webhook-patching=false".to_owned(),
            "--enable-apiservice-patching=false".to_owned(),
        ]))
        .unwrap();
        let kubeconfig = plane.kubeconfig().display();
        let program = PartSpec::new("keda-adapter", built.program("keda-adapter"));
        bed.spawn(with(program).args([
            format!("--cert-dir={folder}"),
            format!("--tls-cert-file={folder}/tls.crt"),
            format!("--tls-private-key-file={folder}/tls.key"),
            format!("--secure-port={adapter}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--port=0".to_owned(),
            format!("--metrics-service-address=localhost:{service}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--kubeconfig={kubeconfig}"),
            format!("--lister-kubeconfig={kubeconfig}"),
        ]))
        .unwrap();
        Self { bed, adapter }
    }

    /// What its programs said last, for a failed test.
    fn log(&self) -> String {
        let said = ["keda-operator", "keda-adapter"].map(|program| {
            let text = std::fs::read_to_string(self.bed.log(program).unwrap()).unwrap();
            let lines: Vec<&str> = text.lines().rev().take(5).collect();
            lines.join("\n")
        });
        said.join("\n\n")
    }
}

/// KEDA's definitions, as they came with it.
fn define(built: &Built, plane: &ControlPlane) {
    const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let folder = built.folder().join("share");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        plane.api().post(DEFINITIONS, &definition).unwrap();
        let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
        eventually(&name, || {
            let known = plane.api().get(&format!("{DEFINITIONS}/{name}")).unwrap();
            let established = condition(&known, "Established").map(|it| it["status"].clone());
            (established == Some(json!("True")))
                .then_some(())
                .ok_or(known)
        });
    }
}

/// An operator of ours with the external scaler; the scaler's port.
fn operate(stage: &mut Stage, folder: &Path) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    stage.operate_with(
        false,
        |_| {},
        |operator, _, stop| {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let tls = Tls::load(certificate, key).unwrap();
            let scaler = Scaler::new(operator.advice(), Answers::default(), stop.clone());
            let ended = stop.clone().cancelled_owned();
            tokio::spawn(serve_scaler(listener, Some(tls), scaler, ended));
        },
    );
    port
}

/// Where the API server finds KEDA's adapter.
fn register(stage: &Stage, plane: &ControlPlane) {
    create_service(stage, SERVICE);
    let api_service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API_SERVICE},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1",
            "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
            "service": {"namespace": stage.name(), "name": SERVICE, "port": 443}
        }
    });
    plane.api().post(API_SERVICES, &api_service).unwrap();
}

fn load(stage: &Stage, load: u32) {
    let signals = json!([{
        "name": "demand", "query": format!("vector({load})"), "sourceRef": {"name": "main"},
        "targetAverageValue": "100"
    }]);
    let spec = json!({"spec": {"signals": signals}});
    stage.patch(GROUP, "scalingpolicies", "web", &spec).unwrap();
}

#[test]
fn keda_scales_by_what_a_policy_recommends() {
    let found = parts::find("keda").map_err(Error::from);
    let Some(built) = or_left_out("KEDA", found) else {
        return;
    };
    let Some(mut stage) = Stage::empty("keda") else {
        return;
    };
    let plane = plane().unwrap();
    let Some(way) = plane.way_to_services() else {
        // The network of a cluster that was there before is not ours.
        return;
    };
    define(&built, plane);
    stage.source("main", crate::stage::prometheus().unwrap().url());
    let folder = TempDir::new().unwrap();
    write_certificates(folder.path(), &["localhost"]);
    let scaler = operate(&mut stage, folder.path());
    let keda = Keda::start(&built, plane, stage.name());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = {
        let _inside = runtime.enter();
        tokio::net::UnixListener::bind(way).unwrap()
    };
    runtime.spawn(network(listener, ([127, 0, 0, 1], keda.adapter).into()));
    register(&stage, plane);

    stage.deployment("web", 3);
    stage.policy("web", "vector(900)", "Observe");
    stage.expect("web", "Ready", "True", "Decides");
    let authority = std::fs::read_to_string(folder.path().join("ca.crt")).unwrap();
    stage.create(
        "api/v1",
        "secrets",
        &json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "foreshard-ca"},
            "stringData": {"ca.crt": authority}
        }),
    );
    // The example as users take it; only the address is that of this machine, and it is asked more often.
    let example = include_str!("../../../../examples/scaling/keda.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(example).unwrap();
    for mut object in objects {
        let scaled = object["kind"] == "ScaledObject";
        if scaled {
            let address = format!("localhost:{scaler}");
            object["spec"]["triggers"][0]["metadata"]["scalerAddress"] = json!(address);
            object["spec"]["pollingInterval"] = json!(5);
        }
        let resource = if scaled {
            "scaledobjects"
        } else {
            "triggerauthentications"
        };
        stage.create(KEDA, resource, &object);
    }
    within(LIMIT, "KEDA is ready", || {
        let object = stage.get(KEDA, "scaledobjects", "web");
        let ready = condition(&object, "Ready").map(|it| it["status"].clone());
        (ready == Some(json!("True")))
            .then_some(())
            .ok_or_else(|| (object["status"].to_string(), keda.log()))
    });
    let reaches = |count: u64| {
        within(LIMIT, &format!("{count} replicas"), || {
            let replicas = stage.replicas("web");
            (replicas == count).then_some(()).ok_or_else(|| {
                let autoscaler = "apis/autoscaling/v2";
                let seen = stage.get(autoscaler, "horizontalpodautoscalers", "keda-hpa-web");
                (replicas, seen["status"].to_string(), keda.log())
            })
        });
    };
    reaches(9);
    load(&stage, 1500);
    reaches(15);
    // A pause withholds: what is there stays.
    let pause = json!({"metadata": {"annotations": {"foreshard.dev/paused": "true"}}});
    stage
        .patch(GROUP, "scalingpolicies", "web", &pause)
        .unwrap();
    within(LIMIT, "KEDA says that it is told nothing", || {
        let object = stage.get(KEDA, "scaledobjects", "web");
        let failing = object["status"]["health"]
            .as_object()
            .is_some_and(|health| health.values().any(|it| it["status"] == "Failing"));
        failing.then_some(()).ok_or(object["status"].to_string())
    });
    assert_eq!(stage.replicas("web"), 15);
    stage.delete(KEDA, "scaledobjects", "web");
    eventually("KEDA lets go of it", || {
        let left = stage.list(KEDA, "scaledobjects");
        left.is_empty().then_some(()).ok_or(left)
    });
    plane
        .api()
        .delete(&format!("{API_SERVICES}/{API_SERVICE}"))
        .unwrap();
}
