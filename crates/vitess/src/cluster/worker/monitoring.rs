//! The cluster's Prometheus, where one is to be made.

use foreshard_api::condition::Finding;
use foreshard_api::v1alpha1::PrometheusSource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt as _;

use super::Round;
use crate::apply::{ApplyError, trouble};
use crate::monitoring::Parts;

impl Round<'_> {
    /// Has it be there, or not. Most of it is not watched: whoever asks does so now and then.
    pub(super) async fn monitor(&self) -> Result<(), Finding> {
        let done = match Parts::of(self.wanted, self.owner) {
            Some(parts) => self.put(&parts).await,
            None => self.sweep().await,
        };
        done.map_err(|error| trouble(&error))
    }

    async fn put(&self, parts: &Parts<'_>) -> Result<(), ApplyError> {
        // The first to come: what is swept is known by it.
        self.keep(parts.deployment()).await?;
        self.keep(parts.account()).await?;
        self.keep(parts.role()).await?;
        self.keep(parts.binding()).await?;
        self.keep(parts.configuration()).await?;
        let claim = parts.claim();
        // Its size is the first one's: a volume of samples is made anew by hand.
        if self
            .read::<PersistentVolumeClaim>(&claim.name_any())
            .await?
            .is_none()
        {
            self.shared.writers.cluster.apply(&claim, None).await?;
        }
        self.keep(parts.service()).await?;
        self.keep(parts.source()).await
    }

    /// Takes away what was made of one that is no longer wanted. Its volume stays.
    async fn sweep(&self) -> Result<(), ApplyError> {
        let name = self.wanted.names.prometheus();
        if self
            .shared
            .deployments
            .get(&self.wanted.names.namespace, &name)
            .is_none()
        {
            return Ok(());
        }
        self.drop::<Service>(&name).await?;
        self.drop::<ConfigMap>(&name).await?;
        self.drop::<RoleBinding>(&name).await?;
        self.drop::<Role>(&name).await?;
        self.drop::<ServiceAccount>(&name).await?;
        self.drop::<PrometheusSource>(&self.wanted.names.name)
            .await?;
        // It is what is looked for: the last to go.
        self.drop::<Deployment>(&name).await
    }
}
