//! Whether the rows that there are are the rows that there must be.
//!
//! A [`Ledger`] has the fate of every attempt at a write; the shards' primaries have rows. They agree when everything
//! that was acknowledged is there once, nothing that was refused is there, and nothing else is.

mod observed;
mod verdict;

use std::path::PathBuf;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Row};

use crate::load::Ledger;
use observed::Observed;
pub use verdict::{Findings, ShardRows, Verdict};

/// A primary to read, by itself and not through vtgate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// The shard's name.
    pub shard: String,
    /// mysqld's socket.
    pub socket: PathBuf,
    /// Who may read everything.
    pub user: String,
    /// The database on it.
    pub database: String,
}

/// Why the rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The server's, or the connection's, word.
    #[error("shard {shard}: rows could not be read from {socket}: {source}")]
    Read {
        /// The shard.
        shard: String,
        /// The primary's socket.
        socket: PathBuf,
        /// What it said.
        source: mysql_async::Error,
    },
    /// There is no runtime to read on.
    #[error("rows could not be read: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Reads all rows from the primaries and compares them with the ledger. Nothing may write meanwhile.
///
/// # Errors
/// Rows could not be read.
pub fn check(ledger: &Ledger, primaries: &[Primary]) -> Result<Verdict, TruthError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut observed = Observed::new(ledger);
    for primary in primaries {
        runtime
            .block_on(read(primary, &mut observed))
            .map_err(|source| TruthError::Read {
                shard: primary.shard.clone(),
                socket: primary.socket.clone(),
                source,
            })?;
    }
    Ok(observed.judge(ledger))
}

async fn read(primary: &Primary, observed: &mut Observed) -> Result<(), mysql_async::Error> {
    let options = OptsBuilder::default()
        .socket(Some(primary.socket.to_string_lossy()))
        .user(Some(primary.user.as_str()))
        .db_name(Some(primary.database.as_str()));
    let mut conn = Conn::new(options).await?;
    observed.begin_shard(&primary.shard);

    let mut customers = conn
        .query_iter("select customer_id, writes, note from customer")
        .await?;
    while let Some(row) = customers.next().await? {
        let (customer, writes, note) =
            mysql_async::from_row_opt::<(i64, i64, String)>(row).map_err(not_as_made)?;
        observed.see_customer(customer, writes, &note);
    }
    customers.drop_result().await?;

    let mut events = conn
        .query_iter("select customer_id, event_id from event")
        .await?;
    while let Some(row) = events.next().await? {
        let (customer, event) =
            mysql_async::from_row_opt::<(i64, i64)>(row).map_err(not_as_made)?;
        observed.see_event(customer, event);
    }
    events.drop_result().await?;
    conn.disconnect().await
}

/// The table is not the one that load made.
fn not_as_made(error: mysql_async::FromRowError) -> mysql_async::Error {
    let row: Row = error.0;
    mysql_async::Error::Driver(mysql_async::DriverError::FromRow { row })
}
