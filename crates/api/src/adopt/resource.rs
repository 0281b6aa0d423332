//! CPU and memory, which an HPA takes from the metrics server, as expressions for a Prometheus.

use super::{Draft, amount};
use crate::v1alpha1::{Signal, TargetRef};

/// A metric of a resource.
pub(super) struct Usage<'a> {
    /// `cpu` or `memory`.
    pub(super) resource: &'a str,
    /// Of this container only.
    pub(super) container: Option<&'a str>,
    pub(super) goal: Goal,
}

/// What is steered to.
pub(super) enum Goal {
    /// Percent of what pods request.
    Utilization(i32),
    /// Cores or bytes a pod, as a quantity.
    Average(String),
}

impl Draft<'_> {
    /// Makes a signal of it, or says why not.
    pub(super) fn usage(&mut self, usage: &Usage<'_>) {
        let Usage {
            resource,
            container,
            goal,
        } = usage;
        let name =
            container.map_or_else(|| (*resource).to_owned(), |it| format!("{resource}-{it}"));
        let unit = match *resource {
            "cpu" => "cores",
            "memory" => "bytes",
            other => {
                return self
                    .not_adopted(format!("resource {other}: only cpu and memory are known"));
            }
        };
        let target = match goal {
            Goal::Average(value) => amount::parse(value),
            Goal::Utilization(percent) => {
                let requests = &self.around.requests;
                let request = match container {
                    Some(container) => requests.of_container(container, resource),
                    None => requests.of_all(resource),
                };
                let Some(request) = request else {
                    let text = format!(
                        "{name}: {percent} % of what a pod requests, and the pods of {} do not all say what that is: set requests.{resource}",
                        self.target.show()
                    );
                    return self.not_adopted(text);
                };
                Some(request * f64::from(*percent) / 100.0)
            }
        };
        let Some(target) = target.and_then(amount::show) else {
            return self.not_adopted(format!("{name}: its target is no amount"));
        };
        self.check(
            "CPU and memory: an HPA asks the metrics server; the query asks for cAdvisor's metrics with the labels \
             namespace, pod and container, as most Prometheus have them: try it there. A pod that is throttled or \
             short of memory hides load: requests a second are better where you have them",
        );
        if *resource == "memory" {
            self.check(
                "memory: seldom given back when load falls, so that it says little about load",
            );
        }
        if let Goal::Utilization(percent) = goal {
            self.check(format!(
                "{name}: targetAverageValue is {percent} % of what a pod requests at this moment: change it with the \
                 requests"
            ));
        }
        let query = query(
            resource,
            self.namespace.as_deref().unwrap_or_default(),
            &pods(&self.target),
            *container,
        );
        let source = self.usual_source();
        let mut signal = Signal::new(name, query, source, target);
        signal.unit = unit.to_owned();
        self.signal(signal);
    }
}

/// What all pods use. The empty container's series are sums over a pod, which would be counted twice.
fn query(resource: &str, namespace: &str, pods: &str, container: Option<&str>) -> String {
    let container = match container {
        Some(name) => format!("container=\"{name}\""),
        None => "container!=\"\"".to_owned(),
    };
    let matchers = format!("{{namespace=\"{namespace}\", pod=~\"{pods}\", {container}}}");
    match resource {
        "cpu" => format!("sum(rate(container_cpu_usage_seconds_total{matchers}[2m]))"),
        _ => format!("sum(container_memory_working_set_bytes{matchers})"),
    }
}

/// The names of a target's pods, as a regular expression that is anchored at both ends.
pub(super) fn pods(target: &TargetRef) -> String {
    // A backslash would have to be written twice in a string of PromQL.
    let name = target.name.replace('.', "[.]");
    match target.kind.as_str() {
        "Deployment" => format!("{name}-[a-z0-9]+-[a-z0-9]+"),
        "ReplicaSet" => format!("{name}-[a-z0-9]+"),
        "StatefulSet" => format!("{name}-[0-9]+"),
        _ => format!("{name}-.+"),
    }
}
