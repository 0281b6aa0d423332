//! Server-side apply of what we own, and only where something differs.

use std::collections::BTreeMap;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::{
    KeyspaceShard, PrometheusSource, TabletPool, TopoServer, VTGatePool,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use foreshard_controller::call::in_time;
use foreshard_controller::error::{chain, refusal};
use foreshard_controller::lease::Claim;

use crate::bytes;
use crate::digest;
use crate::metrics::Metrics;

/// On an object: digest of what was applied last, so that a field is taken away that is no longer wanted.
const APPLIED: &str = "foreshard.dev/applied";

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// Somebody else may write now.
    #[error("another replica holds the lease")]
    NotLeading,
    /// An object could not be put into words.
    #[error("{kind} {name} cannot be written as JSON")]
    Shape {
        kind: String,
        name: String,
        #[source]
        source: serde_json::Error,
    },
    /// Somebody else's object has the name that ours would have.
    #[error(
        "{kind} {name} is there and was not made for this object: give it another name, or delete it"
    )]
    Taken { kind: String, name: String },
    /// The API server does not say whether there is one.
    #[error("{kind} {name} could not be read")]
    Read {
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server refused, or did not answer.
    #[error("{kind} {name} was not written")]
    Write {
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

impl ApplyError {
    pub(crate) fn taken<K: Owned>(name: String) -> Self {
        let kind = K::kind(&()).into_owned();
        Self::Taken { kind, name }
    }

    pub(crate) fn read<K: Owned>(name: &str, error: kube::Error) -> Self {
        Self::Read {
            kind: K::kind(&()).into_owned(),
            name: name.to_owned(),
            source: Box::new(error),
        }
    }
}

/// What may be made of a cluster.
pub(crate) trait Owned:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
}
impl Owned for Pod {}
impl Owned for PersistentVolumeClaim {}
impl Owned for Secret {}
impl Owned for Service {}
impl Owned for ServiceAccount {}
impl Owned for ConfigMap {}
impl Owned for Role {}
impl Owned for RoleBinding {}
impl Owned for PrometheusSource {}
impl Owned for PodDisruptionBudget {}
impl Owned for Deployment {}
impl Owned for Job {}
impl Owned for NetworkPolicy {}
impl Owned for TopoServer {}
impl Owned for KeyspaceShard {}
impl Owned for TabletPool {}
impl Owned for VTGatePool {}

/// Writes in the name of one controller.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    claim: Claim,
    manager: &'static str,
    metrics: Metrics,
}

impl Writer {
    pub(crate) fn new(
        client: Client,
        claim: Claim,
        manager: &'static str,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            claim,
            manager,
            metrics,
        }
    }

    /// Has `wanted` be there; what is `live` already is not written.
    pub(crate) async fn apply<K: Owned>(
        &self,
        wanted: &K,
        live: Option<&K>,
    ) -> Result<(), ApplyError> {
        let (kind, name) = (K::kind(&()).into_owned(), wanted.name_any());
        let shape = |source| ApplyError::Shape {
            kind: kind.clone(),
            name: name.clone(),
            source,
        };
        let mut value = serde_json::to_value(wanted).map_err(shape)?;
        let digest = digest::short(&value.to_string());
        value["metadata"]["annotations"][APPLIED] = digest.into();
        if let Some(live) = live
            && contains(&serde_json::to_value(live).map_err(shape)?, &value)
        {
            return Ok(());
        }
        self.begins::<K>()?;
        // What was there and is gone is not made anew by the way: an empty volume would be taken for the one that was seen.
        if let Some(uid) = live.and_then(|it| it.uid()) {
            value["metadata"]["uid"] = uid.into();
        }
        let parameters = PatchParams::apply(self.manager).force();
        let api = self.api::<K>(wanted.namespace().as_deref());
        in_time(api.patch(&name, &parameters, &Patch::Apply(value)))
            .await
            .map(drop)
            .map_err(|error| write(kind, name, error))
    }

    /// Has a part of an object be so, whatever the rest of it is. Answers nothing: what others own is taken over.
    pub(crate) async fn apply_part<K: Owned>(
        &self,
        of: &K,
        spec: serde_json::Value,
    ) -> Result<(), ApplyError> {
        self.begins::<K>()?;
        let name = of.name_any();
        let part = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name},
            "spec": spec,
        });
        let parameters = PatchParams::apply(self.manager).force();
        let api = self.api::<K>(of.namespace().as_deref());
        in_time(api.patch(&name, &parameters, &Patch::Apply(part)))
            .await
            .map(drop)
            .map_err(|error| write(K::kind(&()).into_owned(), name, error))
    }

    /// Writes a status; answers whether it is there now.
    pub(crate) async fn status<K>(&self, object: &K, status: &impl Serialize) -> bool
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        if self.begins::<K>().is_err() {
            return false;
        }
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let patch = serde_json::json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // Not the status of another object of the same name.
            "metadata": {"name": name, "uid": object.uid()},
            "status": status,
        });
        let parameters = PatchParams::apply(self.manager).force();
        let written = in_time(api.patch_status(&name, &parameters, &Patch::Apply(patch))).await;
        if let Err(error) = &written {
            let kind = K::kind(&());
            tracing::warn!(namespace, name, %kind, error = chain(error), "status not written");
        }
        written.is_ok()
    }

    /// Has the object bear these labels, and leaves the rest of it alone.
    pub(crate) async fn label<K: Owned>(
        &self,
        live: &K,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), ApplyError> {
        if labels
            .iter()
            .all(|(key, value)| live.labels().get(key) == Some(value))
        {
            return Ok(());
        }
        let patch = serde_json::json!({"labels": labels});
        self.merge(live, patch).await
    }

    /// Has the object bear an annotation, or not, and leaves the rest of it alone.
    pub(crate) async fn annotate<K: Owned>(
        &self,
        live: &K,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApplyError> {
        let patch = serde_json::json!({"annotations": {key: value}});
        self.merge(live, patch).await
    }

    /// Changes metadata of the object that was seen, and of no other of its name.
    async fn merge<K: Owned>(&self, live: &K, mut meta: Value) -> Result<(), ApplyError> {
        self.begins::<K>()?;
        meta["uid"] = live.uid().into();
        let patch = serde_json::json!({"metadata": meta});
        let parameters = PatchParams {
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        };
        let name = live.name_any();
        let api = self.api::<K>(live.namespace().as_deref());
        in_time(api.patch(&name, &parameters, &Patch::Merge(patch)))
            .await
            .map(drop)
            .map_err(|error| write(K::kind(&()).into_owned(), name, error))
    }

    /// Deletes the object that was seen, and no other of its name.
    pub(crate) async fn delete<K: Owned>(&self, seen: &K) -> Result<(), ApplyError> {
        self.begins::<K>()?;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: seen.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let (kind, name) = (K::kind(&()).into_owned(), seen.name_any());
        let api = self.api::<K>(seen.namespace().as_deref());
        match in_time(api.delete(&name, &parameters)).await {
            Ok(_) => Ok(()),
            // It is gone, or another one has come in its place.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(write(kind, name, error)),
        }
    }

    /// Counts a write that may be done.
    fn begins<K: Resource<DynamicType = ()>>(&self) -> Result<(), ApplyError> {
        self.leads()?;
        self.metrics.wrote(&K::kind(&()));
        Ok(())
    }

    pub(crate) fn leads(&self) -> Result<(), ApplyError> {
        self.claim
            .holds()
            .then_some(())
            .ok_or(ApplyError::NotLeading)
    }

    pub(crate) fn api<K: Owned>(&self, namespace: Option<&str>) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace.unwrap_or_default())
    }
}

/// What could not be written, as a condition.
pub(crate) fn trouble(error: &ApplyError) -> Finding {
    let (reason, message) = match error {
        ApplyError::Write { kind, name, source } => {
            let (reason, said) = refusal(source);
            (reason, format!("{kind} {name} was not written: {said}"))
        }
        ApplyError::Read { kind, name, source } => {
            let (reason, said) = refusal(source);
            (reason, format!("{kind} {name} cannot be read: {said}"))
        }
        ApplyError::Taken { .. } => ("NameTaken", format!("{}.", chain(error))),
        other => ("NotWritten", chain(other)),
    };
    Finding::no(kind::PROGRESSING, reason, message)
}

fn write(kind: String, name: String, error: kube::Error) -> ApplyError {
    ApplyError::Write {
        kind,
        name,
        source: Box::new(error),
    }
}

/// Whether `live` is as `wanted` says, whatever more it has: what the API server fills in is not ours. Lists have to be
/// of the same length.
pub(crate) fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            let nothing =
                wanted.is_null() || wanted.as_object().is_some_and(serde_json::Map::is_empty);
            live.get(key).map_or(nothing, |live| contains(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            let pairs = live.iter().zip(wanted);
            live.len() == wanted.len()
                && pairs
                    .into_iter()
                    .all(|(live, wanted)| contains(live, wanted))
        }
        // The API server writes amounts in its own way: `1024Mi` comes back as `1Gi`.
        (Value::String(live), Value::String(wanted)) => {
            live == wanted
                || bytes::amount(live).is_some_and(|live| bytes::amount(wanted) == Some(live))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_already_is_known_by_what_we_say_of_it() {
        let live = json!({"a": 1, "b": {"c": [ {"d": 1, "default": true} ]}, "status": {},
            "h": {"cpu": "500m", "memory": "1Gi"}});
        let table = [
            (json!({"a": 1}), true),
            (json!({"b": {"c": [{"d": 1}]}}), true),
            (json!({"b": {"c": []}}), false),
            (json!({"b": {"c": [{"d": 2}]}}), false),
            (json!({"a": 1, "e": null, "f": {}}), true),
            (json!({"a": "1"}), false),
            (json!({"h": {"cpu": "0.5", "memory": "1024Mi"}}), true),
            (json!({"h": {"cpu": "501m"}}), false),
            (json!({"g": 1}), false),
        ];
        for (wanted, known) in table {
            assert_eq!(contains(&live, &wanted), known, "{wanted}");
        }
    }
}
