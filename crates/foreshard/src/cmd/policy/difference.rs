//! Where two JSON documents differ, for people.

use serde_json::Value;

/// One line for each place that differs: its path, what was expected and what came.
pub(super) fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", expected, got, &mut lines);
    lines
}

fn compare(path: &str, expected: &Value, got: &Value, lines: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                compare(
                    &format!("{path}/{key}"),
                    value,
                    right.get(key).unwrap_or(&Value::Null),
                    lines,
                );
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                lines.push(format!("{path}/{key}: expected nothing, got {value}"));
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for index in 0..left.len().max(right.len()) {
                let path = format!("{path}/{index}");
                match (left.get(index), right.get(index)) {
                    (Some(left), Some(right)) => compare(&path, left, right, lines),
                    (Some(left), None) => {
                        lines.push(format!("{path}: expected {left}, got nothing"))
                    }
                    (None, Some(right)) => {
                        lines.push(format!("{path}: expected nothing, got {right}"))
                    }
                    (None, None) => {}
                }
            }
        }
        (left, right) if left != right => {
            lines.push(format!("{path}: expected {left}, got {right}"))
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn names_every_place() {
        let expected = json!({"decide": {"reason": "a", "proposals": [{"action": {"replicas": 3}}, 1], "old": true}});
        let got = json!({"decide": {"reason": "a", "proposals": [{"action": {"replicas": 4}}], "new": 2}});
        assert_eq!(
            differences(&expected, &got),
            [
                "/decide/old: expected true, got null",
                "/decide/proposals/0/action/replicas: expected 3, got 4",
                "/decide/proposals/1: expected 1, got nothing",
                "/decide/new: expected nothing, got 2",
            ]
        );
        assert!(differences(&got, &got).is_empty());
    }
}
