//! Replication of tablets, and taking them out of service.

use std::collections::BTreeMap;

use crate::{
    Client, Error, TabletAlias, TabletType, call,
    wire::{replicationdata, vtctldata},
};

/// How a tablet follows its primary, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replication {
    /// Whether it receives what the primary writes, and applies it.
    pub is_running: bool,
    /// How far it is behind, in seconds; none: not known.
    pub lag_seconds: Option<u32>,
    /// Whether it takes a backup. Known from [`Client::shard_replication`] only.
    pub backs_up: bool,
}

/// A thread of replication that runs, by Vitess's own numbers.
const RUNNING: i32 = 3;

impl Replication {
    fn from_wire(status: replicationdata::Status) -> Self {
        let lag_seconds = status.replication_lag_seconds;
        Self {
            is_running: status.io_state == RUNNING && status.sql_state == RUNNING,
            lag_seconds: (!status.replication_lag_unknown).then_some(lag_seconds),
            backs_up: status.backup_running,
        }
    }
}

impl Client {
    /// Replication of every tablet of a shard that serves, by alias. Those of type drained, backup and restore are not
    /// asked; of the primary nothing is said.
    ///
    /// # Errors
    ///
    /// [`Error`]; also when one of them cannot be reached.
    pub async fn shard_replication(
        &self,
        keyspace: &str,
        shard: &str,
    ) -> Result<BTreeMap<TabletAlias, Replication>, Error> {
        let call = call::SHARD_REPLICATION_POSITIONS;
        let message = vtctldata::ShardReplicationPositionsRequest {
            keyspace: keyspace.to_owned(),
            shard: shard.to_owned(),
        };
        let answer = self
            .ask(call, message, async |mut service, request| {
                service.shard_replication_positions(request).await
            })
            .await?;
        let all = answer.replication_statuses.into_iter();
        all.map(|(alias, status)| {
            let alias = alias.parse();
            let alias = alias.map_err(|error: crate::AliasError| {
                self.unusable(call, "replication_statuses", &error.to_string())
            })?;
            Ok((alias, Replication::from_wire(status)))
        })
        .collect()
    }

    /// Replication of one tablet, which is asked itself; none: it replicates from nobody.
    ///
    /// # Errors
    ///
    /// [`Error`]; also when it cannot be reached.
    pub async fn replication(&self, tablet: &TabletAlias) -> Result<Option<Replication>, Error> {
        let message = vtctldata::GetFullStatusRequest {
            tablet_alias: Some(tablet.into()),
        };
        let answer = self
            .ask(
                call::GET_FULL_STATUS,
                message,
                async |mut service, request| service.get_full_status(request).await,
            )
            .await?;
        let status = answer.status.and_then(|it| it.replication_status);
        Ok(status.map(Replication::from_wire))
    }

    /// Has a tablet that is not primary be for something else, until its vttablet starts again.
    ///
    /// # Errors
    ///
    /// [`Error`]; also when it is of that type already and the type is [`TabletType::Drained`].
    pub async fn change_tablet_type(
        &self,
        tablet: &TabletAlias,
        tablet_type: TabletType,
    ) -> Result<(), Error> {
        let message = vtctldata::ChangeTabletTypeRequest {
            tablet_alias: Some(tablet.into()),
            db_type: tablet_type.to_wire(),
        };
        self.ask(
            call::CHANGE_TABLET_TYPE,
            message,
            async |mut service, request| service.change_tablet_type(request).await,
        )
        .await?;
        Ok(())
    }

    /// Forgets a tablet that runs no more. The record of a primary is kept.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::is_not_found`] tells if there is no such record.
    pub async fn delete_tablet(&self, tablet: &TabletAlias) -> Result<(), Error> {
        let message = vtctldata::DeleteTabletsRequest {
            tablet_aliases: vec![tablet.into()],
        };
        self.ask(
            call::DELETE_TABLETS,
            message,
            async |mut service, request| service.delete_tablets(request).await,
        )
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_runs_when_both_of_its_threads_do() {
        let read = |io_state, sql_state, replication_lag_unknown| {
            Replication::from_wire(replicationdata::Status {
                replication_lag_seconds: 7,
                io_state,
                sql_state,
                replication_lag_unknown,
                backup_running: false,
            })
        };
        assert!(read(3, 3, false).is_running);
        assert_eq!(read(3, 3, false).lag_seconds, Some(7));
        assert_eq!(read(3, 3, true).lag_seconds, None);
        // Connecting, stopped, and what nobody said.
        for (io, sql) in [(2, 3), (3, 1), (0, 0)] {
            assert!(!read(io, sql, false).is_running, "{io} {sql}");
        }
    }
}
