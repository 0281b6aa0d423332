//! What runs beside Vitess: how it is kept, taken away, and seen.

use foreshard_api::condition::{Finding, kind};
use foreshard_controller::call::in_time;
use kube::ResourceExt as _;

use super::Round;
use crate::apply::{ApplyError, Owned};
use crate::pods;

impl Round<'_> {
    /// What is told of the Deployment of this name and of pods with these labels, while it is not as it is wanted.
    pub(super) fn beside(&self, name: &str, component: &str) -> Option<Finding> {
        let names = &self.wanted.names;
        let deployment = self.shared.deployments.get(&names.namespace, name)?;
        let wanted = deployment.spec.as_ref()?.replicas.unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or(0);
        let is_known = status.observed_generation >= deployment.metadata.generation;
        if is_known && ready >= wanted {
            return None;
        }
        let labels = names.selector(component);
        let trouble = pods::first_trouble(self.shared, &names.namespace, &labels);
        let trouble = trouble.map(|it| format!(" {it}"));
        let said = format!(
            "Deployment {name} has {ready} of {wanted} pods ready; Vitess does without.{}",
            trouble.unwrap_or_default()
        );
        Some(Finding::yes(kind::PROGRESSING, "BesideNotReady", said))
    }

    /// One by its name: most of what runs beside is not watched.
    pub(super) async fn read<K: Owned>(&self, name: &str) -> Result<Option<K>, ApplyError> {
        let writer = &self.shared.writers.cluster;
        let api = writer.api::<K>(Some(&self.wanted.names.namespace));
        let read = in_time(api.get_opt(name)).await;
        read.map_err(|error| ApplyError::read::<K>(name, error))
    }

    /// Has one be there.
    pub(super) async fn keep<K: Owned>(&self, wanted: K) -> Result<(), ApplyError> {
        let live = self.read::<K>(&wanted.name_any()).await?;
        if live.as_ref().is_some_and(|it| !self.is_ours(it)) {
            return Err(ApplyError::taken::<K>(wanted.name_any()));
        }
        let writer = &self.shared.writers.cluster;
        writer.apply(&wanted, live.as_ref()).await
    }

    /// Deletes one that is ours.
    pub(super) async fn drop<K: Owned>(&self, name: &str) -> Result<(), ApplyError> {
        let Some(live) = self.read::<K>(name).await? else {
            return Ok(());
        };
        if self.is_ours(&live) {
            self.shared.writers.cluster.delete(&live).await?;
        }
        Ok(())
    }

    fn is_ours<K: Owned>(&self, live: &K) -> bool {
        let owners = live.owner_references();
        owners.iter().any(|it| it.uid == self.owner.uid)
    }
}
