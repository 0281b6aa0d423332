//! Keeps sources and modules true to their objects, and their statuses true to what is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{
    PolicyModule, PolicyModuleStatus, PrometheusSource, PrometheusSourceStatus,
};
use foreshard_history::collector::State;
use foreshard_policy::Module;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::index::{Index, Key};
use crate::lease::Claim;
use crate::module_store::{KubeModules, LoadError};
use crate::modules::Modules;
use crate::shared::unix_now;
use crate::sources::Sources;
use crate::target::in_time;

/// Sources are looked at this often: Secrets are not watched.
const SOURCES_EVERY: Duration = Duration::from_secs(10);
/// A module whose bytes could not be read is tried again this often.
const MODULES_EVERY: Duration = Duration::from_secs(30);
/// The world that this version's policies speak.
const WORLD: &str = "0.1.0";

/// Keeps sources until `stop`.
pub(crate) async fn sources(
    client: Client,
    objects: Arc<Index<PrometheusSource>>,
    sources: Arc<Sources>,
    claim: Claim,
    stop: CancellationToken,
) {
    let mut changes = objects.changes();
    loop {
        sources.refresh().await;
        for (key, object) in objects.all() {
            if claim.holds() {
                reach(&client, &key, &object, &sources).await;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = changes.changed() => {}
            () = tokio::time::sleep(SOURCES_EVERY) => {}
        }
    }
}

async fn reach(client: &Client, key: &Key, object: &PrometheusSource, sources: &Sources) {
    let source = foreshard_api::v1alpha1::SourceRef {
        kind: foreshard_api::v1alpha1::SourceKind::PrometheusSource,
        name: key.1.clone(),
    };
    let finding = match sources.find(&key.0, &source).await {
        Err(trouble) => Finding::no(kind::REACHABLE, trouble.reason, trouble.message),
        Ok(made) => match made.probe.state() {
            State::Failing { fault, .. } => {
                Finding::no(kind::REACHABLE, "QueryFailed", fault.to_string())
            }
            State::Waiting => Finding::unknown(
                kind::REACHABLE,
                "Waiting",
                "It was asked and has not answered yet.",
            ),
            _ => Finding::yes(kind::REACHABLE, "Answers", "It answers queries."),
        },
    };
    let old = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or(0);
    let now = time::from_unix(unix_now());
    let new = PrometheusSourceStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &[finding], generation, &now),
    };
    if new != old {
        patch(client, object, &new).await;
    }
}

/// Keeps modules until `stop`.
pub(crate) async fn modules(
    client: Client,
    objects: Arc<Index<PolicyModule>>,
    modules: Arc<Modules>,
    loader: Arc<KubeModules>,
    claim: Claim,
    stop: CancellationToken,
) {
    let mut changes = objects.changes();
    // What was loaded, or refused for good, by the digest that the object had.
    let mut done: BTreeMap<Key, (String, Finding)> = BTreeMap::new();
    loop {
        let all = objects.all();
        done.retain(|key, _| {
            let stays = all.iter().any(|(known, _)| known == key);
            if !stays {
                modules.remove(key);
            }
            stays
        });
        for (key, object) in all {
            let known = done
                .get(&key)
                .filter(|(digest, _)| *digest == object.spec.digest);
            if known.is_none() {
                let loaded = load(&object, &modules, &loader).await;
                let (for_good, finding) = (loaded.for_good, finding(&loaded.module));
                modules.put(key.clone(), loaded.module.map_err(|why| why.message));
                if for_good {
                    done.insert(key.clone(), (object.spec.digest.clone(), finding.clone()));
                }
                if claim.holds() {
                    tell(&client, &key, &object, &modules, finding).await;
                }
            } else if let Some((_, finding)) = known.cloned()
                && claim.holds()
            {
                tell(&client, &key, &object, &modules, finding).await;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = changes.changed() => {}
            () = tokio::time::sleep(MODULES_EVERY) => {}
        }
    }
}

struct Loaded {
    module: Result<Arc<Module>, Refused>,
    /// Trying again would give the same.
    for_good: bool,
}

struct Refused {
    reason: &'static str,
    message: String,
}

async fn load(object: &PolicyModule, modules: &Arc<Modules>, loader: &Arc<KubeModules>) -> Loaded {
    let bytes = match loader.load(object).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let module = Err(Refused {
                reason: reason(&error),
                message: error.to_string(),
            });
            let for_good = false;
            return Loaded { module, for_good };
        }
    };
    let host = Arc::clone(modules);
    let loading = tokio::task::spawn_blocking(move || host.load(&bytes)).await;
    match loading {
        Ok(Ok(module)) => Loaded {
            module: Ok(module),
            for_good: true,
        },
        Ok(Err(refusal)) => Loaded {
            for_good: refusal.is_fault_of_the_component(),
            module: Err(Refused {
                reason: "Refused",
                message: format!("{refusal}; {}", refusal.fix()),
            }),
        },
        Err(_) => Loaded {
            module: Err(Refused {
                reason: "HostUnavailable",
                message: "the policy host could not check it".to_owned(),
            }),
            for_good: false,
        },
    }
}

/// The condition's reason.
fn reason(error: &LoadError) -> &'static str {
    match error {
        LoadError::NoSource => "SourceInvalid",
        LoadError::Missing(_) => "ComponentNotFound",
        LoadError::NoBuiltin(_) => "BuiltinNotFound",
        LoadError::NoStore(_) => "StoreNotConfigured",
        LoadError::Foreign { .. } => "ForeignPath",
        LoadError::OtherDigest { .. } => "DigestMismatch",
        LoadError::Unavailable(_) => "ComponentUnavailable",
    }
}

fn finding(loaded: &Result<Arc<Module>, Refused>) -> Finding {
    match loaded {
        Ok(_) => Finding::yes(kind::ACCEPTED, "Accepted", "It can run here."),
        Err(why) => Finding::no(kind::ACCEPTED, why.reason, why.message.clone()),
    }
}

async fn tell(
    client: &Client,
    key: &Key,
    object: &PolicyModule,
    modules: &Modules,
    finding: Finding,
) {
    let old = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or(0);
    let now = time::from_unix(unix_now());
    let wanted = foreshard_api::v1alpha1::ModuleRef {
        name: key.1.clone(),
        digest: None,
    };
    let descriptor = (finding.holds == Some(true))
        .then(|| modules.find(&key.0, &wanted).ok())
        .flatten();
    let descriptor = descriptor.map(|found| found.module.descriptor().clone());
    let cut = |text: String, chars: usize| text.chars().take(chars).collect::<String>();
    let digits = object.spec.digest.trim_start_matches("sha256:");
    let new = PolicyModuleStatus {
        observed_generation: Some(generation),
        short_digest: Some(digits.chars().take(12).collect()),
        world_version: descriptor.is_some().then(|| WORLD.to_owned()),
        name: descriptor.as_ref().map(|it| cut(it.name.clone(), 128)),
        version: descriptor.as_ref().map(|it| cut(it.version.clone(), 64)),
        summary: descriptor.as_ref().map(|it| cut(it.summary.clone(), 1024)),
        actions: descriptor
            .map(|it| it.actions.into_iter().take(16).collect())
            .unwrap_or_default(),
        conditions: condition::merge(&old.conditions, &[finding], generation, &now),
    };
    if new != old {
        patch(client, object, &new).await;
    }
}

/// Writes a status.
async fn patch<K>(client: &Client, object: &K, status: &impl Serialize)
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let patch = serde_json::json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name, "uid": object.meta().uid},
        "status": status,
    });
    let parameters = PatchParams::apply(crate::FIELD_MANAGER).force();
    if let Err(error) = in_time(api.patch_status(&name, &parameters, &Patch::Apply(patch))).await {
        let kind = K::kind(&());
        tracing::warn!(%kind, namespace, name, error = chain(&error), "status not written");
    }
}
