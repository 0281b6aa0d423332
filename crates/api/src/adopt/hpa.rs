//! A `HorizontalPodAutoscaler`.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, MetricSpec, MetricTarget,
    PodsMetricSource,
};

use super::resource::{Goal, Usage, pods};
use super::{AdoptError, Adopted, Draft, Surroundings, amount, what};
use crate::v1alpha1::{Signal, TargetRef};

/// Percent of the CPU that an HPA without metrics steers to.
const CPU_PERCENT: i32 = 80;

/// Makes a policy of it.
///
/// # Errors
/// [`AdoptError`]: KEDA's, or without a metric that a Prometheus could give.
pub fn hpa(hpa: &HorizontalPodAutoscaler, around: &Surroundings) -> Result<Adopted, AdoptError> {
    let what = what("HorizontalPodAutoscaler", &hpa.metadata);
    let owners = hpa.metadata.owner_references.iter().flatten();
    if let Some(owner) = owners
        .into_iter()
        .find(|owner| owner.kind == "ScaledObject")
    {
        return Err(AdoptError::MadeByKeda {
            what,
            scaled_object: owner.name.clone(),
        });
    }
    let Some(spec) = &hpa.spec else {
        return Err(AdoptError::Incomplete {
            what,
            field: "spec",
        });
    };
    let bounds = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let target = target(&spec.scale_target_ref);
    let mut draft = Draft::new(around, what, hpa.metadata.namespace.clone(), target, bounds);
    for metric in spec.metrics.iter().flatten() {
        draft.metric(metric);
    }
    if spec.metrics.iter().flatten().next().is_none() {
        draft.usage(&Usage {
            resource: "cpu",
            container: None,
            goal: Goal::Utilization(CPU_PERCENT),
        });
    }
    if let Some(behavior) = &spec.behavior {
        draft.behave(behavior);
    }
    draft.finish()
}

pub(super) fn target(reference: &CrossVersionObjectReference) -> TargetRef {
    let version = reference.api_version.clone();
    TargetRef {
        api_version: version.unwrap_or_else(|| "apps/v1".to_owned()),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
    }
}

impl Draft<'_> {
    fn metric(&mut self, metric: &MetricSpec) {
        if let Some(it) = &metric.resource {
            self.resource(&it.name, None, &it.target);
        } else if let Some(it) = &metric.container_resource {
            self.resource(&it.name, Some(&it.container), &it.target);
        } else if let Some(it) = &metric.pods {
            self.pods_metric(it);
        } else if let Some(it) = &metric.object {
            let (kind, name) = (&it.described_object.kind, &it.described_object.name);
            self.not_adopted(format!(
                "metric {} of {kind} {name}: only the metrics adapter knows its query; write it as a signal that gives \
                 the load of the whole target",
                it.metric.name
            ));
        } else if let Some(it) = &metric.external {
            self.not_adopted(format!(
                "external metric {}: only the metrics adapter knows its query; write it as a signal that gives the \
                 load of the whole target",
                it.metric.name
            ));
        } else {
            self.not_adopted(format!("a metric of type {}: not known", metric.type_));
        }
    }

    fn resource(&mut self, resource: &str, container: Option<&str>, target: &MetricTarget) {
        let goal = match (target.average_utilization, &target.average_value) {
            (Some(percent), _) => Goal::Utilization(percent),
            (None, Some(value)) => Goal::Average(value.0.clone()),
            (None, None) => return self.not_adopted(format!("{resource}: it has no target")),
        };
        self.usage(&Usage {
            resource,
            container,
            goal,
        });
    }

    fn pods_metric(&mut self, it: &PodsMetricSource) {
        let name = &it.metric.name;
        let plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let value = it.target.average_value.as_ref();
        let target = value
            .and_then(|value| amount::parse(&value.0))
            .and_then(amount::show);
        let (Some(target), true, None) = (target, plain, &it.metric.selector) else {
            return self.not_adopted(format!(
                "metric {name} of pods: write it as a signal that gives the load of the whole target"
            ));
        };
        self.check(format!(
            "{name}: only the metrics adapter knows its query; this one sums series of the same name: try it there"
        ));
        let namespace = self.namespace.clone().unwrap_or_default();
        let pods = pods(&self.target);
        let query = format!("sum({name}{{namespace=\"{namespace}\", pod=~\"{pods}\"}})");
        let source = self.usual_source();
        self.signal(Signal::new(name, query, source, target));
    }
}
