//! A module's bytes, as the operator reads them before it runs them.

use bytes::Bytes;
use foreshard_api::v1alpha1::PolicyModule;
use kube::ResourceExt as _;

use super::{KubeModules, error::LoadError, object, within};

impl KubeModules {
    /// The bytes of a module, if they are those that its digest names.
    ///
    /// # Errors
    /// [`LoadError`]; [`LoadError::OtherDigest`] when somebody changed them.
    pub async fn load(&self, module: &PolicyModule) -> Result<Bytes, LoadError> {
        let (place, component) = self.read(module).await?;
        let found = foreshard_api::sha256(&component);
        if found != module.spec.digest {
            return Err(LoadError::OtherDigest {
                place,
                expected: module.spec.digest.clone(),
                found,
            });
        }
        Ok(component)
    }

    /// Where the bytes are, in words, and what is there.
    async fn read(&self, module: &PolicyModule) -> Result<(String, Bytes), LoadError> {
        let namespace = module.namespace().unwrap_or_default();
        let source = &module.spec.source;
        match (&source.uploaded, &source.stored, &source.builtin) {
            (Some(uploaded), None, None) => {
                self.in_config_map(&namespace, &uploaded.config_map_name)
                    .await
            }
            (None, Some(stored), None) => self.in_store(&namespace, &stored.path).await,
            (None, None, Some(builtin)) => {
                let known = self.builtin(&builtin.name);
                let known = known.ok_or_else(|| LoadError::NoBuiltin(builtin.name.clone()))?;
                Ok(("the operator's binary".to_owned(), known.component.clone()))
            }
            _ => Err(LoadError::NoSource),
        }
    }

    async fn in_config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(String, Bytes), LoadError> {
        let place = format!("key {:?} of ConfigMap {name:?}", object::COMPONENT_KEY);
        let map = within(self.config_maps(namespace).get_opt(name)).await?;
        let component = map.and_then(object::into_component);
        match component {
            Some(component) => Ok((place, component)),
            None => Err(LoadError::Missing(place)),
        }
    }

    async fn in_store(&self, namespace: &str, path: &str) -> Result<(String, Bytes), LoadError> {
        if !object::is_of_namespace(path, namespace) {
            return Err(LoadError::Foreign {
                path: path.to_owned(),
                namespace: namespace.to_owned(),
            });
        }
        let large = self.large.as_ref();
        let large = large.ok_or_else(|| LoadError::NoStore(path.to_owned()))?;
        let place = format!("{path:?} of the module store");
        let component = large.get(path).await?;
        component
            .map(|component| (place.clone(), component))
            .ok_or(LoadError::Missing(place))
    }
}
