//! The definitions of a cluster's kinds on a real API server: what it takes, refuses, shows and lets stay.
//!
//! Left out, and says so, where it is not built: `cargo xtask testbed build control-plane`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use foreshard_testbed::{ControlPlane, Namespace, or_left_out};
use serde::Deserialize;
use serde_json::{Value, json};

const GROUP: &str = "apis/foreshard.dev/v1alpha1";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Table {
    bases: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    kind: String,
    #[serde(default = "example")]
    name: String,
    #[serde(default)]
    spec: Value,
    old: Option<Value>,
    says: Option<String>,
    #[serde(rename = "by")]
    _by: Option<String>,
}

fn example() -> String {
    "example".to_owned()
}

/// The control plane with our definitions.
fn plane() -> Option<&'static ControlPlane> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let plane = or_left_out("control plane", ControlPlane::shared())?;
    INSTALLED.get_or_init(|| {
        for definition in foreshard_api::crds() {
            let name = definition.metadata.name.clone().unwrap();
            let definition = serde_json::to_value(definition).unwrap();
            plane
                .api()
                .post(DEFINITIONS, &definition)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            eventually(&name, || {
                let known = plane.api().get(&format!("{DEFINITIONS}/{name}")).unwrap();
                let conditions = known["status"]["conditions"].as_array().cloned();
                let is_established = conditions.unwrap_or_default().iter().any(|condition| {
                    condition["type"] == "Established" && condition["status"] == "True"
                });
                is_established.then_some(()).ok_or(known)
            });
        }
    });
    Some(plane)
}

fn eventually<S: std::fmt::Debug>(what: &str, mut look: impl FnMut() -> Result<(), S>) {
    let begun = Instant::now();
    while let Err(seen) = look() {
        assert!(
            begun.elapsed() < LIMIT,
            "{what}: after {LIMIT:?} still {seen:#?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// What `patch` makes of `value`, by RFC 7396.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        if !patch.is_null() {
            *value = patch.clone();
        }
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, patch) in fields {
        if patch.is_null() {
            value.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut value[name], patch);
        }
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "Vitess" => "vitesses".to_owned(),
        other => format!("{}s", other.to_lowercase()),
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({"name": name});
    json!({"apiVersion": "foreshard.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

fn table() -> Table {
    serde_saphyr::from_str(include_str!("cluster_objects.yaml")).unwrap()
}

/// What the server says of a case; the object is gone afterwards.
fn ask(
    plane: &ControlPlane,
    namespace: &Namespace<'_>,
    base: &Value,
    case: &Case,
) -> Result<Value, String> {
    let all = namespace.path(GROUP, &plural(&case.kind));
    let one = format!("{all}/{}", case.name);
    let mut spec = base.clone();
    let said = match &case.old {
        None => {
            merge(&mut spec, &case.spec);
            plane
                .api()
                .post(&all, &object(&case.kind, &case.name, &spec))
        }
        Some(old) => {
            merge(&mut spec, old);
            plane
                .api()
                .post(&all, &object(&case.kind, &case.name, &spec))
                .unwrap_or_else(|error| panic!("the old object of {case:?}: {error}"));
            plane.api().patch(&one, &json!({"spec": case.spec}))
        }
    };
    if case.old.is_some() || said.is_ok() {
        plane
            .api()
            .delete(&one)
            .map_err(|error| error.to_string())?;
    }
    said.map_err(|error| error.to_string())
}

#[test]
fn what_contradicts_itself_is_refused_with_a_reason_and_the_rest_is_taken() {
    let Some(plane) = plane() else { return };
    let namespace = plane.namespace("definitions").unwrap();
    let table = table();
    let mut wrong = Vec::new();
    for case in &table.cases {
        let said = ask(plane, &namespace, &table.bases[&case.kind], case);
        match (&case.says, said) {
            (None, Ok(_)) => {}
            (Some(says), Err(said)) if said.contains(says) => {}
            (_, said) => wrong.push(format!("{case:?}: {said:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn replicas_have_no_default_and_the_rest_is_stored() {
    let Some(plane) = plane() else { return };
    let namespace = plane.namespace("defaults").unwrap();
    let table = table();
    let vitess = object("Vitess", "example", &table.bases["Vitess"]);
    let stored = plane
        .api()
        .post(&namespace.path(GROUP, "vitesses"), &vitess)
        .unwrap();
    let spec = &stored["spec"];
    let pool = &spec["keyspaces"][0]["tabletPools"][0];
    assert_eq!(
        (&pool["replicas"], &pool["initialReplicas"]),
        (&Value::Null, &json!(3))
    );
    let gateways = &spec["cells"][0]["vtgate"];
    assert_eq!(
        (&gateways["replicas"], &gateways["initialReplicas"]),
        (&Value::Null, &json!(2))
    );
    assert_eq!(spec["topology"]["etcd"]["members"], 3);
    assert_eq!(spec["keyspaces"][0]["durability"], "SemiSync");
    assert_eq!(spec["deletionProtection"], "Enabled");
}

#[test]
fn pools_are_scaled_through_the_subresource_and_not_below_their_fewest() {
    let Some(plane) = plane() else { return };
    let namespace = plane.namespace("scale").unwrap();
    let table = table();
    for (kind, most) in [("TabletPool", 4), ("VTGatePool", 7)] {
        let all = namespace.path(GROUP, &plural(kind));
        let pool = object(kind, "pool", &table.bases[kind]);
        plane.api().post(&all, &pool).unwrap();
        let scale = format!("{all}/pool/scale");
        let wanted = json!({"spec": {"replicas": most}});
        let scaled = plane.api().patch(&scale, &wanted).unwrap();
        assert_eq!(scaled["spec"]["replicas"], most);
    }
    let scale = namespace.path(GROUP, "tabletpools/pool/scale");
    let refused = plane.api().patch(&scale, &json!({"spec": {"replicas": 1}}));
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("replicas is at least minReplicas"), "{said}");
}

#[test]
fn columns_are_those_that_people_look_for() {
    let Some(plane) = plane() else { return };
    let namespace = plane.namespace("columns").unwrap();
    let table = table();
    let all = namespace.path(GROUP, "vitesses");
    let vitess = object("Vitess", "example", &table.bases["Vitess"]);
    plane.api().post(&all, &vitess).unwrap();
    let status =
        json!({"status": {"cells": 1, "keyspaces": 1, "shards": 2, "tabletsReady": "5/6"}});
    plane
        .api()
        .patch(&format!("{all}/example/status"), &status)
        .unwrap();
    let shown = plane
        .kubectl(["get", "vitess", "-n", namespace.name()])
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let words = |line: usize| shown.lines().nth(line).unwrap().split_whitespace();
    let heads: Vec<_> = words(0).collect();
    assert_eq!(
        heads,
        [
            "NAME",
            "CELLS",
            "KEYSPACES",
            "SHARDS",
            "TABLETS",
            "VERSION",
            "READY",
            "AGE"
        ]
    );
    let row: Vec<_> = words(1).take(6).collect();
    assert_eq!(row, ["example", "1", "1", "2", "5/6", "24.0.0"]);
}

#[test]
fn the_examples_are_taken_as_they_stand() {
    let Some(plane) = plane() else { return };
    let namespace = plane.namespace("examples").unwrap();
    let examples = [
        (
            "minimal",
            include_str!("../../../examples/vitess/minimal.yaml"),
        ),
        (
            "sharded",
            include_str!("../../../examples/vitess/sharded.yaml"),
        ),
        (
            "topo-server",
            include_str!("../../../examples/vitess/topo-server.yaml"),
        ),
    ];
    for (name, text) in examples {
        let object: Value = serde_saphyr::from_str(text).unwrap();
        let all = namespace.path(GROUP, &plural(object["kind"].as_str().unwrap()));
        // Strict: an unknown field is an error and not dropped.
        plane
            .api()
            .post(&format!("{all}?fieldValidation=Strict"), &object)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A rule that is tightened must not lock out objects that were there before.
#[test]
fn what_an_older_definition_took_may_stay_while_the_rest_changes() {
    let Some(plane) = plane() else { return };
    let namespace = plane.namespace("ratcheting").unwrap();
    let table = table();
    let all = namespace.path(GROUP, "toposervers");
    let definition = format!("{DEFINITIONS}/toposervers.foreshard.dev");
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/quotaMebibytes";
    let maximum = |maximum: u32| {
        let mut known = plane.api().get(&definition).unwrap();
        *known.pointer_mut(path).unwrap().get_mut("maximum").unwrap() = maximum.into();
        plane.api().put(&definition, &known).unwrap();
    };
    let mut spec = table.bases["TopoServer"].clone();
    spec["quotaMebibytes"] = 9000.into();
    let old = object("TopoServer", "old", &spec);
    maximum(10_000);
    eventually("the wider bound is in force", || {
        plane.api().post(&all, &old).map(drop)
    });
    maximum(8192);
    let other = object("TopoServer", "other", &spec);
    eventually("the tighter bound is in force", || {
        match plane.api().post(&all, &other) {
            Ok(_) => {
                plane.api().delete(&format!("{all}/other")).unwrap();
                Err("it was taken")
            }
            Err(_) => Ok(()),
        }
    });
    plane
        .api()
        .patch(&format!("{all}/old"), &json!({"spec": {"members": 5}}))
        .unwrap();
}
