//! Keeps sources and modules true to their objects, and their statuses true to what is.

use std::collections::{BTreeMap, BTreeSet};
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
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::module_store::{KubeModules, LoadError};
use crate::modules::Modules;
use crate::sources::Sources;
use foreshard_controller::call::in_time;
use foreshard_controller::call::unix_now;
use foreshard_controller::error::chain;
use foreshard_controller::index::{Index, Key};
use foreshard_controller::lease::Claim;

/// Sources are looked at this often: Secrets are not watched.
const SOURCES_EVERY: Duration = Duration::from_secs(10);
/// A module whose bytes could not be read is tried again this often.
const MODULES_EVERY: Duration = Duration::from_secs(30);
/// Modules that are loaded at the same time.
const LOADS_MAX: usize = 4;
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
    let old = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation.unwrap_or(0);
    let is_told = old
        .conditions
        .iter()
        .any(|it| it.type_ == kind::REACHABLE && it.observed_generation == Some(generation));
    let finding = match sources.find(&key.0, &source).await {
        Err(trouble) => Finding::no(kind::REACHABLE, trouble.reason, trouble.message),
        Ok(made) => match (sources.but(&key.0, &source), made.probe.state()) {
            (Some(but), _) => {
                let said = format!("{}; the credentials of before go on", but.message);
                Finding::no(kind::REACHABLE, but.reason, said)
            }
            (None, state) => match state {
                State::Failing { fault, .. } => {
                    Finding::no(kind::REACHABLE, "QueryFailed", fault.to_string())
                }
                // What was found before a restart stands until there is something to say.
                State::Waiting if is_told => return,
                State::Waiting => Finding::unknown(
                    kind::REACHABLE,
                    "Waiting",
                    "It was asked and has not answered yet.",
                ),
                _ => Finding::yes(kind::REACHABLE, "Answers", "It answers queries."),
            },
        },
    };
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
    let mut loads = Loads::default();
    loop {
        let are_all = objects.is_synced();
        let all = objects.all();
        modules.unreadable(objects.refused());
        modules.expect(all.iter().map(|(key, _)| key), are_all);
        loads.forget_others(&all, |key| modules.remove(key));
        for (key, object) in &all {
            if let Some(finding) = loads.done(key, object)
                && claim.holds()
            {
                tell(&client, key, object, &modules, finding).await;
            }
        }
        loads.begin(all, &modules, &loader);
        tokio::select! {
            () = stop.cancelled() => return,
            _ = changes.changed() => {}
            Some(ended) = loads.running.join_next() => loads.end(ended, &modules),
            () = tokio::time::sleep(MODULES_EVERY) => {}
        }
    }
}

/// What was loaded, and what is being loaded. One that takes a compiler minutes holds up at most those of its own
/// namespace: each has one turn at a time, and who had none for the longest has the next.
#[derive(Default)]
struct Loads {
    /// By the digest that the object had: what came of it, and when to try again if that may give something else.
    done: BTreeMap<Key, (String, Finding, Option<Instant>)>,
    running: JoinSet<(Key, String, Loaded)>,
    /// Namespaces that have a turn now.
    busy: BTreeSet<String>,
    /// When each namespace had a turn last.
    turns: BTreeMap<String, u64>,
}

impl Loads {
    /// What came of the object as it is now.
    fn done(&self, key: &Key, object: &PolicyModule) -> Option<Finding> {
        let (digest, finding, _) = self.done.get(key)?;
        (*digest == object.spec.digest).then(|| finding.clone())
    }

    /// Drops what is not there any more.
    fn forget_others(&mut self, all: &[(Key, Arc<PolicyModule>)], gone: impl Fn(&Key)) {
        self.done.retain(|key, _| {
            let stays = all.iter().any(|(known, _)| known == key);
            if !stays {
                gone(key);
            }
            stays
        });
        self.turns
            .retain(|namespace, _| all.iter().any(|((of, _), _)| of == namespace));
    }

    /// What to load now: whose turn it is, as far as there are places.
    fn due(&self, mut all: Vec<(Key, Arc<PolicyModule>)>) -> Vec<(Key, Arc<PolicyModule>)> {
        let now = Instant::now();
        all.retain(|(key, object)| {
            let known = self.done.get(key);
            let known = known.filter(|(digest, _, _)| *digest == object.spec.digest);
            known.is_none_or(|(_, _, again)| again.is_some_and(|again| again <= now))
        });
        all.sort_by_key(|((namespace, _), _)| self.turns.get(namespace).copied());
        let mut busy = self.busy.clone();
        all.retain(|((namespace, _), _)| busy.insert(namespace.clone()));
        all.truncate(LOADS_MAX.saturating_sub(self.busy.len()));
        all
    }

    /// Gives a namespace its turn.
    fn take_turn(&mut self, namespace: &str) {
        let turn = self.turns.values().max().map_or(0, |last| last + 1);
        self.turns.insert(namespace.to_owned(), turn);
        self.busy.insert(namespace.to_owned());
    }

    /// Begins to load what is due.
    fn begin(
        &mut self,
        all: Vec<(Key, Arc<PolicyModule>)>,
        modules: &Arc<Modules>,
        loader: &Arc<KubeModules>,
    ) {
        for (key, object) in self.due(all) {
            self.take_turn(&key.0);
            let (modules, loader) = (Arc::clone(modules), Arc::clone(loader));
            self.running.spawn(async move {
                let loaded = load(&object, &modules, &loader).await;
                (key, object.spec.digest.clone(), loaded)
            });
        }
    }

    /// Takes in what came of one.
    fn end(&mut self, ended: Result<(Key, String, Loaded), JoinError>, modules: &Modules) {
        let (key, digest, loaded) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "loading a module broke");
                // Whose it was is not known: nobody waits for it any more.
                return self.busy.clear();
            }
        };
        self.busy.remove(&key.0);
        let again = (!loaded.for_good).then(|| Instant::now() + MODULES_EVERY);
        let finding = finding(&loaded.module);
        modules.put(key.clone(), loaded.module.map_err(|why| why.message));
        self.done.insert(key, (digest, finding, again));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn module(namespace: &str, name: &str) -> (Key, Arc<PolicyModule>) {
        let object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "PolicyModule", "metadata": {"name": name},
            "spec": {
                "digest": format!("sha256:{}", "0".repeat(64)), "sizeBytes": 1,
                "source": {"uploaded": {"configMapName": name}}
            }
        });
        let object = serde_json::from_value(object).expect("a module");
        ((namespace.to_owned(), name.to_owned()), Arc::new(object))
    }

    #[test]
    fn a_namespace_of_bombs_holds_up_no_other() {
        let bombs = (0..64).map(|bomb| module("a", &format!("bomb-{bomb}")));
        let all: Vec<_> = bombs
            .chain([module("b", "good"), module("c", "good")])
            .collect();
        let names = |loads: &Loads| {
            let due = loads.due(all.clone());
            due.into_iter()
                .map(|((namespace, _), _)| namespace)
                .collect::<String>()
        };
        let mut loads = Loads::default();
        assert_eq!(names(&loads), "abc");
        loads.take_turn("a");
        assert_eq!(names(&loads), "bc", "one at a time");
        loads.busy.clear();
        assert_eq!(names(&loads), "bca", "who had none comes first");
        for namespace in ["w", "x", "y", "z"] {
            loads.take_turn(namespace);
        }
        assert_eq!(names(&loads), "", "there is no place");
    }

    #[test]
    fn what_may_come_right_is_tried_again_later() {
        let all = vec![module("a", "x"), module("a", "y")];
        let finding = || Finding::no(kind::ACCEPTED, "Refused", "no".to_owned());
        let mut loads = Loads::default();
        let digest = all[0].1.spec.digest.clone();
        let soon = Instant::now() + MODULES_EVERY;
        loads
            .done
            .insert(all[0].0.clone(), (digest.clone(), finding(), Some(soon)));
        loads
            .done
            .insert(all[1].0.clone(), (digest.clone(), finding(), None));
        assert!(loads.due(all.clone()).is_empty());
        let past = Instant::now();
        loads
            .done
            .insert(all[0].0.clone(), (digest, finding(), Some(past)));
        assert_eq!(loads.due(all.clone())[0].0, all[0].0);
        let other = ("sha256:1".to_owned(), finding(), None);
        loads.done.insert(all[1].0.clone(), other);
        loads.done.remove(&all[0].0);
        loads.take_turn("b");
        assert_eq!(loads.due(all.clone()).len(), 1, "other bytes are loaded");
    }
}
