//! What is said twice in `deploy/` says the same, and what is asked of our metrics is there.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::Path;

use foreshard_operator::Metrics;
use promql_parser::parser::{self, Expr};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde_json::Value;

fn text(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    fs::read_to_string(top.join(path)).unwrap()
}

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    let text = text(path);
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

/// Names of our metrics as they are scraped, histograms with each of their series.
fn exported() -> BTreeSet<String> {
    let metrics = Metrics::new();
    // A family without members is not written.
    drop(metrics.not_ready.get_or_create(&Default::default()));
    drop(metrics.actions.get_or_create(&Default::default()));
    drop(metrics.clamps.get_or_create(&Default::default()));
    drop(metrics.queries.get_or_create(&Default::default()));
    drop(metrics.query_failures.get_or_create(&Default::default()));
    drop(metrics.signals.get_or_create(&Default::default()));
    drop(metrics.recommended.get_or_create(&Default::default()));
    drop(metrics.demoted.get_or_create(&Default::default()));
    let numbers = [
        &metrics.skill,
        &metrics.lead,
        &metrics.shadow_harm,
        &metrics.live_harm,
        &metrics.shadow_cost,
    ];
    for family in numbers {
        drop(family.get_or_create(&Default::default()));
    }
    let text = metrics.text();
    let types = text.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind))
    });
    types
        .flat_map(|(name, kind)| match kind {
            "counter" => vec![format!("{name}_total")],
            "histogram" => ["bucket", "sum", "count"]
                .map(|series| format!("{name}_{series}"))
                .to_vec(),
            _ => vec![name],
        })
        .collect()
}

/// Names of metrics in an expression.
struct Names(BTreeSet<String>);

impl ExprVisitor for Names {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        let selector = match expression {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(range) => Some(&range.vs),
            _ => None,
        };
        self.0.extend(selector.and_then(|it| it.name.clone()));
        Ok(true)
    }
}

/// Every string under a key of this name, with where it is.
fn strings_of(key: &str, value: &Value, at: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = format!("{at}/{name}");
                match value {
                    Value::String(text) if name == key => {
                        found.insert(at, text.clone());
                    }
                    other => strings_of(key, other, &at, found),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                strings_of(key, item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn dashboards_and_rules_ask_for_metrics_that_there_are() {
    let exported = exported();
    let mut used = BTreeSet::new();
    for path in ["dashboards/foreshard.json", "rules/foreshard.rules.yaml"] {
        let mut expressions = BTreeMap::new();
        for document in documents(path) {
            strings_of("expr", &document, path, &mut expressions);
        }
        assert!(!expressions.is_empty(), "{path}");
        for (at, expression) in expressions {
            let parsed = parser::parse(&expression).unwrap_or_else(|error| panic!("{at}: {error}"));
            let mut names = Names(BTreeSet::new());
            let Ok(_) = walk_expr(&mut names, &parsed);
            for name in &names.0 {
                assert!(
                    exported.contains(name),
                    "{at}: there is no {name}: {exported:#?}"
                );
            }
            used.extend(names.0);
        }
    }
    assert!(used.len() > 10, "{used:?}");
}

#[test]
fn variables_of_the_dashboard_are_labels_of_metrics_that_there_are() {
    let mut queries = BTreeMap::new();
    for document in documents("dashboards/foreshard.json") {
        strings_of("query", &document["templating"], "", &mut queries);
    }
    let exported = exported();
    let of_labels: Vec<&str> = queries
        .values()
        .filter_map(|query| {
            query
                .strip_prefix("label_values(")?
                .split([',', '{', ')'])
                .next()
        })
        .collect();
    assert!(!of_labels.is_empty(), "{queries:?}");
    assert!(
        of_labels.iter().all(|name| exported.contains(*name)),
        "{of_labels:?}"
    );
}

#[test]
fn both_forms_of_the_rules_are_the_same() {
    let plain = &documents("rules/foreshard.rules.yaml")[0];
    let of_operator = &documents("kustomize/components/monitoring/prometheus-rule.yaml")[0];
    assert_eq!(plain["groups"], of_operator["spec"]["groups"]);
}

#[test]
fn the_operator_may_do_in_one_namespace_what_it_may_do_in_all() {
    let all = &documents("kustomize/base/cluster-role.yaml")[0];
    let one = &documents("kustomize/overlays/namespaced/role.yaml")[0];
    assert_eq!(
        (&all["kind"], &one["kind"]),
        (&"ClusterRole".into(), &"Role".into())
    );
    assert_eq!(all["rules"], one["rules"]);
}

/// Words of the sources that look like reasons and are none.
const NO_REASONS: [&str; 6] = [
    "AlwaysAllow",
    "ContainerCreating",
    "LargeStore",
    "ProgressDeadlineExceeded",
    "ReplicaSet",
    "StatefulSet",
];

/// Rust files of a folder, and of those in it.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            let text = fs::read_to_string(path).unwrap();
            let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
            into.push(code.to_owned());
        }
    }
}

/// Whether a string is of two or more words, written as reasons are.
fn is_like_a_reason(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(char::is_uppercase)
        && text.chars().all(char::is_alphanumeric)
        && letters.next().is_some_and(char::is_lowercase)
        && letters.any(char::is_uppercase)
}

#[test]
fn every_reason_has_a_row_that_says_what_to_do() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rows = fs::read_to_string(top.join("docs/troubleshooting.md")).unwrap();
    let mut code = Vec::new();
    sources(&top.join("crates/operator/src"), &mut code);
    let literals = code
        .iter()
        .flat_map(|code| code.split('"').skip(1).step_by(2));
    let missing: BTreeSet<&str> = literals
        .filter(|text| is_like_a_reason(text) && !NO_REASONS.contains(text))
        .filter(|text| !rows.contains(&format!("`{text}`")))
        .collect();
    assert_eq!(missing, BTreeSet::new());
}
