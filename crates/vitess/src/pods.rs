//! What pods of all kinds say of themselves.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::shared::Shared;

/// Why a pod does not come up, when it does not by itself.
pub(crate) fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unschedulable = conditions
        .filter(|it| it.type_ == "PodScheduled" && it.status == "False")
        .find_map(|it| it.message.clone());
    if unschedulable.is_some() {
        return unschedulable;
    }
    let init = status.init_container_statuses.iter().flatten();
    let mut containers = init.chain(status.container_statuses.iter().flatten());
    containers.find_map(|it| {
        let waiting = it.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        // These pass by themselves.
        if matches!(reason, "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let message = waiting.message.as_deref().unwrap_or("no message");
        Some(format!("container {} waits: {reason}: {message}", it.name))
    })
}

/// Why a pod is not ready yet: what it says of itself, or else which of its containers is not.
pub(crate) fn unready(pod: &Pod) -> String {
    if let Some(trouble) = trouble(pod) {
        return trouble;
    }
    let status = pod.status.as_ref();
    let init = status.and_then(|it| it.init_container_statuses.as_ref());
    let containers = status.and_then(|it| it.container_statuses.as_ref());
    let mut all = init.into_iter().chain(containers).flatten();
    match all.find(|it| !it.ready) {
        Some(it) if it.state.as_ref().is_some_and(|it| it.running.is_some()) => {
            format!(
                "container {} runs and is not ready: its log says why",
                it.name
            )
        }
        Some(it) => format!("container {} does not run yet", it.name),
        None if pod.spec.as_ref().is_none_or(|it| it.node_name.is_none()) => {
            "it waits for a node, or for its volume".to_owned()
        }
        None => "it does not run yet".to_owned(),
    }
}

/// What the first pod with these labels says that does not come up.
pub(crate) fn first_trouble(
    shared: &Shared,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let pods = shared.pods.in_namespace(namespace);
    let mut meant = pods.iter().filter(|pod| {
        let mut labels = labels.iter();
        labels.all(|(key, value)| pod.labels().get(key) == Some(value))
    });
    meant.find_map(|pod| Some(format!("Pod {}: {}.", pod.name_any(), trouble(pod)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(rest: &str) -> Pod {
        serde_saphyr::from_str(rest).unwrap()
    }

    #[test]
    fn one_that_is_not_ready_says_which_container_is_not() {
        const INIT: &str = "image: i, imageID: i, restartCount: 0";
        let mysqld = |state: &str| {
            format!(
                "status: {{initContainerStatuses: [{{name: programs, ready: true, {INIT}}}, {{name: mysqld, ready: false, {INIT}, \
                 state: {state}}}]}}"
            )
        };
        let waits = |reason: &str| format!("{{waiting: {{reason: {reason}, message: back-off}}}}");
        let table = [
            (
                "status: {}".to_owned(),
                "it waits for a node, or for its volume",
            ),
            (
                "spec: {nodeName: one, containers: []}".to_owned(),
                "it does not run yet",
            ),
            (
                mysqld("{running: {}}"),
                "container mysqld runs and is not ready: its log says why",
            ),
            (
                mysqld(&waits("PodInitializing")),
                "container mysqld does not run yet",
            ),
            (
                mysqld(&waits("CrashLoopBackOff")),
                "container mysqld waits: CrashLoopBackOff: back-off",
            ),
        ];
        for (rest, said) in table {
            assert_eq!(unready(&pod(&rest)), said, "{rest}");
        }
    }
}
