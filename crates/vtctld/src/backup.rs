//! Backups of a shard, as the place where they are lists them.

use crate::{
    Client, Error, call,
    wire::{vtctldata, vttime},
};

/// A backup that was begun. Whether it was finished is not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its name: date, time and tablet, such as `2026-11-20.030000.vtbackup-0000000123`.
    pub name: String,
    /// When what it holds was true, in Unix seconds; none if its name does not say.
    pub taken_seconds: Option<i64>,
}

impl Client {
    /// Backups of a shard where vtctld was told that they are, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error`]; also where vtctld was told of no such place.
    pub async fn backups(&self, keyspace: &str, shard: &str) -> Result<Vec<Backup>, Error> {
        let message = vtctldata::GetBackupsRequest {
            keyspace: keyspace.to_owned(),
            shard: shard.to_owned(),
            limit: 0,
        };
        let answer = self
            .ask(call::GET_BACKUPS, message, async |mut service, request| {
                service.get_backups(request).await
            })
            .await?;
        let backups = answer.backups.into_iter();
        let read = backups.map(|it| Backup {
            taken_seconds: vttime::known_seconds(it.time.as_ref()),
            name: it.name,
        });
        Ok(read.collect())
    }
}
