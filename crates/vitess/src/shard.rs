//! A shard that exists: its pools of tablets, its disruption budget, and what Vitess says of it.

pub mod build;
pub(crate) mod status;
pub mod turndown;
pub(crate) mod worker;
