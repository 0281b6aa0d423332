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
