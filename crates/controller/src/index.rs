//! Objects of one kind as the cluster has them, kept by a watch.
//!
//! A malformed object never stops a watch: it is listed by itself, and what was known of it before stays.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::TryStreamExt as _;
use futures::pin_mut;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::chain;

/// How long a refusal is believed after it was said. A watch that may begin at last says nothing until something changes;
/// one that may not asks again after a minute at most, and is refused again.
const REFUSAL_HOLDS: Duration = Duration::from_secs(75);
/// How long a watch of a list that was read is refused before it is believed: five refusals.
const REFUSAL_BELIEVED: Duration = Duration::from_secs(20);

/// Namespace and name.
pub type Key = (String, String);

/// What must hold of a kind that is watched.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + PartialEq + Send + Sync + 'static
{
}
impl<K> Watched for K where
    K: Resource<DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + PartialEq
        + Send
        + Sync
        + 'static
{
}

/// All objects of one kind.
pub struct Index<K> {
    inner: RwLock<Inner<K>>,
    changed: watch::Sender<u64>,
    /// Whether two versions of an object differ in what matters here.
    differ: fn(&K, &K) -> bool,
    /// Drops what nobody reads here.
    strip: fn(&mut K),
    /// Is told of each object that came, changed in what matters, or went.
    tell: Tell<K>,
}

type Tell<K> = Box<dyn Fn(&Key, &K) + Send + Sync>;

#[derive(Debug)]
struct Inner<K> {
    objects: BTreeMap<Key, Arc<K>>,
    malformed: BTreeMap<Key, Malformed>,
    /// While a list is read: what it had so far.
    listed: Option<Vec<Key>>,
    /// Since when all objects were seen once.
    synced: Option<Instant>,
    refused: Option<Refusal>,
}

/// An object that does not fit its definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Malformed {
    /// Namespace and name.
    pub key: Key,
    /// Its identity.
    pub uid: Option<String>,
    /// What is wrong with it.
    pub error: String,
}

/// What we may not do.
#[derive(Debug)]
struct Refusal {
    /// In the API server's words.
    why: String,
    /// When it was said first, of refusals that came one after another, and when last.
    first: Instant,
    last: Instant,
}

impl Refusal {
    /// Whether it still holds of a list that was read at `synced`. An API server that has just started may refuse what it
    /// allows a moment later; whoever has only just read the list has never watched.
    fn holds(&self, synced: Instant) -> bool {
        let has_watched = self.first - synced >= REFUSAL_BELIEVED;
        let goes_on = self.last - self.first >= REFUSAL_BELIEVED;
        self.last.elapsed() < REFUSAL_HOLDS && (goes_on || !has_watched)
    }
}

impl<K: Watched> Index<K> {
    /// Nothing is known yet. `differ` says whether a change matters, so that a status of our own wakes nobody; `strip`
    /// drops what nobody reads here: thousands of objects take memory; `tell` is called for each change that matters.
    #[must_use]
    pub fn new(
        differ: fn(&K, &K) -> bool,
        strip: fn(&mut K),
        tell: impl Fn(&Key, &K) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: RwLock::new(Inner {
                objects: BTreeMap::new(),
                malformed: BTreeMap::new(),
                listed: None,
                synced: None,
                refused: None,
            }),
            changed: watch::Sender::new(0),
            differ,
            strip,
            tell: Box::new(tell),
        })
    }

    /// One object.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read()
            .objects
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    /// All objects of a namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = (namespace.to_owned(), String::new());
        let inner = self.read();
        let from = inner.objects.range(first..);
        from.take_while(|((of, _), _)| of == namespace)
            .map(|(_, it)| Arc::clone(it))
            .collect()
    }

    /// Those objects of a namespace whose names begin with `prefix`.
    #[must_use]
    pub fn begin_with(&self, namespace: &str, prefix: &str) -> Vec<Arc<K>> {
        let first = (namespace.to_owned(), prefix.to_owned());
        let inner = self.read();
        let from = inner.objects.range(first..);
        from.take_while(|((of, name), _)| of == namespace && name.starts_with(prefix))
            .map(|(_, it)| Arc::clone(it))
            .collect()
    }

    /// Every object.
    #[must_use]
    pub fn all(&self) -> Vec<(Key, Arc<K>)> {
        let inner = self.read();
        inner
            .objects
            .iter()
            .map(|(key, it)| (key.clone(), Arc::clone(it)))
            .collect()
    }

    /// Objects that cannot be read. What was known of them before stands.
    #[must_use]
    pub fn malformed(&self) -> Vec<Malformed> {
        self.read().malformed.values().cloned().collect()
    }

    /// Whether all objects were seen once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.read().synced.is_some()
    }

    /// Why it may not be true: the API server does not let us list or watch, in its words, which name verb and resource.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        let inner = self.read();
        let refusal = inner.refused.as_ref()?;
        let holds = inner.synced.is_none_or(|synced| refusal.holds(synced));
        holds.then(|| refusal.why.clone())
    }

    /// Is told of each change that matters, and of a right that is found to be missing.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Keeps it true until `stop`.
    pub async fn keep(
        self: Arc<Self>,
        api: Api<DeserializeGuard<K>>,
        config: watcher::Config,
        stop: CancellationToken,
    ) {
        let stream = watch_objects(api, config).default_backoff();
        pin_mut!(stream);
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = stream.try_next() => event,
            };
            match event {
                Ok(Some(event)) => self.take(event),
                Ok(None) => return,
                // The stream backs off and goes on by itself.
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), error = chain(&error), "watch interrupted");
                    if let Some(why) = forbids(&error) {
                        self.refuse(why);
                    }
                }
            }
        }
    }

    /// Takes in that we may not list or watch.
    fn refuse(&self, why: String) {
        let before = self.refused().is_some();
        {
            let (mut inner, last) = (self.write(), Instant::now());
            let begun = inner
                .refused
                .take()
                .filter(|it| it.last.elapsed() < REFUSAL_HOLDS);
            let first = begun.map_or(last, |it| it.first);
            inner.refused = Some(Refusal { why, first, last });
        }
        if !before && self.refused().is_some() {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// Takes in one event of the watch.
    fn take(&self, event: Event<DeserializeGuard<K>>) {
        let mut changes = Vec::new();
        let first = {
            let mut inner = self.write();
            match event {
                Event::Init => {
                    inner.listed = Some(Vec::new());
                    false
                }
                Event::InitApply(guard) => {
                    let key = key(&guard);
                    if let Some(listed) = &mut inner.listed {
                        listed.push(key.clone());
                    }
                    changes.extend(inner.apply(key, guard, self.differ, self.strip));
                    false
                }
                Event::InitDone => inner.list_ends(&mut changes),
                Event::Apply(guard) => {
                    changes.extend(inner.apply(key(&guard), guard, self.differ, self.strip));
                    false
                }
                Event::Delete(guard) => {
                    let key = key(&guard);
                    inner.malformed.remove(&key);
                    changes.extend(inner.objects.remove(&key).map(|object| (key, object)));
                    false
                }
            }
        };
        // Outside of the lock: whoever is told may look things up here.
        for (key, object) in &changes {
            (self.tell)(key, object);
        }
        if first || !changes.is_empty() {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// No section under these locks can panic half way.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner<K>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner<K>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Watched> Inner<K> {
    /// The object, if what matters of it has changed.
    fn apply(
        &mut self,
        key: Key,
        guard: DeserializeGuard<K>,
        differ: fn(&K, &K) -> bool,
        strip: fn(&mut K),
    ) -> Option<(Key, Arc<K>)> {
        match guard.0 {
            Ok(mut object) => {
                // Nobody reads these here, and they are half of the object.
                object.meta_mut().managed_fields = None;
                strip(&mut object);
                let object = Arc::new(object);
                self.malformed.remove(&key);
                let old = self.objects.insert(key.clone(), Arc::clone(&object));
                let matters = old.is_none_or(|old| differ(&old, &object));
                matters.then_some((key, object))
            }
            Err(invalid) => {
                let kind = K::kind(&());
                let (namespace, name, error) = (&key.0, &key.1, &invalid.error);
                tracing::warn!(%kind, namespace, name, error, "malformed object");
                let malformed = Malformed {
                    key: key.clone(),
                    uid: invalid.metadata.uid,
                    error: invalid.error,
                };
                self.malformed.insert(key, malformed);
                None
            }
        }
    }

    /// What the list did not have is gone. Answers whether this was the first list.
    fn list_ends(&mut self, gone: &mut Vec<(Key, Arc<K>)>) -> bool {
        self.refused = None;
        let listed = self.listed.take().unwrap_or_default();
        let listed: std::collections::BTreeSet<Key> = listed.into_iter().collect();
        self.malformed.retain(|key, _| listed.contains(key));
        self.objects.retain(|key, object| {
            let stays = listed.contains(key);
            if !stays {
                gone.push((key.clone(), Arc::clone(object)));
            }
            stays
        });
        let is_first = self.synced.is_none();
        self.synced.get_or_insert_with(Instant::now);
        is_first
    }
}

/// What we may not, if that is what ended a list or a watch.
fn forbids(error: &watcher::Error) -> Option<String> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    (status.code == 403).then(|| status.message.clone())
}

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::LoadEvent;
    use kube::core::error_boundary::InvalidObject;
    use serde_json::json;

    use super::*;

    fn event(name: &str, percent: i32) -> DeserializeGuard<LoadEvent> {
        let object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "LoadEvent", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z", "factorPercent": percent}
        });
        DeserializeGuard(Ok(serde_json::from_value(object).unwrap()))
    }

    fn index() -> Arc<Index<LoadEvent>> {
        Index::new(|old, new| old.spec != new.spec, |_| {}, |_, _| {})
    }

    #[test]
    fn only_what_matters_wakes_and_what_a_list_lacks_is_gone() {
        let index = index();
        let changes = || *index.changed.borrow();
        index.take(Event::Init);
        index.take(Event::InitApply(event("a", 200)));
        assert!(!index.is_synced());
        index.take(Event::InitDone);
        assert!(index.is_synced());
        let before = changes();
        index.take(Event::Apply(event("a", 200)));
        assert_eq!(changes(), before);
        index.take(Event::Apply(event("a", 300)));
        assert_eq!(changes(), before + 1);
        index.take(Event::Init);
        index.take(Event::InitApply(event("b", 200)));
        assert_eq!(
            index.all().len(),
            2,
            "until the list has ended, nothing is taken away"
        );
        index.take(Event::InitDone);
        assert_eq!(index.in_namespace("shop").len(), 1);
        assert!(index.get("shop", "a").is_none() && index.in_namespace("sho").is_empty());
    }

    #[test]
    fn a_malformed_object_keeps_what_was_known() {
        let index = index();
        index.take(Event::Apply(event("a", 200)));
        let metadata = event("a", 1).0.unwrap().metadata;
        let broken = DeserializeGuard(Err(InvalidObject {
            error: "invalid type".to_owned(),
            metadata,
        }));
        index.take(Event::Apply(broken));
        assert_eq!(index.get("shop", "a").unwrap().spec.factor_percent, 200);
        let malformed = index.malformed();
        assert_eq!(malformed[0].error, "invalid type");
        index.take(Event::Apply(event("a", 300)));
        assert!(index.malformed().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_holds_until_a_list_is_read_or_nothing_is_refused_any_more() {
        let index = index();
        let list = || {
            index.take(Event::Init);
            index.take(Event::InitDone);
        };
        index.refuse("cannot list".to_owned());
        tokio::time::advance(2 * REFUSAL_HOLDS).await;
        index.take(Event::Init);
        assert_eq!(index.refused().as_deref(), Some("cannot list"));
        list();
        assert_eq!(index.refused(), None);
        index.refuse("cannot watch".to_owned());
        assert_eq!(index.refused().as_deref(), Some("cannot watch"), "at once");
        list();
        tokio::time::advance(REFUSAL_BELIEVED).await;
        index.refuse("cannot watch".to_owned());
        assert_eq!(index.refused(), None, "only once");
        let mut changes = index.changes();
        changes.mark_unchanged();
        tokio::time::advance(REFUSAL_BELIEVED).await;
        index.refuse("cannot watch".to_owned());
        assert_eq!(index.refused().as_deref(), Some("cannot watch"));
        assert!(changes.has_changed().unwrap());
        tokio::time::advance(REFUSAL_HOLDS).await;
        assert_eq!(index.refused(), None);
    }
}
