//! KEDA's `ScaledObject`.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HorizontalPodAutoscalerBehavior,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::resource::{Goal, Usage};
use super::{AdoptError, Adopted, Draft, Surroundings, amount, cron, hpa, what};
use crate::v1alpha1::{PrometheusSourceSpec, RequestHeader, Signal, Tls};

/// What KEDA takes where `maxReplicaCount` is absent.
const REPLICAS_MAX: i32 = 100;

/// A `ScaledObject` of `keda.sh/v1alpha1`, as far as it is looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct ScaledObject {
    /// Name and namespace.
    pub metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scale_target_ref: Target,
    min_replica_count: Option<i32>,
    max_replica_count: Option<i32>,
    idle_replica_count: Option<i32>,
    fallback: Option<serde_json::Value>,
    advanced: Option<Advanced>,
    triggers: Vec<Trigger>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    api_version: Option<String>,
    kind: Option<String>,
    name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Advanced {
    horizontal_pod_autoscaler_config: Option<HpaConfig>,
    scaling_modifiers: Option<Modifiers>,
}

#[derive(Clone, Debug, Deserialize)]
struct HpaConfig {
    behavior: Option<HorizontalPodAutoscalerBehavior>,
}

#[derive(Clone, Debug, Deserialize)]
struct Modifiers {
    #[serde(default)]
    formula: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trigger {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    metric_type: Option<String>,
    authentication_ref: Option<AuthenticationRef>,
}

#[derive(Clone, Debug, Deserialize)]
struct AuthenticationRef {
    name: String,
}

/// Makes a policy of it.
///
/// # Errors
/// [`AdoptError::NoSignal`] where no trigger asks a Prometheus, and others.
pub fn scaled_object(object: &ScaledObject, around: &Surroundings) -> Result<Adopted, AdoptError> {
    let spec = &object.spec;
    let reference = CrossVersionObjectReference {
        api_version: spec.scale_target_ref.api_version.clone(),
        kind: spec
            .scale_target_ref
            .kind
            .clone()
            .unwrap_or_else(|| "Deployment".to_owned()),
        name: spec.scale_target_ref.name.clone(),
    };
    let mut draft = Draft::new(
        around,
        what("ScaledObject", &object.metadata),
        object.metadata.namespace.clone(),
        hpa::target(&reference),
        (
            spec.min_replica_count.unwrap_or(0),
            spec.max_replica_count.unwrap_or(REPLICAS_MAX),
        ),
    );
    for (index, trigger) in spec.triggers.iter().enumerate() {
        draft.trigger(index, trigger);
    }
    draft.rest(spec);
    draft.finish()
}

impl Draft<'_> {
    fn trigger(&mut self, index: usize, trigger: &Trigger) {
        let usual = format!("{}-{index}", trigger.kind);
        let name = trigger.name.clone().unwrap_or(usual);
        match trigger.kind.as_str() {
            "prometheus" => {
                if let Err(why) = self.prometheus(&name, trigger) {
                    self.not_adopted(format!("trigger {name}: {why}"));
                }
            }
            "cron" => match cron::schedule(&name, &trigger.metadata) {
                Ok(schedule) => self.schedule(schedule),
                Err(why) => self.not_adopted(format!("trigger {name}: {why}")),
            },
            resource @ ("cpu" | "memory") => self.resource_trigger(&name, resource, trigger),
            other => self.not_adopted(format!(
                "trigger {name}: type {other} asks no Prometheus; write what it measures as a signal"
            )),
        }
    }

    fn resource_trigger(&mut self, name: &str, resource: &str, trigger: &Trigger) {
        let settings = &trigger.metadata;
        let Some(value) = settings.get("value") else {
            return self.not_adopted(format!("trigger {name}: it has no value"));
        };
        let kind = trigger.metric_type.as_ref().or(settings.get("type"));
        let goal = match (kind.map(String::as_str), value.parse()) {
            (Some("AverageValue"), _) => Goal::Average(value.clone()),
            (_, Ok(percent)) => Goal::Utilization(percent),
            (_, Err(_)) => {
                return self
                    .not_adopted(format!("trigger {name}: value {value:?} is no percentage"));
            }
        };
        self.usage(&Usage {
            resource,
            container: settings.get("containerName").map(String::as_str),
            goal,
        });
    }

    fn prometheus(&mut self, name: &str, trigger: &Trigger) -> Result<(), String> {
        let settings = &trigger.metadata;
        let get = |key: &str| {
            let value = settings.get(key).map(|it| it.trim());
            value
                .filter(|it| !it.is_empty())
                .ok_or_else(|| format!("it has no {key}"))
        };
        let (server, query, threshold) = (get("serverAddress")?, get("query")?, get("threshold")?);
        match trigger.metric_type.as_deref() {
            None | Some("AverageValue") => {}
            Some(other) => {
                return Err(format!(
                    "metricType {other} compares the query itself with the threshold, and a signal is the load of the \
                     whole target, over replicas: write such a query (AverageValue)"
                ));
            }
        }
        let target = amount::parse(threshold).and_then(amount::show);
        let target =
            target.ok_or_else(|| format!("threshold {threshold:?} is no positive number"))?;
        if query.len() > 4096 {
            return Err("its query is longer than 4096 bytes".to_owned());
        }
        let source = self.server(name, server, trigger)?;
        if settings
            .get("ignoreNullValues")
            .is_none_or(|it| it != "false")
        {
            self.check(format!(
                "trigger {name}: KEDA takes an empty answer for 0; here it is missing data, on which nothing shrinks: \
                 add `or vector(0)` to the query where no answer means no load"
            ));
        }
        let source = self.source(source);
        self.signal(Signal::new(name, query, source, target));
        if settings.contains_key("activationThreshold") {
            self.not_adopted(format!(
                "trigger {name}: activationThreshold: nothing scales to zero"
            ));
        }
        Ok(())
    }

    /// The server that a trigger asks.
    fn server(
        &mut self,
        name: &str,
        address: &str,
        trigger: &Trigger,
    ) -> Result<PrometheusSourceSpec, String> {
        let settings = &trigger.metadata;
        let rest = address
            .strip_prefix("http://")
            .or_else(|| address.strip_prefix("https://"));
        let host = rest.filter(|rest| {
            !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || "?#@".contains(c))
        });
        // It is not repeated: there may be a password in it.
        let host = host.ok_or(
            "serverAddress is no address such as http://prometheus.monitoring:9090, without user and query",
        )?;
        let mut spec = PrometheusSourceSpec::new(address);
        if !host.contains('.') {
            self.check(format!(
                "trigger {name}: {address} is resolved in the operator's namespace: add the namespace of the service"
            ));
        }
        for header in settings
            .get("customHeaders")
            .iter()
            .flat_map(|it| it.split(','))
        {
            match header.split_once('=') {
                Some((name, value)) => spec.headers.push(RequestHeader {
                    name: name.trim().to_owned(),
                    value: value.trim().to_owned(),
                }),
                None => return Err(format!("customHeaders {header:?} is not NAME=VALUE")),
            }
        }
        if settings.get("unsafeSsl").is_some_and(|it| it == "true") {
            spec.tls = Some(Tls {
                insecure_skip_verify: true,
                ..Tls::default()
            });
        }
        for setting in ["namespace", "queryParameters"] {
            if settings.contains_key(setting) {
                self.not_adopted(format!(
                    "trigger {name}: {setting}: no parameters are sent with a query; narrow the query, or set headers"
                ));
            }
        }
        let modes = settings.get("authModes");
        if let Some(reference) = &trigger.authentication_ref {
            self.not_adopted(format!(
                "trigger {name}: the credentials of TriggerAuthentication {}: name a Secret in spec.authentication or \
                 spec.tls of the PrometheusSource, and let the operator read it (docs/rbac.md)",
                reference.name
            ));
        } else if let Some(modes) = modes {
            self.not_adopted(format!("trigger {name}: authModes {modes}"));
        }
        Ok(spec)
    }

    /// What concerns all triggers.
    fn rest(&mut self, spec: &Spec) {
        if spec.idle_replica_count.is_some() {
            self.not_adopted("idleReplicaCount: nothing scales to zero");
        }
        if spec.fallback.is_some() {
            self.not_adopted("fallback: data that is missing or too old never takes anything away");
        }
        let Some(advanced) = &spec.advanced else {
            return;
        };
        let modifiers = advanced.scaling_modifiers.as_ref();
        if let Some(it) = modifiers.filter(|it| !it.formula.is_empty()) {
            self.not_adopted(format!(
                "advanced.scalingModifiers: each trigger became a signal of its own, and the highest count wins; write \
                 {:?} as one query instead",
                it.formula
            ));
        }
        let behavior = advanced
            .horizontal_pod_autoscaler_config
            .as_ref()
            .and_then(|it| it.behavior.as_ref());
        if let Some(behavior) = behavior {
            self.behave(behavior);
        }
    }
}
