//! The bytes of policy modules.

use bytes::Bytes;
use foreshard_api::sha256;
use foreshard_api::v1alpha1::PolicyModule;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::{Client, ResourceExt as _};

use crate::error::refusal;
use crate::target::in_time;

/// Reads the bytes of modules.
pub trait Loader: Send + Sync + 'static {
    /// The bytes of one module, which have the digest that its spec names.
    ///
    /// # Errors
    /// [`LoadError`].
    fn load<'a>(&'a self, module: &'a PolicyModule) -> BoxFuture<'a, Result<Bytes, LoadError>>;
}

/// The key of a ConfigMap under which the bytes are.
const KEY: &str = "component.wasm";

/// Reads the bytes that are in the cluster.
pub struct ConfigMaps {
    client: Client,
}

impl ConfigMaps {
    /// By this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Bytes, LoadError> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let missing = |what: &str| LoadError::NotFound(format!("ConfigMap {name} {what}"));
        let object = in_time(api.get(name))
            .await
            .map_err(|error| match refusal(&error) {
                ("NotFound", _) => missing("is not there"),
                (_, message) => LoadError::Unavailable(message),
            })?;
        let data = object.binary_data.unwrap_or_default();
        let bytes = data
            .get(KEY)
            .ok_or_else(|| missing("has no binaryData \"component.wasm\""))?;
        Ok(Bytes::from(bytes.0.clone()))
    }
}

impl Loader for ConfigMaps {
    fn load<'a>(&'a self, module: &'a PolicyModule) -> BoxFuture<'a, Result<Bytes, LoadError>> {
        Box::pin(async move {
            let Some(uploaded) = &module.spec.source.uploaded else {
                return Err(LoadError::NoStore);
            };
            let namespace = module.namespace().unwrap_or_default();
            verified(
                module,
                self.read(&namespace, &uploaded.config_map_name).await?,
            )
        })
    }
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
pub(crate) fn verified(module: &PolicyModule, bytes: Bytes) -> Result<Bytes, LoadError> {
    let found = sha256(&bytes);
    if found == module.spec.digest {
        return Ok(bytes);
    }
    Err(LoadError::DigestMismatch {
        found,
        wanted: module.spec.digest.clone(),
    })
}
