//! Bytes that nothing points at any more go, and bytes that lack their owner get it.

use std::{collections::BTreeSet, time::Duration};

use foreshard_api::{annotation, v1alpha1::PolicyModule};
use foreshard_server::{Name, StoreError};
use k8s_openapi::{api::core::v1::ConfigMap, jiff::Timestamp};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{KubeModules, object, within};

/// How often all namespaces are looked through, and how long after the start for the first time, when others are waited for.
const EVERY: Duration = Duration::from_secs(60 * 60);
const FIRST_AFTER: Duration = Duration::from_secs(5 * 60);
/// Younger bytes may belong to an upload that is on its way.
const GRACE: Duration = Duration::from_secs(10 * 60);

impl KubeModules {
    /// Removes bytes of a namespace that nothing points at, and finishes what an upload that was cut short has left
    /// undone. Answers how many were removed.
    ///
    /// # Errors
    /// [`StoreError`]; what was done until then is done.
    pub async fn collect(&self, namespace: &Name) -> Result<usize, StoreError> {
        self.collect_until(namespace, Timestamp::now() - GRACE)
            .await
    }

    /// Does it for every namespace once an hour, whenever this replica `leads`, until `stop`. `only`: of this namespace.
    pub async fn collect_hourly(
        self,
        only: Option<String>,
        leads: impl Fn() -> bool + Send,
        stop: CancellationToken,
    ) {
        let mut due = interval_at(Instant::now() + FIRST_AFTER, EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = due.tick() => {}
            }
            if leads()
                && let Err(error) = self.collect_all(only.as_deref()).await
            {
                tracing::warn!(%error, "Old bytes of modules are not removed yet.");
            }
        }
    }

    /// A namespace that fails does not keep the others from their turn.
    async fn collect_all(&self, only: Option<&str>) -> Result<(), StoreError> {
        let mut failure = None;
        for namespace in self.namespaces(only).await? {
            // A name that Kubernetes takes and the API does not has no uploads.
            let Ok(namespace) = namespace.parse::<Name>() else {
                continue;
            };
            match self.collect(&namespace).await {
                Ok(0) => {}
                Ok(removed) => {
                    tracing::info!(%namespace, removed, "Old bytes of modules were removed.");
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Every namespace with modules or with bytes of them.
    async fn namespaces(&self, only: Option<&str>) -> Result<BTreeSet<String>, StoreError> {
        if let Some(only) = only {
            return Ok(BTreeSet::from([only.to_owned()]));
        }
        let client = || self.client.clone();
        let (maps, modules) = (
            Api::<ConfigMap>::all(client()),
            Api::<PolicyModule>::all(client()),
        );
        let labelled = ListParams::default().labels(annotation::MODULE);
        let maps = within(maps.list_metadata(&labelled)).await?;
        let modules = within(modules.list_metadata(&ListParams::default())).await?;
        let of_maps = maps.items.iter().filter_map(ResourceExt::namespace);
        let of_modules = modules.items.iter().filter_map(ResourceExt::namespace);
        let mut all: BTreeSet<String> = of_maps.chain(of_modules).collect();
        if let Some(large) = &self.large {
            all.extend(large.folders().await?);
        }
        Ok(all)
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    };

    use kube::Client;
    use serde_json::{Value, json};

    use super::*;

    /// An API server with one old ConfigMap, which nothing points at, and what was asked of it.
    fn server() -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let map = json!({
                "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {
                    "name": "left-over", "namespace": "old", "uid": "1", "resourceVersion": "1",
                    "creationTimestamp": "2020-01-01T00:00:00Z",
                },
            });
            let items = if path.ends_with("/configmaps") {
                vec![map]
            } else {
                Vec::new()
            };
            let list = |kind: &str| -> Value {
                let version = if kind == "List" {
                    "v1"
                } else {
                    "meta.k8s.io/v1"
                };
                json!({ "apiVersion": version, "kind": kind, "metadata": {}, "items": items })
            };
            let partial = request.headers().get(http::header::ACCEPT);
            let partial = partial.is_some_and(|it| it.to_str().unwrap().contains("PartialObject"));
            let body = match (method.as_str(), partial) {
                ("DELETE", _) => json!({
                    "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 200,
                }),
                (_, true) => list("PartialObjectMetadataList"),
                (_, false) => list("List"),
            };
            told.lock().unwrap().push(format!("{method} {path}"));
            let body = kube::client::Body::from(serde_json::to_vec(&body).unwrap());
            let answer = http::Response::new(body);
            std::future::ready(Ok::<_, std::convert::Infallible>(answer))
        });
        (Client::new(service, "default"), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_over_goes_within_the_hour_by_the_leader_alone() {
        let (client, asked) = server();
        let leads = Arc::new(AtomicBool::new(false));
        let is_leader = Arc::clone(&leads);
        let stop = CancellationToken::new();
        let modules = KubeModules::new(client, None, Vec::new());
        let collecting = modules.collect_hourly(
            None,
            move || is_leader.load(Ordering::Relaxed),
            stop.clone(),
        );
        let collecting = tokio::spawn(collecting);
        tokio::time::sleep(FIRST_AFTER + EVERY + Duration::from_secs(1)).await;
        assert!(asked.lock().unwrap().is_empty(), "another replica leads");
        leads.store(true, Ordering::Relaxed);
        tokio::time::sleep(EVERY).await;
        let asked = asked.lock().unwrap().clone();
        let deleted: Vec<_> = asked.iter().filter(|it| it.starts_with("DELETE")).collect();
        assert_eq!(
            deleted,
            ["DELETE /api/v1/namespaces/old/configmaps/left-over"],
            "{asked:?}"
        );
        stop.cancel();
        collecting.await.unwrap();
    }
}
