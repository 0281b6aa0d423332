//! Modules in memory: the demo's store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{
    limits::Limits,
    name::Name,
    policies::{Policies, Policy, Refused},
    store::{ModuleStore, Put, Replaces, StoreError, Upload},
    view::PolicyModule,
};

/// Modules in memory, of namespaces that are known from the beginning.
#[derive(Debug)]
pub struct MemoryStore {
    limits: Limits,
    namespaces: BTreeMap<Name, Mutex<Modules>>,
}

type Modules = BTreeMap<Name, Stored>;

#[derive(Clone, Debug)]
struct Stored {
    module: PolicyModule,
    component: Bytes,
    policy: Arc<dyn Policy>,
}

impl MemoryStore {
    /// A store of these namespaces.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = Name>, limits: Limits) -> Arc<Self> {
        let namespaces = namespaces.into_iter();
        Arc::new(Self {
            limits,
            namespaces: namespaces.map(|name| (name, Mutex::default())).collect(),
        })
    }

    /// Stores a built-in module: checked like any other, and never replaced.
    ///
    /// # Errors
    /// [`Refused`] when it is no policy, or the store has no room.
    pub fn install(
        &self,
        namespace: &Name,
        name: &Name,
        component: Bytes,
        policies: &dyn Policies,
    ) -> Result<PolicyModule, Refused> {
        let policy = policies.admit(&component)?;
        let stored = Stored::new(name, component, policy, true);
        let put = self
            .modules(namespace)
            .and_then(|mut modules| self.insert(&mut modules, name, stored, &Replaces::Anything));
        put.map(|(module, _)| module)
            .map_err(|error| Refused::Unavailable(error.to_string()))
    }

    pub(crate) fn policy(&self, namespace: &Name, name: &str) -> Option<Arc<dyn Policy>> {
        let modules = self.modules(namespace).ok()?;
        modules.get(name).map(|stored| Arc::clone(&stored.policy))
    }

    /// No section under this lock can panic half way.
    fn modules(&self, namespace: &Name) -> Result<MutexGuard<'_, Modules>, StoreError> {
        let modules = self.namespaces.get(namespace);
        let modules = modules.ok_or_else(|| StoreError::NoNamespace(namespace.to_string()))?;
        Ok(modules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn insert(
        &self,
        modules: &mut Modules,
        name: &Name,
        stored: Stored,
        replaces: &Replaces,
    ) -> Result<(PolicyModule, Put), StoreError> {
        self.require_room(modules, name, stored.component.len())?;
        let old = modules.get(name).map(|old| old.module.digest.as_str());
        let put = put(old, &stored.module.digest, replaces)?;
        let module = stored.module.clone();
        modules.insert(name.clone(), stored);
        Ok((module, put))
    }

    fn require_room(&self, modules: &Modules, name: &Name, bytes: usize) -> Result<(), StoreError> {
        let Limits {
            modules_max,
            modules_bytes_max,
            ..
        } = self.limits;
        let old = modules.get(name);
        if old.is_some_and(|old| old.module.builtin) {
            return Err(StoreError::Builtin(name.to_string()));
        }
        if old.is_none() && modules.len() >= modules_max {
            return Err(StoreError::TooMany(modules_max));
        }
        let old_bytes = old.map_or(0, |old| old.component.len());
        let all_bytes: usize = modules.values().map(|stored| stored.component.len()).sum();
        let bytes = all_bytes - old_bytes + bytes;
        if bytes > modules_bytes_max {
            return Err(StoreError::TooLarge(bytes, modules_bytes_max));
        }
        Ok(())
    }
}

/// What becomes of a name under which the old digest is stored.
fn put(old: Option<&str>, new: &str, replaces: &Replaces) -> Result<Put, StoreError> {
    let as_supposed = match replaces {
        Replaces::Anything => true,
        Replaces::Something => old.is_some(),
        Replaces::Nothing => old.is_none(),
        Replaces::Digest(digest) => old == Some(digest.as_str()),
    };
    match old {
        _ if !as_supposed => Err(StoreError::Stale),
        None => Ok(Put::Created),
        Some(old) if old == new => Ok(Put::Unchanged),
        Some(_) => Ok(Put::Replaced),
    }
}

impl Stored {
    fn new(name: &Name, component: Bytes, policy: Arc<dyn Policy>, builtin: bool) -> Self {
        let module = PolicyModule {
            name: name.to_string(),
            digest: policy.digest().to_owned(),
            bytes: component.len(),
            builtin,
            descriptor: policy.descriptor().clone().into(),
            acceptance: None,
        };
        Self {
            module,
            component,
            policy,
        }
    }
}

impl ModuleStore for MemoryStore {
    fn list<'a>(
        &'a self,
        namespace: &'a Name,
    ) -> BoxFuture<'a, Result<Vec<PolicyModule>, StoreError>> {
        let all = |modules: MutexGuard<'_, Modules>| {
            let modules = modules.values().map(|stored| stored.module.clone());
            modules.collect()
        };
        Box::pin(async move { self.modules(namespace).map(all) })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<PolicyModule>, StoreError>> {
        Box::pin(async move {
            let modules = self.modules(namespace)?;
            Ok(modules.get(name).map(|stored| stored.module.clone()))
        })
    }

    fn component<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<(PolicyModule, Bytes)>, StoreError>> {
        Box::pin(async move {
            let stored = self.modules(namespace)?.get(name).cloned();
            Ok(stored.map(|stored| (stored.module, stored.component)))
        })
    }

    fn has_room<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
        bytes: usize,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let modules = self.modules(namespace)?;
            self.require_room(&modules, name, bytes)
        })
    }

    fn put<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
        upload: Upload,
    ) -> BoxFuture<'a, Result<(PolicyModule, Put), StoreError>> {
        Box::pin(async move {
            let stored = Stored::new(name, upload.component, upload.policy, false);
            let mut modules = self.modules(namespace)?;
            self.insert(&mut modules, name, stored, &upload.replaces)
        })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut modules = self.modules(namespace)?;
            if modules.get(name).is_some_and(|old| old.module.builtin) {
                return Err(StoreError::Builtin(name.to_string()));
            }
            Ok(modules.remove(name).is_some())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::policy;

    fn stored(name: &str, bytes: usize, builtin: bool) -> Stored {
        let name = name.parse().unwrap();
        Stored::new(&name, vec![0; bytes].into(), policy(""), builtin)
    }

    #[tokio::test]
    async fn the_store_is_bounded_and_keeps_what_is_built_in() {
        let limits = Limits {
            modules_max: 2,
            modules_bytes_max: 10,
            ..Limits::DEFAULT
        };
        let demo: Name = "demo".parse().unwrap();
        let store = MemoryStore::new([demo.clone()], limits);
        let put = |name: &str, bytes, builtin| {
            let mut modules = store.modules(&demo).unwrap();
            let stored = stored(name, bytes, builtin);
            let name = name.parse().unwrap();
            store
                .insert(&mut modules, &name, stored, &Replaces::Anything)
                .map(|(_, put)| put)
        };
        assert_eq!(put("builtin", 4, true), Ok(Put::Created));
        assert_eq!(
            put("builtin", 4, false),
            Err(StoreError::Builtin("builtin".to_owned()))
        );
        assert_eq!(put("mine", 6, false), Ok(Put::Created));
        assert_eq!(put("mine", 5, false), Ok(Put::Unchanged));
        assert_eq!(put("mine", 7, false), Err(StoreError::TooLarge(11, 10)));
        assert_eq!(put("third", 0, false), Err(StoreError::TooMany(2)));
        let delete = async |name: &str| store.delete(&demo, &name.parse().unwrap()).await;
        assert!(delete("builtin").await.is_err());
        assert_eq!(delete("mine").await, Ok(true));
        assert_eq!(delete("mine").await, Ok(false));
    }
}
