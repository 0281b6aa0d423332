//! Bytes that nothing points at any more go, and bytes that lack their owner get it.

use std::{collections::BTreeSet, time::Duration};

use foreshard_api::{annotation, v1alpha1::PolicyModule};
use foreshard_server::{Name, StoreError};
use k8s_openapi::jiff::Timestamp;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Preconditions},
};

use super::{KubeModules, object, within};

/// Younger bytes may belong to an upload that is on its way.
const GRACE: Duration = Duration::from_secs(10 * 60);

impl KubeModules {
    /// Removes bytes of a namespace that nothing points at, and finishes what an upload that was cut short has left
    /// undone. Answers how many were removed. To be called for each namespace now and then; once an hour is enough.
    ///
    /// # Errors
    /// [`StoreError`]; what was done until then is done.
    pub async fn collect(&self, namespace: &Name) -> Result<usize, StoreError> {
        self.collect_until(namespace, Timestamp::now() - GRACE)
            .await
    }

    /// Collects aside, after a module was replaced; if that fails, the next pass does it.
    pub(super) fn collect_soon(&self, namespace: &Name) {
        let (modules, namespace) = (self.clone(), namespace.clone());
        tokio::spawn(async move {
            if let Err(error) = modules.collect(&namespace).await {
                tracing::warn!(%namespace, %error, "Old bytes of modules are not removed yet.");
            }
        });
    }

    async fn collect_until(&self, namespace: &Name, until: Timestamp) -> Result<usize, StoreError> {
        let (modules, namespace) = (self.modules(namespace.as_ref()), namespace.as_ref());
        // Bytes first: what is written in between is younger than what the modules say.
        let maps = self.config_maps(namespace);
        let labelled = ListParams::default().labels(annotation::MODULE);
        let found = within(maps.list_metadata(&labelled)).await?;
        let paths = match &self.large {
            Some(large) => large.list(namespace).await?,
            None => Vec::new(),
        };
        let all = within(modules.list(&ListParams::default())).await?;
        let used = |place: fn(&PolicyModule) -> Option<&String>| -> BTreeSet<&String> {
            all.items.iter().filter_map(place).collect()
        };
        let used_maps = used(|it| Some(&it.spec.source.uploaded.as_ref()?.config_map_name));
        let used_paths = used(|it| Some(&it.spec.source.stored.as_ref()?.path));
        let mut removed = 0;
        for map in &found.items {
            let name = map.name_any();
            if used_maps.contains(&name) {
                if map.owner_references().is_empty() {
                    self.adopt_by_name(namespace, &name, &all.items).await?;
                }
                continue;
            }
            if object::last_used(&map.metadata) < until {
                // Not if anybody has touched it since.
                let parameters = DeleteParams::default().preconditions(Preconditions {
                    resource_version: map.resource_version(),
                    uid: map.uid(),
                });
                match within(maps.delete(&name, &parameters)).await {
                    Ok(_) => removed += 1,
                    Err(StoreError::Stale | StoreError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        for (path, written) in &paths {
            if let Some(large) = &self.large
                && !used_paths.contains(path)
                && *written < until
            {
                large.delete(path).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn adopt_by_name(
        &self,
        namespace: &str,
        map: &str,
        modules: &[PolicyModule],
    ) -> Result<(), StoreError> {
        let points_at_it = |module: &&PolicyModule| {
            let uploaded = module.spec.source.uploaded.as_ref();
            uploaded.is_some_and(|it| it.config_map_name == map)
        };
        match modules.iter().find(points_at_it) {
            Some(owner) => self.adopt(namespace, owner).await,
            None => Ok(()),
        }
    }

    /// [`collect`](Self::collect) without the time of grace, for tests.
    #[doc(hidden)]
    pub async fn collect_now(&self, namespace: &Name) -> Result<usize, StoreError> {
        self.collect_until(namespace, Timestamp::MAX).await
    }
}
