//! What the server needs of the policy host, and the modules that are stored under a name.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use bytes::Bytes;
use foreshard_decide::contract;

use crate::{
    limits::Limits,
    name::Name,
    view::{Descriptor, PolicyModule},
};

/// The policy host. Every call may block for seconds.
pub trait Policies: Send + Sync + 'static {
    /// Checks an untrusted component and makes it ready to run.
    ///
    /// # Errors
    /// [`Refused`] when it is not a policy, or one that can't be run here.
    fn admit(&self, component: &[u8]) -> Result<Arc<dyn Policy>, Refused>;
}

/// A component that may run. Who evaluates targets gets it back with [`crate::Activation`], as what it is.
pub trait Policy: Any + Send + Sync + fmt::Debug {
    /// `sha256:` and 64 hexadecimal digits.
    fn digest(&self) -> &str;

    /// What it says of itself.
    fn descriptor(&self) -> &contract::Descriptor;

    /// Asks it what it thinks of a config (JSON) on a kind of target; may block for seconds.
    ///
    /// # Errors
    /// What is wrong with the config and where.
    fn configure(&self, config: &str, target_kind: &str) -> Result<(), Vec<contract::ConfigIssue>>;
}

/// Why a component was refused.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The client's doing.
    Bad {
        /// Stable, `kebab-case`.
        kind: String,
        /// What is wrong.
        detail: String,
        /// What to do about it; may be empty.
        fix: String,
    },
    /// The host's doing: it can't check anything now.
    Unavailable(String),
}

/// Modules by name.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    by_name: BTreeMap<Name, Arc<Stored>>,
}

/// A module and its component.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) module: PolicyModule,
    pub(crate) component: Bytes,
    pub(crate) policy: Arc<dyn Policy>,
}

impl Stored {
    pub(crate) fn new(
        name: &Name,
        component: Bytes,
        policy: Arc<dyn Policy>,
        builtin: bool,
    ) -> Self {
        let module = PolicyModule {
            name: name.to_string(),
            digest: policy.digest().to_owned(),
            bytes: component.len(),
            builtin,
            descriptor: policy.descriptor().clone().into(),
        };
        Self {
            module,
            component,
            policy,
        }
    }
}

/// Why the store does not take a module.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{0:?} comes with Foreshard and can't be replaced or deleted")]
    Builtin(String),
    #[error("there are {0} modules already, and that is the limit")]
    TooMany(usize),
    #[error("the modules would take {0} bytes together, and {1} is the limit")]
    TooLarge(usize, usize),
}

impl Modules {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Stored>> {
        self.by_name.get(name).cloned()
    }

    pub(crate) fn list(&self) -> impl Iterator<Item = &PolicyModule> {
        self.by_name.values().map(|stored| &stored.module)
    }

    /// Stores a module; answers whether the name is new.
    pub(crate) fn put(
        &mut self,
        name: Name,
        stored: Stored,
        limits: &Limits,
    ) -> Result<bool, StoreError> {
        let old = self.by_name.get(&name);
        let old_bytes = old.map_or(0, |old| old.component.len());
        let is_new = old.is_none();
        if old.is_some_and(|old| old.module.builtin) {
            return Err(StoreError::Builtin(name.to_string()));
        }
        if is_new && self.by_name.len() >= limits.modules_max {
            return Err(StoreError::TooMany(limits.modules_max));
        }
        let all_bytes: usize = self
            .by_name
            .values()
            .map(|stored| stored.component.len())
            .sum();
        let bytes = all_bytes - old_bytes + stored.component.len();
        if bytes > limits.modules_bytes_max {
            return Err(StoreError::TooLarge(bytes, limits.modules_bytes_max));
        }
        self.by_name.insert(name, Arc::new(stored));
        Ok(is_new)
    }

    /// Removes a module; answers whether there was one.
    pub(crate) fn remove(&mut self, name: &Name) -> Result<bool, StoreError> {
        if self
            .get(name.as_ref())
            .is_some_and(|stored| stored.module.builtin)
        {
            return Err(StoreError::Builtin(name.to_string()));
        }
        Ok(self.by_name.remove(name).is_some())
    }
}

impl From<contract::Descriptor> for Descriptor {
    fn from(said: contract::Descriptor) -> Self {
        Self {
            name: said.name,
            version: said.version,
            summary: said.summary,
            target_kinds: said.target_kinds,
            actions: said.actions,
            config_schema: said.config_schema,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::policy;

    fn stored(name: &str, bytes: usize, builtin: bool) -> (Name, Stored) {
        let name = name.parse().unwrap();
        let stored = Stored::new(&name, vec![0; bytes].into(), policy(""), builtin);
        (name, stored)
    }

    #[test]
    fn the_store_is_bounded_and_keeps_what_is_built_in() {
        let limits = Limits {
            modules_max: 2,
            modules_bytes_max: 10,
            ..Limits::DEFAULT
        };
        let mut modules = Modules::default();
        let mut put = |name, bytes, builtin| {
            let (name, stored) = stored(name, bytes, builtin);
            modules.put(name, stored, &limits)
        };
        assert_eq!(put("builtin", 4, true), Ok(true));
        assert_eq!(
            put("builtin", 4, false),
            Err(StoreError::Builtin("builtin".to_owned()))
        );
        assert_eq!(put("mine", 6, false), Ok(true));
        assert_eq!(put("mine", 5, false), Ok(false));
        assert_eq!(put("mine", 7, false), Err(StoreError::TooLarge(11, 10)));
        assert_eq!(put("third", 0, false), Err(StoreError::TooMany(2)));
        assert!(modules.remove(&"builtin".parse().unwrap()).is_err());
        assert_eq!(modules.remove(&"mine".parse().unwrap()), Ok(true));
        assert_eq!(modules.remove(&"mine".parse().unwrap()), Ok(false));
    }
}
