//! Tablets of one type of one shard in one cell: a pod and a volume for each.
//!
//! [`plan`], [`fill`], [`leave`], [`storage`] and [`build`] are pure. Empty volumes are made only while their shard has no
//! data; later, one is marked and filled from the primary before its tablet serves, and without a primary it is refused.
//! [`leave`] says how tablets go when fewer are wanted, [`storage`] how volumes grow.

use foreshard_api::v1alpha1::TabletPool;

pub mod build;
pub mod fill;
pub mod leave;
pub mod plan;
pub(crate) mod status;
pub mod storage;
pub(crate) mod worker;

/// Numbers of tablets that a pool may ever have.
pub(crate) const INDEXES: u32 = 64;

/// How many tablets a pool wants; all there may be, while nobody has said.
pub(crate) fn wanted(pool: &TabletPool) -> u32 {
    let replicas = pool.spec.replicas.and_then(|it| u32::try_from(it).ok());
    replicas.unwrap_or(INDEXES)
}
