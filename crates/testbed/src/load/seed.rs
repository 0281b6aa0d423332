//! The rows that load works on.

use std::fmt::Write as _;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio::task::JoinSet;

use super::client::options;
use super::schema::note_of;
use super::{LoadError, LoadSpec};

/// Rows in one statement.
const BATCH_ROWS: u32 = 1_000;
/// Statements at once.
const CONNECTIONS: u32 = 4;

/// Inserts every customer.
pub(super) async fn seed(spec: &LoadSpec) -> Result<(), LoadError> {
    let mut tasks = JoinSet::new();
    for number in 0..CONNECTIONS {
        tasks.spawn(insert_share(spec.clone(), number));
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| LoadError::Panicked)??;
    }
    Ok(())
}

/// Every so many-th batch.
async fn insert_share(spec: LoadSpec, number: u32) -> Result<(), LoadError> {
    let mut conn = None;
    let firsts = (1..=spec.customers).step_by(BATCH_ROWS as usize);
    for first in firsts.skip(number as usize).step_by(CONNECTIONS as usize) {
        let last = first.saturating_add(BATCH_ROWS - 1).min(spec.customers);
        let failed = |source| LoadError::Seed {
            database: spec.database.clone(),
            first,
            last,
            source,
        };
        let conn = match &mut conn {
            Some(conn) => conn,
            empty => {
                let new = Conn::new(options(spec.address, &spec.database))
                    .await
                    .map_err(failed)?;
                empty.insert(new)
            }
        };
        conn.query_drop(insert(first, last)).await.map_err(failed)?;
    }
    Ok(())
}

fn insert(first: u32, last: u32) -> String {
    let mut statement = "insert into customer (customer_id, note) values ".to_owned();
    for customer in first..=last {
        let comma = if customer == first { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(statement, "{comma}({customer},'{}')", note_of(customer));
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_one_statement() {
        let statement = insert(7, 8);
        assert!(
            statement
                .starts_with("insert into customer (customer_id, note) values (7,'0000000007-")
        );
        assert_eq!(statement.matches("),(").count(), 1);
    }
}
