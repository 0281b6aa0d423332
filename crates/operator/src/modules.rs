//! Policy modules that are loaded: those that come with the binary, and those of `PolicyModule` objects.
//!
//! What was loaded once stays usable until something better is: a module that is deleted, or replaced by one that is
//! refused, goes on deciding for those who are bound to it, and they say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use foreshard_api::v1alpha1::ModuleRef;
use foreshard_policy::{Host, Module, Refusal, Tier};

use crate::shared::GRANT;
use foreshard_controller::index::Key;
use foreshard_controller::wakes::Wakes;

/// Before the names of modules that come with the binary.
pub(crate) const BUILTIN_PREFIX: &str = "builtin-";
/// The policy that decides where none is named.
pub(crate) const DEFAULT: &str = "builtin-forecast-headroom";

/// The reason of a module of which it is not known yet what becomes of it.
pub(crate) const LOADING: &str = "Loading";

/// What is known of one module.
#[derive(Clone, Debug)]
struct Entry {
    /// The newest that could be loaded.
    module: Option<Arc<Module>>,
    /// What the object names now, and why it is not the one above.
    refused: Option<String>,
    exists: bool,
}

/// All modules.
pub(crate) struct Modules {
    host: Arc<Host>,
    builtin: BTreeMap<String, Arc<Module>>,
    by_key: RwLock<BTreeMap<Key, Entry>>,
    /// All objects were seen at least once.
    is_read: AtomicBool,
    /// Why the objects cannot be read, in the API server's words.
    unreadable: RwLock<Option<String>>,
    wakes: Arc<Wakes>,
}

/// A module that a policy names.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What runs.
    pub(crate) module: Arc<Module>,
    /// Why it is not what was asked for.
    pub(crate) but: Option<Trouble>,
}

/// Why a module is not there, or not the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The condition's reason.
    pub(crate) reason: &'static str,
    /// And a sentence.
    pub(crate) message: String,
}

impl Modules {
    /// Loads the modules that come with the binary: name and bytes of each.
    ///
    /// # Errors
    /// When one of them cannot be loaded.
    pub(crate) fn new(
        host: &Arc<Host>,
        builtin: &[(&str, &[u8])],
        wakes: &Arc<Wakes>,
    ) -> Result<Arc<Self>, Refusal> {
        let load = |(name, bytes): &(&str, &[u8])| {
            let module = host.load(bytes, Tier::Standard)?;
            Ok((format!("{BUILTIN_PREFIX}{name}"), module))
        };
        Ok(Arc::new(Self {
            host: Arc::clone(host),
            builtin: builtin.iter().map(load).collect::<Result<_, Refusal>>()?,
            by_key: RwLock::default(),
            is_read: AtomicBool::new(false),
            unreadable: RwLock::default(),
            wakes: Arc::clone(wakes),
        }))
    }

    /// The host that runs them.
    #[must_use]
    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The module that a policy of `namespace` names.
    ///
    /// # Errors
    /// When there is none that could decide.
    pub(crate) fn find(&self, namespace: &str, wanted: &ModuleRef) -> Result<Found, Trouble> {
        let trouble = |reason, message: String| Trouble { reason, message };
        let name = &wanted.name;
        let found = match self.builtin.get(name) {
            Some(module) => Found {
                module: Arc::clone(module),
                but: None,
            },
            None if name.starts_with(BUILTIN_PREFIX) => {
                let names: Vec<&str> = self.builtin.keys().map(String::as_str).collect();
                let message = format!("there is no {name}; there are {}", names.join(", "));
                return Err(trouble("ModuleNotFound", message));
            }
            None => self.uploaded(namespace, name)?,
        };
        let other = wanted
            .digest
            .as_deref()
            .filter(|digest| *digest != found.module.digest());
        match other {
            None => Ok(found),
            Some(digest) => {
                let message = format!(
                    "module {name} has {} and not {digest}, which spec.policies names",
                    found.module.digest()
                );
                Err(trouble("DigestMismatch", message))
            }
        }
    }

    fn uploaded(&self, namespace: &str, name: &str) -> Result<Found, Trouble> {
        let missing = || Trouble {
            reason: "ModuleNotFound",
            message: format!(
                "there is no PolicyModule {name} in this namespace: `foreshard policy push FILE.wasm --name {name} -n {namespace}`"
            ),
        };
        let loading = || Trouble {
            reason: LOADING,
            message: format!("PolicyModule {name} is being loaded"),
        };
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        let entry = by_key.get(&(namespace.to_owned(), name.to_owned()));
        let Some(entry) = entry else {
            if let Some(trouble) = self.forbidden() {
                return Err(trouble);
            }
            let is_read = self.is_read.load(Ordering::Acquire);
            return Err(if is_read { missing() } else { loading() });
        };
        let but = match (&entry.refused, entry.exists) {
            (Some(why), true) => Some(Trouble {
                reason: "ModuleRefused",
                message: format!("module {name}: {why}"),
            }),
            (_, false) => Some(missing()),
            (None, true) => None,
        };
        match (&entry.module, but) {
            (Some(module), but) => Ok(Found {
                module: Arc::clone(module),
                but: but.map(|trouble| Trouble {
                    message: format!("{}; the last good one goes on deciding", trouble.message),
                    ..trouble
                }),
            }),
            (None, but) => Err(but.unwrap_or_else(loading)),
        }
    }

    /// Why nobody can say which objects there are, if so.
    fn forbidden(&self) -> Option<Trouble> {
        let why = self.unreadable.read();
        let why = why.unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Trouble {
            reason: "Forbidden",
            message: format!("{why}; {GRANT}"),
        })
    }

    /// What there is cannot be read, in the API server's words; none: it can.
    pub(crate) fn unreadable(&self, why: Option<String>) {
        let known = self.unreadable.write();
        *known.unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// These objects are there, and will be loaded. `are_all`: there are no others.
    pub(crate) fn expect<'a>(&self, keys: impl Iterator<Item = &'a Key>, are_all: bool) {
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        let keys: BTreeSet<&Key> = keys.collect();
        for key in &keys {
            by_key.entry((*key).clone()).or_insert(Entry {
                module: None,
                refused: None,
                exists: true,
            });
        }
        if are_all {
            // Some went before they were loaded.
            by_key.retain(|key, it| keys.contains(key) || it.module.is_some());
        }
        drop(by_key);
        // Who asked before was told that it is being loaded, and asks again by itself.
        self.is_read.fetch_or(are_all, Ordering::AcqRel);
    }

    /// Takes in what came of loading the module of an object.
    pub(crate) fn put(&self, key: Key, loaded: Result<Arc<Module>, String>) {
        let namespace = key.0.clone();
        {
            let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
            let entry = by_key.entry(key).or_insert(Entry {
                module: None,
                refused: None,
                exists: true,
            });
            entry.exists = true;
            match loaded {
                Ok(module) => {
                    entry.module = Some(module);
                    entry.refused = None;
                }
                Err(why) => entry.refused = Some(why),
            }
        }
        self.wakes.namespace(&namespace);
    }

    /// The object of a module is gone.
    pub(crate) fn remove(&self, key: &Key) {
        {
            let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = by_key.get_mut(key) {
                entry.exists = false;
            }
            // One that is gone is kept only as long as a worker decides by it.
            by_key.retain(|_, it| {
                let is_used = |module: &Arc<Module>| Arc::strong_count(module) > 1;
                it.exists || it.module.as_ref().is_some_and(is_used)
            });
        }
        self.wakes.namespace(&key.0);
    }

    /// Loads a component in the tier that it fits. Blocks, perhaps for seconds.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn load(&self, component: &[u8]) -> Result<Arc<Module>, Refusal> {
        match self.host.load(component, Tier::Standard) {
            Err(Refusal::TooLarge { .. } | Refusal::TooComplex { .. }) => {
                self.host.load(component, Tier::Interpreter)
            }
            other => other,
        }
    }
}
