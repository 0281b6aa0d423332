//! The rules of a cluster's kinds, by the table that `tests/definitions.rs` asks a real API server as well.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

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
    by: Option<String>,
}

fn example() -> String {
    "example".to_owned()
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

/// What the rules say of an object, and of its change when there is an old one.
fn judge(kind: &str, object: &Value, old: Option<&Value>) -> Result<(), String> {
    macro_rules! judge {
        ($kind:ty) => {{
            let object: $kind = serde_json::from_value(object.clone()).unwrap();
            match old {
                None => object.validate_cel(),
                Some(old) => {
                    let old: $kind = serde_json::from_value(old.clone()).unwrap();
                    object.validate_cel_update(&old)
                }
            }
            .map_err(|errors| format!("{errors:?}"))
        }};
    }
    match kind {
        "KeyspaceShard" => judge!(KeyspaceShard),
        "TabletPool" => judge!(TabletPool),
        "TopoServer" => judge!(TopoServer),
        "VTGatePool" => judge!(VTGatePool),
        "Vitess" => judge!(Vitess),
        other => panic!("{other} is no kind of the table"),
    }
}

#[test]
fn what_rules_refuse_is_refused_with_a_reason_and_the_rest_is_taken() {
    let table: Table =
        serde_saphyr::from_str(include_str!("../../tests/cluster_objects.yaml")).unwrap();
    let mut wrong = Vec::new();
    // What only the schema refuses cannot be told without a server.
    let judged = table.cases.iter().filter(|case| case.by.is_none());
    for case in judged {
        let object = |spec: Value| {
            let metadata = json!({"name": case.name, "namespace": "shop"});
            json!({"apiVersion": "foreshard.dev/v1alpha1", "kind": case.kind, "metadata": metadata, "spec": spec})
        };
        let mut spec = table.bases[&case.kind].clone();
        let old = case.old.as_ref().map(|old| {
            merge(&mut spec, old);
            object(spec.clone())
        });
        merge(&mut spec, &case.spec);
        let said = judge(&case.kind, &object(spec), old.as_ref());
        match (&case.says, said) {
            (None, Ok(())) => {}
            (Some(says), Err(said)) if said.contains(says) => {}
            (_, said) => wrong.push(format!("{case:?}: {said:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
