//! The object that is scaled: reading it, and writing its `/scale`.
//!
//! What a target has is read anew at each evaluation: one request. Its `/scale` is written with the resource version
//! that was read, so what somebody else did meanwhile is never overwritten: on a conflict it is observed again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foreshard_api::v1alpha1::TargetRef;
use foreshard_controller::call::{Turn, in_time};
use k8s_openapi::api::autoscaling::v1::Scale;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use tokio::time::Instant;

use crate::shared::GRANT;
use foreshard_controller::error::{chain, refusal};

/// How long a kind that is not there, or cannot be scaled, is believed to be so: definitions are mended.
const UNKNOWN_KIND: Duration = Duration::from_secs(30);
/// Kinds of the group `apps` whose count is where everybody knows, and that tell how many are ready.
const WELL_KNOWN: [&str; 3] = ["Deployment", "StatefulSet", "ReplicaSet"];

fn is_well_known(target: &TargetRef) -> bool {
    target.api_version.starts_with("apps/") && WELL_KNOWN.contains(&target.kind.as_str())
}

/// A target as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Replicas asked for.
    pub(crate) wanted: u32,
    /// Replicas that are ready.
    pub(crate) ready: u32,
    /// Of this version.
    pub(crate) resource_version: String,
    /// Why a change of it does not come to an end; none: nothing is known of that.
    pub(crate) stuck: Option<String>,
    /// It asks to be left alone.
    pub(crate) paused: bool,
}

/// Why a target cannot be read or scaled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// It is not there.
    #[error("{0} does not exist in this namespace")]
    NotFound(String),
    /// Its kind is not there.
    #[error("the cluster has no kind {kind} in {api_version}; see `kubectl api-resources`")]
    UnknownKind {
        /// API version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// Its kind cannot be scaled.
    #[error("{0} has no /scale subresource")]
    NoScale(String),
    /// We may not.
    #[error("{0}; {GRANT}")]
    Forbidden(String),
    /// Somebody changed it since it was read.
    #[error("{0} was changed by somebody else since it was read")]
    Conflict(String),
    /// Anything else, which may pass.
    #[error("{0}")]
    Unavailable(String),
}

impl TargetError {
    /// The condition's reason.
    #[must_use]
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "TargetNotFound",
            Self::UnknownKind { .. } => "KindNotFound",
            Self::NoScale(_) => "ScaleSubresourceMissing",
            Self::Forbidden(_) => "Forbidden",
            Self::Conflict(_) => "Conflict",
            Self::Unavailable(_) => "APIServerUnavailable",
        }
    }
}

/// What the cluster says of a kind.
#[derive(Clone, Debug)]
enum Kind {
    Scalable(ApiResource),
    NoScale(Instant),
    Unknown(Instant),
}

/// Reads and scales targets of any kind.
#[derive(Clone)]
pub(crate) struct Targets {
    client: Client,
    kinds: Arc<Mutex<HashMap<(String, String), Kind>>>,
}

impl Targets {
    /// By this client.
    #[must_use]
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Arc::default(),
        }
    }

    /// Reads a target.
    ///
    /// # Errors
    /// When it cannot be read, or has no `/scale`.
    #[tracing::instrument(level = "debug", name = "read target", skip_all)]
    pub(crate) async fn read(
        &self,
        namespace: &str,
        target: &TargetRef,
    ) -> Result<Seen, TargetError> {
        let resource = self.resource(target).await?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let object = in_time(api.get(&target.name))
            .await
            .map_err(|error| failed(target, error))?;
        let status = |field: &str| count(object.data.pointer(&format!("/status/{field}")));
        let version = object.resource_version().unwrap_or_default();
        let paused = foreshard_api::annotation::is_paused(object.metadata.annotations.as_ref());
        if is_well_known(target)
            && let Some(wanted) = count(object.data.pointer("/spec/replicas"))
        {
            return Ok(Seen {
                wanted,
                ready: status("readyReplicas").unwrap_or(0),
                resource_version: version,
                stuck: stuck(&object.data),
                paused,
            });
        }
        let scale = in_time(api.get_scale(&target.name))
            .await
            .map_err(|error| failed(target, error))?;
        let counted = scale.status.as_ref().map(|status| status.replicas);
        let wanted = scale
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .or(counted);
        let positive = |value: i32| u32::try_from(value).unwrap_or(0);
        Ok(Seen {
            wanted: wanted.map_or(0, positive),
            ready: status("readyReplicas").unwrap_or_else(|| counted.map_or(0, positive)),
            resource_version: scale.metadata.resource_version.unwrap_or(version),
            stuck: stuck(&object.data),
            paused,
        })
    }

    /// Asks for `count` replicas, if the target is still what was `seen`. The turn is taken before, so that nothing
    /// lies between a last look and the write.
    ///
    /// # Errors
    /// [`TargetError::Conflict`] when it is not; else when it cannot be written.
    #[tracing::instrument(level = "debug", name = "write scale", skip_all)]
    pub(crate) async fn scale(
        &self,
        turn: &Turn,
        namespace: &str,
        target: &TargetRef,
        seen: &Seen,
        count: u32,
    ) -> Result<(), TargetError> {
        let resource = self.resource(target).await?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let mut scale: Scale = Scale::default();
        scale.metadata.name = Some(target.name.clone());
        scale.metadata.namespace = Some(namespace.to_owned());
        scale.metadata.resource_version = Some(seen.resource_version.clone());
        scale.spec = Some(k8s_openapi::api::autoscaling::v1::ScaleSpec {
            replicas: i32::try_from(count).ok(),
        });
        let parameters = PostParams {
            field_manager: Some(crate::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        turn.in_time(api.replace_scale(&target.name, &parameters, &scale))
            .await
            .map(drop)
            .map_err(|error| failed(target, error))
    }

    /// Where objects of the target's kind are.
    async fn resource(&self, target: &TargetRef) -> Result<ApiResource, TargetError> {
        let key = (target.api_version.clone(), target.kind.clone());
        let known = self.kinds().get(&key).cloned();
        let kind = match known {
            Some(Kind::Unknown(since) | Kind::NoScale(since))
                if since.elapsed() >= UNKNOWN_KIND =>
            {
                None
            }
            other => other,
        };
        let kind = match kind {
            Some(kind) => kind,
            None => {
                let found = self.discover(target).await?;
                self.kinds().insert(key, found.clone());
                found
            }
        };
        match kind {
            Kind::Scalable(resource) => Ok(resource),
            Kind::NoScale(_) => Err(TargetError::NoScale(target.show())),
            Kind::Unknown(_) => Err(TargetError::UnknownKind {
                api_version: target.api_version.clone(),
                kind: target.kind.clone(),
            }),
        }
    }

    async fn discover(&self, target: &TargetRef) -> Result<Kind, TargetError> {
        let (group, version) = match target.api_version.split_once('/') {
            Some((group, version)) => (group, version),
            None => ("", target.api_version.as_str()),
        };
        let list = async {
            if group.is_empty() {
                self.client.list_core_api_resources(version).await
            } else {
                self.client
                    .list_api_group_resources(&target.api_version)
                    .await
            }
        };
        let list = match in_time(list).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                return Ok(Kind::Unknown(Instant::now()));
            }
            Err(error) => return Err(failed(target, error)),
        };
        let own = list
            .resources
            .iter()
            .find(|it| it.kind == target.kind && !it.name.contains('/'));
        let Some(own) = own else {
            return Ok(Kind::Unknown(Instant::now()));
        };
        let scale = format!("{}/scale", own.name);
        if !list.resources.iter().any(|it| it.name == scale) {
            return Ok(Kind::NoScale(Instant::now()));
        }
        let kind = GroupVersionKind::gvk(group, version, &target.kind);
        Ok(Kind::Scalable(ApiResource::from_gvk_with_plural(
            &kind, &own.name,
        )))
    }

    /// No section under this lock can panic half way.
    fn kinds(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(target: &TargetRef, error: kube::Error) -> TargetError {
    match refusal(&error) {
        ("NotFound", _) => TargetError::NotFound(target.show()),
        ("Forbidden", message) => TargetError::Forbidden(message),
        ("Conflict", _) => TargetError::Conflict(target.show()),
        _ => TargetError::Unavailable(chain(&error)),
    }
}

fn count(value: Option<&Value>) -> Option<u32> {
    value
        .and_then(Value::as_u64)
        .and_then(|value| u32::try_from(value).ok())
}

/// Whether a rollout has given up, as Deployments say it.
fn stuck(object: &Value) -> Option<String> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let text = |condition: &Value, field: &str| {
        condition
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let failed = conditions.iter().find(|it| {
        text(it, "type") == "Progressing" && text(it, "reason") == "ProgressDeadlineExceeded"
    })?;
    Some(text(failed, "message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_that_gave_up_is_seen() {
        let object = serde_json::json!({"status": {"conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
        ]}});
        assert_eq!(stuck(&object), Some("timed out".to_owned()));
        assert_eq!(stuck(&serde_json::json!({"status": {}})), None);
    }
}
