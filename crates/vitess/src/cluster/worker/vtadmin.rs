//! The cluster's VTAdmin, where one is to be made.

use foreshard_api::condition::Finding;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::Round;
use crate::apply::{ApplyError, trouble};
use crate::vtadmin::Parts;

impl Round<'_> {
    /// Has it be there, or not.
    pub(super) async fn show(&self) -> Result<(), Finding> {
        let done = match Parts::of(self.wanted, self.owner) {
            Some(parts) => self.put_page(&parts).await,
            None => self.sweep_page().await,
        };
        done.map_err(|error| trouble(&error))
    }

    async fn put_page(&self, parts: &Parts<'_>) -> Result<(), ApplyError> {
        // The first to come: what is swept is known by it.
        self.keep(parts.deployment()).await?;
        self.keep(parts.configuration()).await?;
        self.keep(parts.budget()).await?;
        self.keep(parts.service()).await
    }

    /// Takes away what was made of one that is no longer wanted.
    async fn sweep_page(&self) -> Result<(), ApplyError> {
        let (namespace, name) = (&self.wanted.names.namespace, self.wanted.names.vtadmin());
        if self.shared.deployments.get(namespace, &name).is_none() {
            return Ok(());
        }
        self.drop::<Service>(&name).await?;
        self.drop::<PodDisruptionBudget>(&name).await?;
        self.drop::<ConfigMap>(&name).await?;
        // It is what is looked for: the last to go.
        self.drop::<Deployment>(&name).await
    }
}
