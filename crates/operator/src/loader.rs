//! The bytes of policy modules.

use bytes::Bytes;
use foreshard_api::sha256;
use foreshard_api::v1alpha1::PolicyModule;
use futures::future::BoxFuture;

/// Reads the bytes of modules.
pub trait Loader: Send + Sync + 'static {
    /// The bytes of one module, which have the digest that its spec names.
    ///
    /// # Errors
    /// [`LoadError`].
    fn load<'a>(&'a self, module: &'a PolicyModule) -> BoxFuture<'a, Result<Bytes, LoadError>>;
}

/// Why there are no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// They are not where the spec says.
    #[error("{0}; push the component again")]
    NotFound(String),
    /// They are others than the spec names.
    #[error("the bytes have {found} and the spec names {wanted}: push the component again")]
    DigestMismatch {
        /// What they have.
        found: String,
        /// What the spec names.
        wanted: String,
    },
    /// They are in a store, and none is configured.
    #[error("the component is in a store and the operator has none: start it with --module-store")]
    NoStore,
    /// It cannot be found out now.
    #[error("{0}")]
    Unavailable(String),
}

impl LoadError {
    /// The condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ComponentNotFound",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::NoStore => "StoreNotConfigured",
            Self::Unavailable(_) => "ComponentUnavailable",
        }
    }
}

/// Refuses bytes that have another digest.
///
/// # Errors
/// [`LoadError::DigestMismatch`].
pub fn verified(module: &PolicyModule, bytes: Bytes) -> Result<Bytes, LoadError> {
    let found = sha256(&bytes);
    if found == module.spec.digest {
        return Ok(bytes);
    }
    Err(LoadError::DigestMismatch {
        found,
        wanted: module.spec.digest.clone(),
    })
}
