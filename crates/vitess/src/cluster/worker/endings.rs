//! Keyspaces that the spec no longer names are forgotten, once nothing is left of them.

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::{KeyspaceShard, TabletPool, Vitess, VitessStatus};
use foreshard_controller::call::in_time;
use foreshard_controller::error::refusal;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::Round;
use crate::apply::{Owned, trouble};
use crate::cluster::endings::{ended, leaves};
use crate::cluster::names::{KEYSPACE, VITESS, VTTABLET};
use crate::cluster::reach::{refused, way};
use crate::cluster::status::Told;
use crate::names::COMPONENT;

impl Round<'_> {
    /// Goes on with those that end, and says which end from now on: what ends is written before anything is forgotten, so
    /// that whoever comes after a killed pass knows it from a topology that lost its data. Answers what is waited for.
    pub(super) async fn endings(&self, told: &mut Told) -> Result<Option<String>, Finding> {
        let mut waits = None;
        if !told.ending.is_empty() {
            // By the API server's own word: a watch that is behind may know of an end that is over.
            let Some(fresh) = self.fresh().await? else {
                return Ok(Some("The spec has just changed.".to_owned()));
            };
            (told.begun, told.ending) = (fresh.begun_keyspaces, fresh.ending_keyspaces);
        }
        for keyspace in told.ending.clone() {
            if let Some(said) = self.forget(&keyspace).await? {
                waits.get_or_insert(said);
                continue;
            }
            told.ending.retain(|it| *it != keyspace);
            told.begun.retain(|it| *it != keyspace);
            told.forgotten.push(keyspace);
        }
        let mut known = told.begun.clone();
        // A pass that was killed may have made shards and not said so.
        known.extend(self.shards.iter().map(|it| it.spec.keyspace.clone()));
        known.retain(|it| !told.forgotten.contains(it));
        known.sort();
        known.dedup();
        for keyspace in ended(self.object, &known, self.shards) {
            if told.ending.contains(keyspace) || !self.is_empty(keyspace).await? {
                continue;
            }
            waits.get_or_insert(format!(
                "Keyspace {keyspace} has no tablet any more: it is forgotten."
            ));
            told.ending.push(keyspace.clone());
        }
        let leaving = self.shards.iter().find(|it| leaves(it));
        Ok(waits.or_else(|| {
            let keyspace = &leaving?.spec.keyspace;
            Some(format!(
                "Keyspace {keyspace} is no longer in the spec: its tablets leave."
            ))
        }))
    }

    /// Takes away what is left of a keyspace; answers what is waited for.
    async fn forget(&self, keyspace: &str) -> Result<Option<String>, Finding> {
        let shards: Vec<KeyspaceShard> = self.list(&self.of_keyspace(keyspace)).await?;
        let writer = &self.shared.writers.cluster;
        // Those of one that was made anew, and that a status which was behind calls ending, serve.
        if shards.iter().any(|it| !leaves(it)) {
            return Ok(Some(format!("Shards of keyspace {keyspace} may serve.")));
        }
        for shard in &shards {
            writer
                .delete(shard)
                .await
                .map_err(|error| trouble(&error))?;
        }
        if !shards.is_empty() || !self.is_empty(keyspace).await? {
            return Ok(Some(format!("Objects of keyspace {keyspace} are deleted.")));
        }
        self.drop_vtorc(keyspace).await?;
        writer.leads().map_err(|error| trouble(&error))?;
        let names = &self.wanted.names;
        let vtctld = way(self.shared, names).await?.vtctld;
        let refused = |error| refused(self.shared, names, &error);
        match vtctld.delete_keyspace(keyspace).await {
            // By a pass that was killed.
            Err(error) if error.is_not_found() => {}
            done => done.map_err(refused)?,
        }
        vtctld.rebuild_vschema_graph().await.map_err(refused)?;
        Ok(None)
    }

    async fn drop_vtorc(&self, keyspace: &str) -> Result<(), Finding> {
        let (shared, name) = (self.shared, self.wanted.names.vtorc(keyspace));
        let namespace = &self.wanted.names.namespace;
        let writer = &shared.writers.cluster;
        if let Some(vtorc) = shared.deployments.get(namespace, &name) {
            writer
                .delete(&*vtorc)
                .await
                .map_err(|error| trouble(&error))?;
        }
        if let Some(budget) = shared.budgets.get(namespace, &name) {
            writer
                .delete(&*budget)
                .await
                .map_err(|error| trouble(&error))?;
        }
        Ok(())
    }

    /// Whether there is no pool and no tablet of a keyspace, by the API server's own word.
    async fn is_empty(&self, keyspace: &str) -> Result<bool, Finding> {
        let selector = self.of_keyspace(keyspace);
        let pools: Vec<TabletPool> = self.list(&selector).await?;
        let tablets = format!("{selector},{COMPONENT}={VTTABLET}");
        let tablets: Vec<Pod> = self.list(&tablets).await?;
        Ok(pools.is_empty() && tablets.is_empty())
    }

    /// The status as it is written; none: the object is another one, or to be left alone.
    async fn fresh(&self) -> Result<Option<VitessStatus>, Finding> {
        let names = &self.wanted.names;
        let api: Api<Vitess> = Api::namespaced(self.shared.client.clone(), &names.namespace);
        let fresh = in_time(api.get_opt(&names.name)).await;
        let fresh = fresh.map_err(|error| unread("Vitess", &error))?;
        let is_same = |it: &Vitess| it.uid() == self.object.uid() && self.shared.may_change(it);
        Ok(fresh
            .filter(is_same)
            .map(|it| it.status.unwrap_or_default()))
    }

    fn of_keyspace(&self, keyspace: &str) -> String {
        format!("{VITESS}={},{KEYSPACE}={keyspace}", self.wanted.names.name)
    }

    async fn list<K: Owned>(&self, selector: &str) -> Result<Vec<K>, Finding> {
        let namespace = &self.wanted.names.namespace;
        let api: Api<K> = Api::namespaced(self.shared.client.clone(), namespace);
        let all = in_time(api.list(&ListParams::default().labels(selector))).await;
        let all = all.map_err(|error| unread(&K::plural(&()), &error))?;
        Ok(all.items)
    }
}

fn unread(what: &str, error: &kube::Error) -> Finding {
    let (reason, said) = refusal(error);
    let said = format!("{what} cannot be read: {said}");
    Finding::no(kind::PROGRESSING, reason, said)
}
