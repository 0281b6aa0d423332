//! What was adopted, as a file that explains itself.

use foreshard_api::adopt::{Adopted, Note};
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// Longest line of a comment.
const COLUMNS_MAX: usize = 110;

/// What the namespace has already.
#[derive(Clone, Debug, Default)]
pub(super) struct There {
    /// A policy of the name that the new one has.
    pub(super) has_policy: bool,
    /// Names of its sources.
    pub(super) sources: Vec<String>,
}

/// Says that applying it replaces a policy.
pub(super) fn overwrites(adopted: &Adopted, there: &There) -> Option<String> {
    there.has_policy.then(|| {
        format!(
            "namespace {} has a ScalingPolicy {} already, which applying this overwrites: --name gives this one another name",
            adopted.policy.namespace().unwrap_or_default(),
            adopted.policy.name_any()
        )
    })
}

/// One document for programs.
pub(super) fn list(adopted: &Adopted) -> anyhow::Result<Value> {
    let mut items = Vec::new();
    for source in &adopted.sources {
        items.push(serde_json::to_value(source)?);
    }
    items.push(serde_json::to_value(&adopted.policy)?);
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// The documents, with what a person should know before them.
pub(super) fn yaml(
    adopted: &Adopted,
    there: &There,
    command: &str,
    kind: &str,
    name: &str,
) -> anyhow::Result<String> {
    let mut out = String::new();
    comment(
        &mut out,
        "",
        &format!("Written by `{command}`. Nothing was changed."),
    );
    let of = |wanted: fn(&Note) -> Option<&String>| adopted.notes.iter().filter_map(wanted);
    let checks = of(|note| match note {
        Note::Check(text) => Some(text),
        Note::NotAdopted(_) => None,
    });
    let missing = of(|note| match note {
        Note::NotAdopted(text) => Some(text),
        Note::Check(_) => None,
    });
    section(&mut out, "Not adopted:", missing);
    let overwrites = overwrites(adopted, there);
    section(&mut out, "Check:", overwrites.iter().chain(checks));
    let next = next(adopted, there, kind, name);
    section(&mut out, "Next:", next.iter());
    let mut documents = Vec::new();
    for source in &adopted.sources {
        documents.push(serde_saphyr::to_string(source)?);
    }
    documents.push(serde_saphyr::to_string(&adopted.policy)?);
    Ok(out + &documents.join("---\n"))
}

/// From watching to acting.
fn next(adopted: &Adopted, there: &There, kind: &str, name: &str) -> [String; 4] {
    let policy = adopted.policy.name_any();
    let namespace = adopted.policy.namespace().unwrap_or_default();
    let missing = missing_sources(adopted, there);
    let apply = if missing.is_empty() {
        "kubectl apply -f this file".to_owned()
    } else {
        format!(
            "make the PrometheusSource {} in namespace {namespace} (docs/sources.md), then kubectl apply -f this file",
            missing.join(", ")
        )
    };
    [
        apply,
        format!(
            "kubectl foreshard status {policy} -n {namespace}; it watches beside the autoscaler and is scored against it"
        ),
        format!("kubectl foreshard backtest {policy} -n {namespace} --last 14d"),
        format!(
            "to let it act: kubectl delete {kind} {name} -n {namespace}, then set the mode to Approve or Auto. While the \
             autoscaler is there it does nothing in these modes, and says HorizontalPodAutoscalerConflict"
        ),
    ]
}

/// Names of sources that are asked, and are neither there nor in the file.
fn missing_sources<'a>(adopted: &'a Adopted, there: &There) -> Vec<&'a str> {
    let is_known = |name: &str| {
        let made = adopted.sources.iter().any(|it| it.name_any() == name);
        made || there.sources.iter().any(|it| it == name)
    };
    let signals = adopted.policy.spec.signals.iter();
    let names = signals.map(|it| it.source_ref.name.as_str());
    let mut missing: Vec<&str> = names.filter(|name| !is_known(name)).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn section<'a>(out: &mut String, title: &str, lines: impl Iterator<Item = &'a String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    out.push_str("#\n");
    comment(out, "", title);
    for line in lines {
        comment(out, "- ", line);
    }
}

/// Text behind `#`, broken between words.
fn comment(out: &mut String, mark: &str, text: &str) {
    let mut line = format!("# {mark}");
    let hang = format!("# {}", " ".repeat(mark.len()));
    for word in text.split_whitespace() {
        let is_begun = line.len() > hang.len();
        if is_begun && line.chars().count() + 1 + word.chars().count() > COLUMNS_MAX {
            out.push_str(line.trim_end());
            out.push('\n');
            line.clone_from(&hang);
        }
        if line.len() > hang.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use foreshard_api::adopt::{ScaledObject, Surroundings, scaled_object};

    use super::*;

    #[test]
    fn the_file_explains_itself() {
        let object: ScaledObject = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": {"name": "web"}, "maxReplicaCount": 30, "fallback": {},
                "triggers": [
                    {"type": "prometheus", "metadata": {
                        "serverAddress": "http://prometheus.monitoring:9090", "query": "sum(rate(a{b=\"c: d\"}[2m])) # e",
                        "threshold": "72.5"}},
                    {"type": "cron", "metadata": {
                        "timezone": "UTC", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "10"}}
                ]
            }
        }))
        .unwrap();
        let adopted = scaled_object(&object, &Surroundings::default()).unwrap();
        let text = yaml(
            &adopted,
            &There::default(),
            "kubectl foreshard adopt so web -n shop",
            "scaledobject",
            "web",
        )
        .unwrap();
        insta::assert_snapshot!(text);
        let read: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let items = list(&adopted).unwrap()["items"].clone();
        assert_eq!(Value::from(read), items, "the same as YAML and as JSON");
    }

    #[test]
    fn what_is_there_already_is_told() {
        let object: ScaledObject = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "prometheus", "metadata": {
                "serverAddress": "http://prometheus:9090", "query": "x", "threshold": "7"}}]}
        }))
        .unwrap();
        let mut adopted = scaled_object(&object, &Surroundings::default()).unwrap();
        let made = adopted.sources.remove(0).name_any();
        let none = There::default();
        assert_eq!(overwrites(&adopted, &none), None);
        let next = |there: &There| super::next(&adopted, there, "scaledobject", "web")[0].clone();
        assert_eq!(
            next(&none),
            format!(
                "make the PrometheusSource {made} in namespace shop (docs/sources.md), then kubectl apply -f this file"
            )
        );
        let there = There {
            has_policy: true,
            sources: vec![made],
        };
        assert_eq!(next(&there), "kubectl apply -f this file");
        let warning = overwrites(&adopted, &there).unwrap();
        assert!(
            warning.contains("has a ScalingPolicy web already"),
            "{warning}"
        );
    }
}
