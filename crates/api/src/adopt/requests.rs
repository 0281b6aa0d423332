//! What a pod asks its node for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSpec;

use super::amount;

/// Requests of a pod's containers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// By container, then by resource, in cores or bytes.
    containers: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Requests {
    /// Those of a pod template.
    #[must_use]
    pub fn of_pod(spec: &PodSpec) -> Self {
        let containers = spec.containers.iter().map(|container| {
            let requests = container
                .resources
                .as_ref()
                .and_then(|it| it.requests.as_ref());
            let requests = requests.into_iter().flatten();
            let amounts =
                requests.filter_map(|(name, value)| Some((name.clone(), amount::parse(&value.0)?)));
            (container.name.clone(), amounts.collect())
        });
        Self {
            containers: containers.collect(),
        }
    }

    /// The sum over all containers, as an HPA takes it; none where one requests nothing of it.
    pub(super) fn of_all(&self, resource: &str) -> Option<f64> {
        if self.containers.is_empty() {
            return None;
        }
        let all = self.containers.values();
        all.map(|amounts| amounts.get(resource)).sum()
    }

    /// That of one container.
    pub(super) fn of_container(&self, container: &str, resource: &str) -> Option<f64> {
        self.containers.get(container)?.get(resource).copied()
    }
}
