//! Why the API server does not give what was asked for, and what to do about it.

use foreshard_api::annotation::KILL_SWITCH;
use foreshard_cli::text::{chain, short};

/// What was asked for, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    verb: &'static str,
    resource: &'static str,
    name: Option<&'a str>,
    /// None: of the whole cluster.
    namespace: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Of one object.
    pub(crate) fn one(
        verb: &'static str,
        resource: &'static str,
        name: &'a str,
        namespace: &'a str,
    ) -> Self {
        Self {
            verb,
            resource,
            name: Some(name),
            namespace: Some(namespace),
        }
    }

    /// Of all objects of a namespace.
    pub(crate) fn all(resource: &'static str, namespace: &'a str) -> Self {
        Self {
            verb: "list",
            resource,
            name: None,
            namespace: Some(namespace),
        }
    }

    /// Of the whole cluster.
    pub(crate) fn cluster(verb: &'static str, resource: &'static str) -> Self {
        Self {
            verb,
            resource,
            name: None,
            namespace: None,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{resource} {name:?} not found in namespace {namespace}")]
    NotFound {
        resource: &'static str,
        name: String,
        namespace: String,
    },
    #[error(
        "there is no namespace {0}: make it with `kubectl create namespace {0}`, or name another one"
    )]
    NoNamespace(String),
    #[error(
        "the cluster has no {resource}: {}, or choose another cluster with --context",
        installs(.resource)
    )]
    NoDefinition { resource: &'static str },
    #[error("you may not {rule}: {said}{fix}")]
    Forbidden {
        /// Verb, resource and namespace.
        rule: String,
        /// The API server's words.
        said: String,
        fix: String,
    },
    #[error("the API server does not know you: {0}; look at the credentials of the kubeconfig")]
    Unauthorized(String),
    #[error("somebody else has just changed it: {0}")]
    Conflict(String),
    #[error("the API server refuses it: {0}")]
    Refused(String),
    #[error(
        "the API server at {address} does not answer within {seconds} s: --request-timeout gives it longer"
    )]
    Late { address: String, seconds: u64 },
    #[error("the API server at {address} cannot be asked: {why}")]
    Unreachable { address: String, why: String },
}

impl Trouble {
    /// In the user's words.
    pub(crate) fn of(error: &kube::Error, asked: Asked<'_>, address: &str) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Unreachable {
                address: address.to_owned(),
                why: chain(error),
            };
        };
        let said = short(&status.message);
        match (status.code, asked.name) {
            (401, _) => Self::Unauthorized(said),
            (403, _) => Self::Forbidden {
                rule: rule(asked),
                said,
                fix: fix(asked, user_of(&status.message)),
            },
            (404, _) if status.message.starts_with("namespaces \"") => {
                Self::NoNamespace(asked.namespace.unwrap_or_default().to_owned())
            }
            (404, Some(name)) if status.message.contains("not found") => match status
                .reason
                .as_str()
            {
                // The path is unknown, not the object.
                "NotFound" if !status.message.contains("requested resource") => Self::NotFound {
                    resource: asked.resource,
                    name: name.to_owned(),
                    namespace: asked.namespace.unwrap_or_default().to_owned(),
                },
                _ => Self::NoDefinition {
                    resource: asked.resource,
                },
            },
            (404, _) => Self::NoDefinition {
                resource: asked.resource,
            },
            (409, _) => Self::Conflict(said),
            _ => Self::Refused(said),
        }
    }

    /// Whether the object is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What brings the definition of a kind.
fn installs(resource: &str) -> &'static str {
    match resource {
        "scaledobjects" => {
            "KEDA is not installed in it; `adopt hpa` takes a HorizontalPodAutoscaler"
        }
        _ => "install the definitions (`foreshard crds | kubectl apply --server-side -f -`)",
    }
}

fn rule(asked: Asked<'_>) -> String {
    let mut text = format!("{} {}", asked.verb, asked.resource);
    if let Some(name) = asked.name {
        text += &format!(" {name:?}");
    }
    match asked.namespace {
        Some(namespace) => text + &format!(" in namespace {namespace}"),
        None => text + " in the cluster",
    }
}

/// The name by which the API server knows whom it denies something.
fn user_of(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    let (user, _) = rest.split_once('"')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@+/".contains(c);
    // It goes into a command line.
    (!user.is_empty() && user.chars().all(is_plain)).then_some(user)
}

/// Who could allow it.
fn fix(asked: Asked<'_>, user: Option<&str>) -> String {
    let user = user.unwrap_or("YOU");
    let namespace = asked
        .namespace
        .map_or(String::new(), |it| format!(" -n {it}"));
    if asked.name == Some(KILL_SWITCH) {
        return format!(
            "; the Role foreshard-stopper allows it; an administrator may: kubectl create rolebinding{namespace} \
             foreshard-stopper --role=foreshard-stopper --user={user}"
        );
    }
    let role = match (asked.resource, asked.verb) {
        (
            "loadevents"
            | "policymodules"
            | "prometheussources"
            | "scalingoverrides"
            | "scalingpolicies"
            | "scalingrecommendations",
            "get" | "list" | "watch",
        ) => "foreshard-viewer",
        ("scalingrecommendations", _) => "foreshard-approver",
        ("scalingpolicies" | "scalingoverrides", _) => "foreshard-editor",
        _ => return String::new(),
    };
    let kind = if asked.namespace.is_some() {
        "rolebinding"
    } else {
        "clusterrolebinding"
    };
    format!(
        "; an administrator may: kubectl create {kind}{namespace} {role} --clusterrole={role} --user={user}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(code: u16, reason: &str, message: &str, asked: Asked<'_>) -> String {
        let status = kube::core::Status {
            code,
            reason: reason.to_owned(),
            message: message.to_owned(),
            ..kube::core::Status::default()
        };
        Trouble::of(&kube::Error::Api(Box::new(status)), asked, "https://here").to_string()
    }

    #[test]
    fn troubles_name_what_and_the_fix() {
        let one = Asked::one("patch", "scalingrecommendations", "web-1", "shop");
        let mut all = String::new();
        for (code, reason, message, asked) in [
            (403, "Forbidden", "User \"ann\" cannot patch resource", one),
            (
                403,
                "Forbidden",
                "no",
                Asked::all("scalingpolicies", "shop"),
            ),
            (
                403,
                "Forbidden",
                "no",
                Asked::cluster("list", "scalingpolicies"),
            ),
            (
                403,
                "Forbidden",
                "configmaps is forbidden: User \"ann@example.com\" cannot patch resource",
                Asked::one("patch", "configmaps", KILL_SWITCH, "foreshard-system"),
            ),
            (
                404,
                "NotFound",
                "scalingrecommendations.foreshard.dev \"web-1\" not found",
                one,
            ),
            (
                404,
                "NotFound",
                "the server could not find the requested resource",
                one,
            ),
            (
                404,
                "",
                "404 page not found",
                Asked::all("scalingpolicies", "shop"),
            ),
            (
                404,
                "NotFound",
                "namespaces \"shop\" not found",
                Asked::one("patch", "configmaps", "kill-switch", "shop"),
            ),
            (
                403,
                "Forbidden",
                "no",
                Asked::one("get", "services", "prometheus", "monitoring"),
            ),
            (
                404,
                "NotFound",
                "the server could not find the requested resource",
                Asked::one("get", "scaledobjects", "web", "shop"),
            ),
            (401, "Unauthorized", "Unauthorized", one),
            (409, "Conflict", "the object has been modified", one),
            (422, "Invalid", "spec.x:\nwrong", one),
        ] {
            all += &trouble(code, reason, message, asked);
            all.push('\n');
        }
        insta::assert_snapshot!(all);
    }
}
