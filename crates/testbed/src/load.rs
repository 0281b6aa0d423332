//! Load on a MySQL service, and a ledger of what it was told.
//!
//! Requests come at a given rate whether the service keeps up or not, as users do, from a bounded number of
//! connections. Every attempt at a write is in the [`Ledger`] with its fate, so that afterwards
//! [`truth`](crate::truth) can tell exactly which rows there must be.

mod client;
mod ledger;
mod mix;
mod rate;
mod run;
mod schema;
mod seed;
mod summary;
mod worker;

use std::net::SocketAddr;
use std::time::Duration;

pub use ledger::{Customer, Fate, Ledger};
pub use mix::{Kind, Mix};
pub use rate::Rate;
pub use run::Load;
pub use schema::{SCHEMA, note_of, vschema};
pub use summary::{ErrorLine, KindTotal, Second, Summary};

/// What to ask of whom, how often, and for how long at most.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// Where vtgate, or a mysqld, speaks MySQL. It must be a loopback address: load stays on this machine.
    pub address: SocketAddr,
    /// The database, or keyspace.
    pub database: String,
    /// How many rows there are in `customer`; see [`Load::seed`].
    pub customers: u32,
    /// Requests for each second.
    pub rate: Rate,
    /// Which requests.
    pub mix: Mix,
    /// How many connections for requests to the primary, and how many for requests to replicas.
    pub connections: usize,
    /// After so long it ends by itself.
    pub duration_max: Duration,
    /// After so many requests it ends by itself.
    pub requests_max: u32,
    /// How often a request is tried in all.
    pub attempts_max: u32,
    /// How long one attempt may take; a good client waits longer than the service buffers.
    pub attempt_limit: Duration,
    /// What decides the order of requests.
    pub seed: u64,
}

impl LoadSpec {
    /// 100 requests a second of all kinds, from 32 connections, for 30 minutes at most.
    #[must_use]
    pub fn new(address: SocketAddr, database: &str, customers: u32) -> Self {
        Self {
            address,
            database: database.to_owned(),
            customers,
            rate: Rate::constant(100.0),
            mix: Mix::default(),
            connections: 32,
            duration_max: Duration::from_secs(1_800),
            requests_max: 1_000_000,
            attempts_max: 5,
            attempt_limit: Duration::from_secs(40),
            seed: 1,
        }
    }
}

/// Why there is no load.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The address is not of this machine.
    #[error("load on {0}: give an address of 127.0.0.0/8 or ::1: it never leaves this machine")]
    NotLoopback(SocketAddr),
    /// A setting that cannot be.
    #[error("load: {setting}: {problem}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong, and how to mend it.
        problem: &'static str,
    },
    /// The rows could not be made.
    #[error("rows {first} to {last} of {database}.customer could not be inserted: {source}")]
    Seed {
        /// The database.
        database: String,
        /// The first row of the batch.
        first: u32,
        /// The last row of the batch.
        last: u32,
        /// The server's, or the connection's, word.
        source: mysql_async::Error,
    },
    /// The thread or the runtime that it runs on could not be had.
    #[error("load has no thread to run on: {0}")]
    Thread(#[from] std::io::Error),
    /// The thread that it ran on ended in a panic.
    #[error("load ended in a panic: see above")]
    Panicked,
}

impl LoadSpec {
    fn check(&self) -> Result<(), LoadError> {
        let wrong = |setting, problem| Err(LoadError::Setting { setting, problem });
        if !self.address.ip().is_loopback() {
            return Err(LoadError::NotLoopback(self.address));
        }
        if self.customers == 0 {
            return wrong("customers", "is 0; give it at least one row");
        }
        if self.connections == 0 {
            return wrong("connections", "is 0; give it at least one");
        }
        if self.attempts_max == 0 {
            return wrong("attempts_max", "is 0; give it at least one");
        }
        if !self.rate.is_usable() {
            return wrong(
                "rate",
                "is not a finite number of at least 0, or too high; give up to 100000 a second",
            );
        }
        if self.mix.total() == 0 {
            return wrong("mix", "asks for nothing; give a kind a weight");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be() {
        let good = || LoadSpec::new(SocketAddr::from(([127, 0, 0, 1], 1)), "commerce", 10);
        assert!(good().check().is_ok());
        let away = LoadSpec {
            address: SocketAddr::from(([192, 0, 2, 1], 3306)),
            ..good()
        };
        assert!(matches!(away.check(), Err(LoadError::NotLoopback(_))));
        let settings = [
            LoadSpec {
                customers: 0,
                ..good()
            },
            LoadSpec {
                connections: 0,
                ..good()
            },
            LoadSpec {
                attempts_max: 0,
                ..good()
            },
            LoadSpec {
                rate: Rate::constant(f64::NAN),
                ..good()
            },
            LoadSpec {
                rate: Rate::constant(1e9),
                ..good()
            },
            LoadSpec {
                mix: Mix::none(),
                ..good()
            },
        ];
        for spec in settings {
            let error = spec.check().unwrap_err();
            assert!(matches!(error, LoadError::Setting { .. }), "{error}");
        }
    }
}
