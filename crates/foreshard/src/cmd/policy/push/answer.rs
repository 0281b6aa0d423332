//! What the server says of an upload.

use std::fmt::Write as _;

use anyhow::bail;
use serde_json::Value;

use foreshard_cli::text::short;

/// What became of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is there.
    Stored {
        /// Under a name that was free.
        is_new: bool,
        /// As the API shows it.
        module: Value,
    },
    /// The server refuses the component itself: its problem document.
    Refused(Value),
}

impl Answer {
    /// Reads an answer. One that is about the request, and not about the component, is an error.
    pub(super) fn read(status: u16, body: &[u8], server: &str) -> anyhow::Result<Self> {
        let document: Option<Value> = serde_json::from_slice(body).ok();
        match (status, document) {
            (200 | 201, Some(module)) => Ok(Self::Stored {
                is_new: status == 201,
                module,
            }),
            (422, Some(problem)) if is_problem(&problem) => Ok(Self::Refused(problem)),
            (_, Some(problem)) if is_problem(&problem) => {
                bail!("{server} refuses the upload ({status}): {}", told(&problem))
            }
            // A Status of the Kubernetes API server, on its way to the service.
            (_, Some(other)) if other["message"].is_string() => {
                let message = short(other["message"].as_str().unwrap_or_default());
                let fix = fix(status, &message);
                bail!(
                    "the Kubernetes API server does not pass it on to {server} ({status}): {message}{fix}"
                )
            }
            _ => bail!("{server} answers {status} with what is no answer of Foreshard"),
        }
    }

    pub(super) fn document(&self) -> &Value {
        match self {
            Self::Stored { module, .. } => module,
            Self::Refused(problem) => problem,
        }
    }

    /// For people.
    pub(super) fn text(&self, file: &str, name: &str, namespace: &str) -> String {
        match self {
            Self::Refused(problem) => format!("{file} is refused: {}\n", told(problem)),
            Self::Stored { is_new, module } => {
                let verb = if *is_new { "stored" } else { "there" };
                let says = &module["descriptor"];
                let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!(
                    "policymodule {namespace}/{name} is {verb}: {} {}, {}\n\
                     Name it in a ScalingPolicy's spec.policies to have it decide:\n\
                     \x20 - name: {name}\n    moduleRef: {{ name: {name} }}\n",
                    field(&says["name"]),
                    field(&says["version"]),
                    field(&module["digest"]),
                )
            }
        }
    }
}

/// What to do where the Kubernetes API server does not pass a request on.
fn fix(status: u16, message: &str) -> &'static str {
    match status {
        404 if message.contains("services ") => {
            "; is the component http-api of deploy/kustomize installed in that namespace? Else name the service with \
             --service NAMESPACE/NAME:PORT, or go there directly with --server"
        }
        503 => "; does the operator run there? --server goes to another one directly",
        403 => {
            "; it needs `get` and `update` on `services/proxy` there, or go to Foreshard directly with --server"
        }
        _ => "",
    }
}

fn is_problem(document: &Value) -> bool {
    let kind = document["type"].as_str();
    kind.is_some_and(|kind| kind.starts_with("urn:foreshard:problem:"))
}

/// What is wrong, where, and the fix.
fn told(problem: &Value) -> String {
    let mut told = problem["detail"].as_str().unwrap_or_default().to_owned();
    for issue in problem["errors"].as_array().into_iter().flatten() {
        let text = |key: &str| issue[key].as_str().unwrap_or_default();
        // Writing into a string does not fail.
        let _ = write!(told, "; {}: {}", text("path"), text("message"));
    }
    match problem["fix"].as_str() {
        Some(fix) if !fix.is_empty() => format!("{told}; {fix}"),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let problem =
            br#"{"type": "urn:foreshard:problem:not-wasm", "detail": "no", "fix": "build it"}"#;
        let read = |status, body: &[u8]| Answer::read(status, body, "https://x");
        assert!(matches!(
            read(201, b"{}"),
            Ok(Answer::Stored { is_new: true, .. })
        ));
        let refused = read(422, problem).unwrap();
        assert_eq!(
            refused.text("a.wasm", "a", "shop"),
            "a.wasm is refused: no; build it\n"
        );
        let error = |status, body: &[u8]| read(status, body).unwrap_err().to_string();
        assert_eq!(
            error(403, problem),
            "https://x refuses the upload (403): no; build it"
        );
        assert_eq!(
            error(
                503,
                br#"{"kind": "Status", "message": "no endpoints available"}"#
            ),
            "the Kubernetes API server does not pass it on to https://x (503): no endpoints available; does the operator \
             run there? --server goes to another one directly"
        );
        let missing = br#"{"kind": "Status", "message": "services \"foreshard\" not found"}"#;
        assert!(error(404, missing).contains("component http-api"));
        assert!(error(200, b"<html>").contains("no answer of Foreshard"));
    }
}
