//! What `deploy/` has is taken by a real API server, field by field, alone and with all of its components.
//!
//! Left out, and says so, where it is not built: `cargo xtask testbed build control-plane`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use foreshard_testbed::{ControlPlane, or_left_out};
use serde_json::json;
use tempfile::TempDir;

/// Everything at once; what is of the Prometheus operator is defined by the test.
const ALL: &str = "
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../kustomize/base
components:
- ../kustomize/components/cluster-controllers
- ../kustomize/components/external-metrics
- ../kustomize/components/external-scaler
- ../kustomize/components/extra-scale-targets
- ../kustomize/components/http-api
- ../kustomize/components/monitoring
- ../kustomize/components/network-policy
";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Kinds of the Prometheus operator, as far as their names go.
fn define(plane: &ControlPlane, kind: &str, plural: &str) {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
            }]
        }
    });
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    plane.api().post(path, &definition).unwrap();
    let path = format!("{path}/{plural}.monitoring.coreos.com");
    let begun = Instant::now();
    loop {
        let seen = plane.api().get(&path).unwrap();
        let conditions = seen["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        if conditions.any(|it| it["type"] == "Established" && it["status"] == "True") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{seen:#}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_overlay_and_component_is_taken() {
    let Some(plane) = or_left_out("control plane", ControlPlane::start()) else {
        return;
    };
    define(&plane, "PodMonitor", "podmonitors");
    define(&plane, "PrometheusRule", "prometheusrules");
    succeeds(&mut plane.kubectl(["create", "namespace", "shop"]));
    let folder = TempDir::new().unwrap();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    copy(&deploy, folder.path());
    fs::create_dir(folder.path().join("all")).unwrap();
    fs::write(folder.path().join("all/kustomization.yaml"), ALL).unwrap();
    for name in [
        "kustomize/base",
        "kustomize/overlays/namespaced",
        "kustomize/overlays/http-api",
        "kustomize/overlays/clusters",
        "all",
    ] {
        let path = folder.path().join(name);
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--validate=strict",
        ];
        let said = succeeds(plane.kubectl(apply).arg("-k").arg(path));
        // What admission has to say of pods and policies comes as a warning.
        assert!(!said.contains("Warning"), "{name}: {said}");
    }
    examples_are_taken(&plane);
    a_cluster_that_has_served_is_protected(&plane);
    plane.down().unwrap();
}

/// Every example that is an object of ours, or of Kubernetes.
fn examples_are_taken(plane: &ControlPlane) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut taken = 0;
    for folder in ["scaling", "vitess"] {
        for entry in fs::read_dir(examples.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            // One is of KEDA's kinds, one a file for the operator, and one is a text.
            if ["keda.yaml", "operator-config.yaml", "README.md"].contains(&name) {
                continue;
            }
            let mut apply = plane.kubectl(["apply", "--server-side", "--dry-run=server"]);
            let strictly = ["--validate=strict", "--namespace=shop", "--filename"];
            succeeds(apply.args(strictly).arg(&path));
            taken += 1;
        }
    }
    assert!(taken >= 9, "{taken}");
}

fn a_cluster_that_has_served_is_protected(plane: &ControlPlane) {
    let vitesses = "/apis/foreshard.dev/v1alpha1/namespaces/shop/vitesses";
    let example = format!("{vitesses}/example");
    let text = include_str!("../../../examples/vitess/minimal.yaml");
    let vitess: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    let create = || plane.api().post(vitesses, &vitess).unwrap();
    // One that never served may go.
    create();
    plane.api().delete(&example).unwrap();
    create();
    let served = json!({"status": {"initialized": true}});
    plane
        .api()
        .patch(&format!("{example}/status"), &served)
        .unwrap();
    // A policy holds a moment after it was written.
    let begun = Instant::now();
    let dry = format!("{example}?dryRun=All");
    let said = loop {
        match plane.api().delete(&dry) {
            Err(error) => break error.to_string(),
            Ok(_) => assert!(begun.elapsed() < Duration::from_secs(60)),
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert!(
        said.contains("set spec.deletionProtection to Disabled first"),
        "{said}"
    );
    assert!(plane.api().delete(&example).is_err());
    let disabled = json!({"spec": {"deletionProtection": "Disabled"}});
    plane.api().patch(&example, &disabled).unwrap();
    plane.api().delete(&example).unwrap();
}
