//! The etcd cluster of a topology, in five stages: dereference → validate → build → apply → status.
//!
//! [`validate`], [`plan`] and [`build`] are pure. What becomes of the members is decided by [`plan`] alone, from what
//! Kubernetes and etcd say at one moment; nothing is remembered from one pass to the next that could not be seen again.

pub mod build;
pub(crate) mod dereference;
pub(crate) mod maintain;
pub mod observed;
pub mod plan;
pub(crate) mod status;
pub mod validate;
pub(crate) mod worker;

#[cfg(test)]
mod build_tests;
#[cfg(test)]
mod plan_tests;
