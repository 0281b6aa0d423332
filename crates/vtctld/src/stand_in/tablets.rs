//! Tablets as the stand-in keeps them, with what vtctld refuses.

use std::collections::BTreeMap;

use tonic::Status;

use super::{StandIn, Topology, missing};
use crate::{
    TabletAlias, TabletType,
    wire::{replicationdata, topodata, vtctldata as data},
};

/// Keyspace and shard.
type Key = (String, String);

#[derive(Debug)]
pub(super) struct Tablet {
    pub(super) shard: Key,
    /// Of one that is primary: what it was before, and is after.
    pub(super) tablet_type: TabletType,
    is_up: bool,
    lag_seconds: u32,
    backs_up: bool,
}

impl Tablet {
    pub(super) fn new(shard: Key, tablet_type: TabletType) -> Self {
        Self {
            shard,
            tablet_type,
            is_up: true,
            lag_seconds: 0,
            backs_up: false,
        }
    }

    fn status(&self) -> replicationdata::Status {
        replicationdata::Status {
            replication_lag_seconds: self.lag_seconds,
            io_state: 3,
            sql_state: 3,
            replication_lag_unknown: false,
            backup_running: self.backs_up,
        }
    }
}

impl StandIn {
    /// A tablet's pod is gone; its record stays. Told among the changes, with what it was for.
    pub fn end(&self, alias: &TabletAlias) {
        let mut topology = self.lock();
        let is_primary = topology.is_primary(alias);
        let Some(tablet) = topology.tablets.get_mut(alias).filter(|it| it.is_up) else {
            return;
        };
        tablet.is_up = false;
        let was = if is_primary {
            TabletType::Primary
        } else {
            tablet.tablet_type
        };
        topology.changes.push(format!("Ended {alias} {was:?}"));
    }

    /// How far a tablet is behind, in seconds.
    pub fn lag(&self, alias: &TabletAlias, seconds: u32) {
        if let Some(tablet) = self.lock().tablets.get_mut(alias) {
            tablet.lag_seconds = seconds;
        }
    }

    /// Whether a tablet takes a backup.
    pub fn backs_up(&self, alias: &TabletAlias, backs_up: bool) {
        if let Some(tablet) = self.lock().tablets.get_mut(alias) {
            tablet.backs_up = backs_up;
        }
    }

    /// The workflows that there are, as name, keyspace and shard that they copy within.
    pub fn work(&self, workflows: &[(&str, &str, &str)]) {
        let all = workflows.iter().map(|(name, keyspace, shard)| {
            let location = data::workflow::ReplicationLocation {
                keyspace: (*keyspace).to_owned(),
                shards: vec![(*shard).to_owned()],
            };
            data::Workflow {
                name: (*name).to_owned(),
                source: Some(location.clone()),
                target: Some(location),
                ..data::Workflow::default()
            }
        });
        self.lock().workflows = all.collect();
    }

    /// Makes a tablet the primary of its shard.
    pub fn promote(&self, alias: &TabletAlias) {
        let mut topology = self.lock();
        let shard = topology.tablets.get(alias).map(|it| it.shard.clone());
        if let Some(shard) = shard.and_then(|it| topology.shards.get_mut(&it)) {
            shard.primary = Some(alias.clone());
        }
    }

    /// The shard's primary.
    #[must_use]
    pub fn primary(&self, keyspace: &str, shard: &str) -> Option<TabletAlias> {
        let topology = self.lock();
        let key = (keyspace.to_owned(), shard.to_owned());
        topology.shards.get(&key)?.primary.clone()
    }

    /// Tablets that are recorded.
    #[must_use]
    pub fn tablets(&self) -> Vec<TabletAlias> {
        self.lock().tablets.keys().cloned().collect()
    }
}

impl Topology {
    fn is_primary(&self, alias: &TabletAlias) -> bool {
        self.shards
            .values()
            .any(|it| it.primary.as_ref() == Some(alias))
    }

    fn tablet(&self, alias: &TabletAlias) -> Result<&Tablet, Status> {
        let tablet = self.tablets.get(alias);
        tablet.ok_or_else(|| missing(&format!("tablets/{alias}/Tablet")))
    }

    fn running(&self, alias: &TabletAlias) -> Result<&Tablet, Status> {
        let tablet = self.tablet(alias)?;
        let refused = || Status::unavailable(format!("{alias}: connection refused"));
        tablet.is_up.then_some(tablet).ok_or_else(refused)
    }

    pub(super) fn records(&self, shard: &Key) -> Vec<topodata::Tablet> {
        let all = self.tablets.iter().filter(|(_, it)| it.shard == *shard);
        let record = |(alias, tablet): (&TabletAlias, &Tablet)| {
            let tablet_type = if self.is_primary(alias) {
                TabletType::Primary
            } else {
                tablet.tablet_type
            };
            topodata::Tablet {
                alias: Some(alias.into()),
                keyspace: shard.0.clone(),
                shard: shard.1.clone(),
                r#type: tablet_type.to_wire(),
                ..topodata::Tablet::default()
            }
        };
        all.map(record).collect()
    }

    pub(super) fn change_type(
        &mut self,
        alias: &TabletAlias,
        tablet_type: TabletType,
    ) -> Result<(), Status> {
        let tablet = self.running(alias)?;
        if self.is_primary(alias) {
            return Err(Status::unknown("not an allowed transition"));
        }
        if tablet.tablet_type == tablet_type && tablet_type == TabletType::Drained {
            return Err(Status::unknown(format!(
                "Tablet: {alias}, is already drained"
            )));
        }
        if let Some(tablet) = self.tablets.get_mut(alias) {
            tablet.tablet_type = tablet_type;
        }
        let change = format!("ChangeTabletType {alias} {tablet_type:?}");
        self.changes.push(change);
        Ok(())
    }

    pub(super) fn delete(&mut self, alias: &TabletAlias) -> Result<(), Status> {
        self.tablet(alias)?;
        if self.is_primary(alias) {
            return Err(Status::failed_precondition(format!(
                "cannot delete tablet {alias} as it is a primary"
            )));
        }
        self.tablets.remove(alias);
        self.changes.push(format!("DeleteTablets {alias}"));
        Ok(())
    }

    pub(super) fn reparent(
        &mut self,
        asked: data::PlannedReparentShardRequest,
    ) -> Result<TabletAlias, Status> {
        let shard = (asked.keyspace, asked.shard);
        let of = |alias: Option<topodata::TabletAlias>| alias.map(TabletAlias::from);
        let (new, expected) = (of(asked.new_primary), of(asked.expected_primary));
        let new = new.ok_or_else(|| Status::invalid_argument("name a primary"))?;
        let tablet = self.running(&new)?;
        if tablet.shard != shard || tablet.tablet_type != TabletType::Replica {
            return Err(Status::unknown(format!("{new} is not a replica of it")));
        }
        let shard = self.shards.entry(shard).or_default();
        if expected.is_some() && shard.primary != expected {
            return Err(Status::failed_precondition("another one is primary"));
        }
        shard.primary = Some(new.clone());
        self.changes.push(format!("PlannedReparentShard {new}"));
        Ok(new)
    }

    pub(super) fn replication(
        &self,
        shard: &Key,
    ) -> Result<BTreeMap<String, replicationdata::Status>, Status> {
        let all = self.tablets.iter().filter(|(_, it)| it.shard == *shard);
        let asked = all.filter(|(_, it)| it.tablet_type != TabletType::Drained);
        asked
            .map(|(alias, _)| {
                let status = self.running(alias)?.status();
                let of_primary = replicationdata::Status::default();
                let status = if self.is_primary(alias) {
                    of_primary
                } else {
                    status
                };
                Ok((alias.to_string(), status))
            })
            .collect()
    }

    pub(super) fn full_status(
        &self,
        alias: &TabletAlias,
    ) -> Result<replicationdata::FullStatus, Status> {
        let status = self.running(alias)?.status();
        Ok(replicationdata::FullStatus {
            replication_status: (!self.is_primary(alias)).then_some(status),
        })
    }
}
