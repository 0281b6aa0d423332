//! A whole cluster of Vitess: topology, cells, keyspaces, and what all shards share.
//!
//! [`wanted`], [`plan`], [`build`] and [`policies`] are pure. Vitess is asked and changed by vtctld alone; what is
//! recorded once is latched in the status, and a topology that does not know it any more is held.

pub mod build;
pub(crate) mod certificates;
pub mod endings;
pub(crate) mod flags;
pub mod identity;
pub mod names;
pub mod plan;
pub mod policies;
pub(crate) mod program;
pub mod reach;
pub(crate) mod status;
pub(crate) mod users;
pub mod wanted;
pub(crate) mod worker;

#[cfg(test)]
mod build_tests;
