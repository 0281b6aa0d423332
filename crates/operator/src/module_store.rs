//! Where uploaded modules are: bytes in ConfigMaps, larger ones in the configured store, and PolicyModule objects that
//! say which.
//!
//! Bytes are written before the object points at them, under names that their digest is part of, and removed after
//! nothing points at them any more. So whatever is cut short leaves either the old module or the new one, and at worst
//! bytes that [`KubeModules::collect`] removes.

mod collect;
mod error;
mod large;
mod load;
mod object;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use foreshard_api::v1alpha1::{PolicyModule, ScalingPolicy};
use foreshard_server::{ModuleStore, Name, Put, Replaces, StoreError, Upload, view};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use tokio::time::timeout;

pub use error::LoadError;
pub use large::{LargeStore, LargeStoreError};
pub use object::CONFIG_MAP_BYTES_MAX;

/// The field manager of what is written for an upload.
const MANAGER: &str = "foreshard.dev/module-store";
/// For one step: a question to the API server or a transfer to the store.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a namespace: with a ConfigMap for each, they take 64 MB of etcd at most.
const MODULES_MAX: usize = 64;
/// How often an upload is tried anew when somebody else writes the same object.
const ATTEMPTS_MAX: usize = 4;

/// A module that comes with the operator.
#[derive(Clone, Debug)]
pub struct BuiltinModule {
    /// As the API shows it; its name begins with `builtin-`.
    pub module: view::PolicyModule,
    /// Its bytes.
    pub component: Bytes,
}

/// The cluster as the store of modules.
#[derive(Clone)]
pub struct KubeModules {
    client: Client,
    large: Option<LargeStore>,
    builtin: Arc<[BuiltinModule]>,
}

impl KubeModules {
    /// Keeps modules with this client; what does not fit into a ConfigMap goes to the large store, if there is one.
    #[must_use]
    pub fn new(client: Client, large: Option<LargeStore>, builtin: Vec<BuiltinModule>) -> Self {
        Self {
            client,
            large,
            builtin: builtin.into(),
        }
    }

    fn modules(&self, namespace: &str) -> Api<PolicyModule> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn config_maps(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn builtin(&self, name: &str) -> Option<&BuiltinModule> {
        self.builtin.iter().find(|it| it.module.name == name)
    }

    async fn stored(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<PolicyModule>, StoreError> {
        within(self.modules(namespace).get_opt(name)).await
    }

    async fn require_room(
        &self,
        namespace: &Name,
        name: &Name,
        bytes: usize,
    ) -> Result<(), StoreError> {
        if name.as_ref().starts_with(object::BUILTIN_PREFIX) {
            return Err(StoreError::Builtin(name.to_string()));
        }
        if bytes > CONFIG_MAP_BYTES_MAX && self.large.is_none() {
            let max = CONFIG_MAP_BYTES_MAX;
            return Err(StoreError::NeedsStore { bytes, max });
        }
        let modules = self.modules(namespace.as_ref());
        let all = within(modules.list_metadata(&ListParams::default())).await?;
        let is_new = all.items.iter().all(|it| it.name_any() != name.as_ref());
        if is_new && all.items.len() >= MODULES_MAX {
            return Err(StoreError::TooMany(MODULES_MAX));
        }
        Ok(())
    }

    async fn put_module(
        &self,
        namespace: &Name,
        name: &Name,
        upload: Upload,
    ) -> Result<(view::PolicyModule, Put), StoreError> {
        let (namespace, name) = (namespace.as_ref(), name.as_ref());
        let digest = upload.policy.digest();
        for _ in 0..ATTEMPTS_MAX {
            let old = self.stored(namespace, name).await?;
            if old
                .as_ref()
                .is_some_and(|old| old.metadata.deletion_timestamp.is_some())
            {
                let detail = format!("module {name:?} is being deleted; upload it when it is gone");
                return Err(StoreError::Unavailable(detail));
            }
            require_as_supposed(&upload.replaces, old.as_ref())?;
            let same = old.as_ref().is_some_and(|old| old.spec.digest == digest);
            if same && self.has_bytes(namespace, old.as_ref()).await? {
                return Ok((self.shown(name, &upload), Put::Unchanged));
            }
            let source = self
                .write_bytes(namespace, name, digest, &upload.component)
                .await?;
            let put = match old {
                None => Put::Created,
                Some(_) => Put::Replaced,
            };
            let new = object::module(name, &upload, source, old);
            match self.write_module(namespace, new).await {
                Ok(written) => {
                    self.adopt(namespace, &written).await?;
                    return Ok((self.shown(name, &upload), put));
                }
                // Somebody else was faster; look again.
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        let detail = format!("others keep writing module {name:?}; nothing was changed");
        Err(StoreError::Unavailable(detail))
    }

    fn shown(&self, name: &str, upload: &Upload) -> view::PolicyModule {
        view::PolicyModule {
            name: name.to_owned(),
            digest: upload.policy.digest().to_owned(),
            bytes: upload.component.len(),
            builtin: false,
            descriptor: upload.policy.descriptor().clone().into(),
            acceptance: None,
        }
    }

    /// Whether the bytes that the object points at are there.
    async fn has_bytes(
        &self,
        namespace: &str,
        module: Option<&PolicyModule>,
    ) -> Result<bool, StoreError> {
        let Some(module) = module else {
            return Ok(false);
        };
        if let Some(uploaded) = &module.spec.source.uploaded {
            let maps = self.config_maps(namespace);
            let found = within(maps.get_metadata_opt(&uploaded.config_map_name)).await?;
            return Ok(found.is_some());
        }
        match (&module.spec.source.stored, &self.large) {
            (Some(stored), Some(large)) => large.has(&stored.path).await,
            _ => Ok(false),
        }
    }

    async fn write_module(
        &self,
        namespace: &str,
        module: PolicyModule,
    ) -> Result<PolicyModule, StoreError> {
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let modules = self.modules(namespace);
        if module.metadata.resource_version.is_none() {
            return within(modules.create(&parameters, &module)).await;
        }
        let name = module.name_any();
        within(modules.replace(&name, &parameters, &module)).await
    }

    /// Lets the bytes go with the object.
    async fn adopt(&self, namespace: &str, module: &PolicyModule) -> Result<(), StoreError> {
        let Some(uploaded) = &module.spec.source.uploaded else {
            return Ok(());
        };
        let patch = object::ownership(module);
        let parameters = PatchParams::apply(MANAGER);
        let maps = self.config_maps(namespace);
        let patch = Patch::Merge(patch);
        let patched = maps.patch_metadata(&uploaded.config_map_name, &parameters, &patch);
        within(patched).await.map(drop)
    }

    async fn write_bytes(
        &self,
        namespace: &str,
        name: &str,
        digest: &str,
        component: &Bytes,
    ) -> Result<foreshard_api::v1alpha1::ModuleSource, StoreError> {
        if component.len() > CONFIG_MAP_BYTES_MAX {
            let (bytes, max) = (component.len(), CONFIG_MAP_BYTES_MAX);
            let large = self.large.as_ref();
            let large = large.ok_or(StoreError::NeedsStore { bytes, max })?;
            let path = object::path(namespace, name, digest);
            large.put(&path, component.clone()).await?;
            return Ok(object::stored(path));
        }
        let map = object::config_map(name, digest, component);
        let map_name = map.name_any();
        let maps = self.config_maps(namespace);
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        match within(maps.create(&parameters, &map)).await {
            Ok(_) => {}
            Err(StoreError::Stale) => self.reuse(&maps, &map_name, digest).await?,
            Err(error) => return Err(error),
        }
        Ok(object::uploaded(map_name))
    }

    /// Takes a ConfigMap that is there already, and marks it as used, so that it is not collected in between.
    async fn reuse(
        &self,
        maps: &Api<ConfigMap>,
        name: &str,
        digest: &str,
    ) -> Result<(), StoreError> {
        let patch = Patch::Merge(object::used_now());
        let parameters = PatchParams::apply(MANAGER);
        let patched = maps.patch(name, &parameters, &patch);
        let map: ConfigMap = within(patched).await?;
        let is_ours = object::component(&map).is_some_and(|it| foreshard_api::sha256(it) == digest);
        if is_ours && map.immutable == Some(true) {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "ConfigMap {name:?} is there and does not hold this component; delete it"
        )))
    }

    async fn delete_module(&self, namespace: &Name, name: &Name) -> Result<bool, StoreError> {
        if name.as_ref().starts_with(object::BUILTIN_PREFIX) {
            return Err(StoreError::Builtin(name.to_string()));
        }
        if let Some(policy) = self.follower(namespace.as_ref(), name.as_ref()).await? {
            return Err(StoreError::InUse {
                module: name.to_string(),
                follower: format!("ScalingPolicy {policy:?}"),
            });
        }
        let Some(module) = self.stored(namespace.as_ref(), name.as_ref()).await? else {
            return Ok(false);
        };
        // The ConfigMap goes with it, by its owner reference.
        let modules = self.modules(namespace.as_ref());
        within(modules.delete(name.as_ref(), &DeleteParams::default())).await?;
        if let (Some(stored), Some(large)) = (&module.spec.source.stored, &self.large)
            && object::is_of_namespace(&stored.path, namespace.as_ref())
        {
            large.delete(&stored.path).await?;
        }
        Ok(true)
    }

    /// A ScalingPolicy that names the module.
    async fn follower(&self, namespace: &str, module: &str) -> Result<Option<String>, StoreError> {
        let policies: Api<ScalingPolicy> = Api::namespaced(self.client.clone(), namespace);
        let policies = within(policies.list(&ListParams::default())).await?;
        let follows = |policy: &&ScalingPolicy| {
            let bindings = policy.spec.policies.iter();
            bindings.into_iter().any(|it| it.module_ref.name == module)
        };
        let follower = policies.items.iter().find(follows);
        Ok(follower.map(|policy| policy.name_any()))
    }
}

fn require_as_supposed(replaces: &Replaces, old: Option<&PolicyModule>) -> Result<(), StoreError> {
    let as_supposed = match replaces {
        Replaces::Anything => true,
        Replaces::Something => old.is_some(),
        Replaces::Nothing => old.is_none(),
        Replaces::Digest(digest) => old.is_some_and(|old| old.spec.digest == *digest),
    };
    as_supposed.then_some(()).ok_or(StoreError::Stale)
}

/// One question to the API server; a conflict and a name that is taken are both [`StoreError::Stale`].
async fn within<T>(
    question: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, StoreError> {
    let answer = timeout(STEP_TIMEOUT, question).await;
    let answer = answer.map_err(|_| {
        StoreError::Unavailable("the API server does not answer in time".to_owned())
    })?;
    answer.map_err(error::of_kube)
}

impl ModuleStore for KubeModules {
    fn list<'a>(
        &'a self,
        namespace: &'a Name,
    ) -> BoxFuture<'a, Result<Vec<view::PolicyModule>, StoreError>> {
        Box::pin(async move {
            let modules = self.modules(namespace.as_ref());
            let stored = within(modules.list(&ListParams::default())).await?;
            let builtin = self.builtin.iter().map(|it| it.module.clone());
            Ok(builtin
                .chain(stored.items.iter().map(object::view))
                .collect())
        })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<view::PolicyModule>, StoreError>> {
        Box::pin(async move {
            if let Some(builtin) = self.builtin(name.as_ref()) {
                return Ok(Some(builtin.module.clone()));
            }
            let stored = self.stored(namespace.as_ref(), name.as_ref()).await?;
            Ok(stored.as_ref().map(object::view))
        })
    }

    fn component<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<Option<(view::PolicyModule, Bytes)>, StoreError>> {
        Box::pin(async move {
            if let Some(builtin) = self.builtin(name.as_ref()) {
                return Ok(Some((builtin.module.clone(), builtin.component.clone())));
            }
            let stored = self.stored(namespace.as_ref(), name.as_ref()).await?;
            let Some(module) = stored else {
                return Ok(None);
            };
            let component = self.load(&module).await?;
            Ok(Some((object::view(&module), component)))
        })
    }

    fn has_room<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
        bytes: usize,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.require_room(namespace, name, bytes))
    }

    fn put<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
        upload: Upload,
    ) -> BoxFuture<'a, Result<(view::PolicyModule, Put), StoreError>> {
        Box::pin(async move {
            let (module, put) = self.put_module(namespace, name, upload).await?;
            if put == Put::Replaced {
                self.collect_soon(namespace);
            }
            Ok((module, put))
        })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Name,
        name: &'a Name,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.delete_module(namespace, name))
    }
}
