//! Starting the programs of a cluster, in the order in which they need each other.

use std::time::Duration;

use foreshard_vtctld::Keyspace;

use super::tablet::Placed;
use super::{CELL, Vitess, ready};
use crate::Error;

/// How long one program may take to be ready.
const PROGRAM_LIMIT: Duration = Duration::from_secs(60);
/// How long all mysqlds may take to be initialised, one shard's vttablets to have a primary, vtgate to see them.
const TABLETS_LIMIT: Duration = Duration::from_secs(180);

impl Vitess {
    pub(super) fn start_topology(&mut self) -> Result<(), Error> {
        let etcd = self.site.etcd(&mut self.bed)?;
        self.bed.spawn(etcd)?;
        let port = self.bed.port("etcd-client")?;
        let listens = || ready::listens(port);
        self.bed
            .wait_until("etcd", "listening", PROGRAM_LIMIT, listens)?;
        let vtctld = self.site.vtctld(&mut self.bed)?;
        self.bed.spawn(vtctld)?;

        let Self {
            bed,
            site,
            shape,
            vtctld,
            runtime,
            ..
        } = self;
        bed.wait_until("vtctld", "answering", PROGRAM_LIMIT, || {
            ready::answers(runtime.block_on(vtctld.keyspaces()))
        })?;
        let root = format!("/vitess/{CELL}");
        runtime.block_on(vtctld.add_cell(CELL, &site.topology_address, &root))?;
        let keyspace = Keyspace {
            name: shape.keyspace.clone(),
            durability_policy: shape.durability_policy.clone(),
        };
        runtime.block_on(vtctld.create_keyspace(&keyspace))?;
        Ok(())
    }

    /// All at once: most of the time each waits for the disk.
    pub(super) fn start_mysqlds(&mut self, shards: &[String]) -> Result<(), Error> {
        let mut begun = Vec::new();
        for shard in shards {
            for placed in Placed::of_shard(self.next_hundred(), shard, &self.shape) {
                let mysqlctld = self.site.mysqlctld(&mut self.bed, &placed)?;
                self.bed.spawn(mysqlctld)?;
                begun.push(placed.clone());
                self.tablets.push(placed);
            }
        }
        begun
            .iter()
            .try_for_each(|placed| self.await_mysqld(placed))
    }

    pub(super) fn await_mysqld(&mut self, placed: &Placed) -> Result<(), Error> {
        let socket = self.site.mysqlctl_socket(placed.uid);
        let there = || ready::exists(&socket);
        let what = "starting mysqld";
        self.bed
            .wait_until(&placed.mysqlctld(), what, TABLETS_LIMIT, there)?;
        Ok(())
    }

    /// With mysqld there; returns when every shard has a primary.
    pub(super) fn start_vttablets(&mut self, shards: &[String]) -> Result<(), Error> {
        let new: Vec<Placed> = self
            .tablets
            .iter()
            .filter(|placed| shards.contains(&placed.shard))
            .cloned()
            .collect();
        for placed in &new {
            let vttablet = self.site.vttablet(&mut self.bed, placed)?;
            self.bed.spawn(vttablet)?;
        }
        let Self {
            bed,
            shape,
            vtctld,
            runtime,
            ..
        } = self;
        for shard in shards {
            bed.wait_until("vtorc", "electing a primary", TABLETS_LIMIT, || {
                let record = runtime.block_on(vtctld.shard(&shape.keyspace, shard));
                match record.map(|record| record.primary) {
                    Ok(Some(_)) => Ok(()),
                    Ok(None) => Err(format!("shard {shard} has none")),
                    Err(error) => Err(error.to_string()),
                }
            })?;
        }
        // For a moment after its election a primary refuses all that has to do with workflows.
        bed.wait_until("vtctld", "reading workflows", TABLETS_LIMIT, || {
            ready::answers(runtime.block_on(vtctld.workflows(&shape.keyspace)))
        })?;
        Ok(())
    }

    fn next_hundred(&self) -> u32 {
        self.tablets
            .iter()
            .map(|placed| placed.uid / 100)
            .max()
            .map_or(1, |last| last + 1)
    }

    pub(super) fn start_vtorc(&mut self) -> Result<(), Error> {
        let vtorc = self.site.vtorc(&mut self.bed)?;
        Ok(self.bed.spawn(vtorc)?)
    }

    pub(super) fn apply_schema(&mut self) -> Result<(), Error> {
        let keyspace = &self.shape.keyspace;
        if !self.shape.schema.is_empty() {
            let statements: Vec<&str> = self.shape.schema.iter().map(String::as_str).collect();
            self.block_on(self.vtctld.apply_schema(keyspace, &statements))?;
        }
        self.block_on(self.vtctld.apply_vschema(keyspace, &self.shape.vschema))?;
        Ok(())
    }

    pub(super) fn start_vtgate(&mut self) -> Result<(), Error> {
        let vtgate = self.site.vtgate(&mut self.bed)?;
        Ok(self.bed.spawn(vtgate)?)
    }

    /// Waits until vtgate answers queries of every shard, by its primary and by a replica.
    pub(super) fn await_vtgate(&mut self, shards: &[String]) -> Result<(), Error> {
        let gate = self.gate()?;
        let Self {
            bed,
            shape,
            runtime,
            ..
        } = self;
        let mut targets = Vec::new();
        for shard in shards {
            targets.push(format!("{}:{shard}@primary", shape.keyspace));
            if shape.replicas > 1 {
                targets.push(format!("{}:{shard}@replica", shape.keyspace));
            }
        }
        for target in targets {
            let limit = TABLETS_LIMIT;
            bed.wait_until("vtgate", "answering a query", limit, || {
                runtime.block_on(ready::queries(gate, &target))
            })?;
        }
        Ok(())
    }
}
