//! What was adopted, as a file that explains itself.

use foreshard_api::adopt::{Adopted, Note};
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// Longest line of a comment.
const COLUMNS_MAX: usize = 110;

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
    section(&mut out, "Check:", checks);
    let next = next(adopted, kind, name);
    section(&mut out, "Next:", next.iter());
    let mut documents = Vec::new();
    for source in &adopted.sources {
        documents.push(serde_saphyr::to_string(source)?);
    }
    documents.push(serde_saphyr::to_string(&adopted.policy)?);
    Ok(out + &documents.join("---\n"))
}

/// From watching to acting.
fn next(adopted: &Adopted, kind: &str, name: &str) -> [String; 4] {
    let policy = adopted.policy.name_any();
    let namespace = adopted.policy.namespace().unwrap_or_default();
    [
        "kubectl apply -f this file, and make the source that it names if it is not there"
            .to_owned(),
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
}
