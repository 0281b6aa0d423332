//! What goes wrong with stored modules.

use foreshard_server::StoreError;

/// Why a module's bytes can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The object names no place, or several.
    #[error("spec.source names no place where the bytes are")]
    NoSource,
    /// Nothing is at the place.
    #[error("{0} is not there; upload the module again")]
    Missing(String),
    /// The operator has no such module.
    #[error("this operator has no built-in module {0:?}")]
    NoBuiltin(String),
    /// The bytes are in a store, and the operator has none.
    #[error(
        "the bytes are at {0:?} of the module store, and the operator runs without --module-store"
    )]
    NoStore(String),
    /// The path leads into another namespace's part of the store.
    #[error(
        "spec.source.stored.path {path:?} is not below {namespace:?}/, where this namespace's modules are"
    )]
    Foreign {
        /// The path.
        path: String,
        /// The object's namespace.
        namespace: String,
    },
    /// Other bytes than were uploaded.
    #[error(
        "the bytes at {place} have the digest {found}, not {expected}; they are not run: upload the module again"
    )]
    OtherDigest {
        /// Where they are.
        place: String,
        /// That of `spec.digest`.
        expected: String,
        /// That of the bytes.
        found: String,
    },
    /// It can't be found out at this moment, and why not.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<LoadError> for StoreError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unavailable(detail) => Self::Unavailable(detail),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// What the API server's answer means for a store.
pub(super) fn of_kube(error: kube::Error) -> StoreError {
    let kube::Error::Api(status) = error else {
        tracing::warn!(%error, "The API server does not answer as it should.");
        let detail = "the API server does not answer as it should";
        return StoreError::Unavailable(detail.to_owned());
    };
    let about_namespace = status
        .details
        .as_ref()
        .is_some_and(|it| it.kind == "namespaces");
    match status.code {
        404 if about_namespace => {
            let name = status.details.map(|it| it.name).unwrap_or_default();
            StoreError::NoNamespace(name)
        }
        409 => StoreError::Stale,
        403 if status.message.contains("is being terminated") => {
            StoreError::Refused(status.message)
        }
        403 => {
            tracing::error!(message = %status.message, "The operator's role lacks a rule.");
            let detail = format!("the operator itself may not do this: {}", status.message);
            StoreError::Unavailable(detail)
        }
        400 | 404 | 413 | 422 => StoreError::Refused(status.message),
        _ => {
            tracing::warn!(message = %status.message, "The API server does not store a module.");
            StoreError::Unavailable(format!("the API server answers: {}", status.message))
        }
    }
}
