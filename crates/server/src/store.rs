//! Where uploaded modules are kept: the port that a cluster implements with its objects.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{name::Name, policies::Policy, view::PolicyModule};

/// Keeps policy modules by namespace and name.
pub trait ModuleStore: Send + Sync + 'static {
    /// Every module of a namespace, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list<'a>(
        &'a self,
        namespace: &'a Name,
    ) -> BoxFuture<'a, Result<Vec<PolicyModule>, StoreError>>;

    /// The module under a name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn get<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<PolicyModule>, StoreError>>;

    /// The module under a name and its component.
    ///
    /// # Errors
    /// [`StoreError`].
    fn component<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<(PolicyModule, Bytes)>, StoreError>>;

    /// Whether a component of this size may be stored under this name; asked before the component is checked, so that
    /// nobody waits for a check in vain.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has_room<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
        bytes: usize,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Stores a module that was checked. The same component once more changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
        upload: Upload,
    ) -> BoxFuture<'a, Result<(PolicyModule, Put), StoreError>>;

    /// Removes a module; answers whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// A component that was checked.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its bytes.
    pub component: Bytes,
    /// What it is.
    pub policy: Arc<dyn Policy>,
    /// What it may take the place of.
    pub replaces: Replaces,
    /// Who uploaded it.
    pub user: String,
}

/// What an upload may take the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// Whatever is there.
    Anything,
    /// Whatever is there, but something.
    Something,
    /// Nothing: the name has to be free.
    Nothing,
    /// Only the module of this digest.
    Digest(String),
}

/// What became of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was free.
    Created,
    /// Another module was there.
    Replaced,
    /// The same module was there.
    Unchanged,
}

/// Why the store does not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such namespace.
    #[error("there is no namespace {0:?}")]
    NoNamespace(String),
    /// The module is not the user's.
    #[error("{0:?} comes with Foreshard and can't be replaced or deleted")]
    Builtin(String),
    /// As many as there may be.
    #[error("there are {0} modules already, and that is the limit")]
    TooMany(usize),
    /// More than fits.
    #[error("the modules would take {0} bytes together, and {1} is the limit")]
    TooLarge(usize, usize),
    /// More than fits into the cluster, and there is no other store.
    #[error(
        "the component has {bytes} bytes; only {max} fit into the cluster, and the operator runs without --module-store"
    )]
    NeedsStore {
        /// Size of the component.
        bytes: usize,
        /// What fits.
        max: usize,
    },
    /// Something else is under the name than the request supposes.
    #[error("the module under this name is not what the request supposes")]
    Stale,
    /// Somebody follows the module.
    #[error("{follower} follows {module}")]
    InUse {
        /// The module.
        module: String,
        /// Who follows it, in words.
        follower: String,
    },
    /// What is stored is not what was uploaded.
    #[error("{0}")]
    Damaged(String),
    /// The API server refuses it, with its words.
    #[error("{0}")]
    Refused(String),
    /// It can't be done at this moment, and why not.
    #[error("{0}")]
    Unavailable(String),
}
