//! Which requests there are, and how often each.

use rand::{Rng, RngExt as _};
use serde::{Deserialize, Serialize};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Reads a customer from the primary; what was acknowledged before must be seen.
    Read,
    /// Reads a customer from a replica.
    ReplicaRead,
    /// Counts up a customer's writes, in autocommit mode.
    Update,
    /// Inserts an event, in autocommit mode.
    Insert,
    /// Reads a customer for update, counts up its writes and inserts an event, in a transaction.
    Transaction,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::ReplicaRead,
        Self::Update,
        Self::Insert,
        Self::Transaction,
    ];

    /// Whether it writes without a transaction of its own.
    #[must_use]
    pub fn is_autocommit_write(self) -> bool {
        matches!(self, Self::Update | Self::Insert)
    }
}

/// How often each kind is asked for, relative to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Weight of [`Kind::Read`].
    pub read: u32,
    /// Weight of [`Kind::ReplicaRead`].
    pub replica_read: u32,
    /// Weight of [`Kind::Update`].
    pub update: u32,
    /// Weight of [`Kind::Insert`].
    pub insert: u32,
    /// Weight of [`Kind::Transaction`].
    pub transaction: u32,
}

impl Default for Mix {
    /// As many reads as writes, half of the writes in transactions.
    fn default() -> Self {
        Self {
            read: 6,
            replica_read: 2,
            update: 2,
            insert: 2,
            transaction: 4,
        }
    }
}

impl Mix {
    /// Nothing at all; to be filled.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            read: 0,
            replica_read: 0,
            update: 0,
            insert: 0,
            transaction: 0,
        }
    }

    fn weight(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Read => self.read,
            Kind::ReplicaRead => self.replica_read,
            Kind::Update => self.update,
            Kind::Insert => self.insert,
            Kind::Transaction => self.transaction,
        }
    }

    pub(super) fn total(&self) -> u64 {
        Kind::ALL
            .into_iter()
            .map(|kind| u64::from(self.weight(kind)))
            .sum()
    }

    /// A kind, as often as its weight says; the total must not be 0.
    pub(super) fn draw(&self, random: &mut impl Rng) -> Kind {
        let mut left = random.random_range(0..self.total().max(1));
        for kind in Kind::ALL {
            let weight = u64::from(self.weight(kind));
            if left < weight {
                return kind;
            }
            left -= weight;
        }
        Kind::Read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use std::collections::BTreeMap;

    #[test]
    fn draws_by_weight() {
        let mix = Mix {
            read: 3,
            transaction: 1,
            ..Mix::none()
        };
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(7);
        let mut counts = BTreeMap::<Kind, u32>::new();
        for _ in 0..4_000 {
            *counts.entry(mix.draw(&mut random)).or_default() += 1;
        }
        assert_eq!(counts.len(), 2);
        assert!((2_800..3_200).contains(&counts[&Kind::Read]), "{counts:?}");
    }
}
