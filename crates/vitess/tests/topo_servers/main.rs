//! The controllers of clusters on a real API server: of etcd clusters, with real etcd processes as the members, and of
//! whole Vitesses, with a stand-in for vtctld and vtgate.
//!
//! There is no node: [`kubelet::Kubelet`] stands in for one and starts what the pods say. Left out, and says so, where
//! the parts are not built: `cargo xtask testbed build control-plane`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod backups;
mod keyspaces;
mod kubelet;
mod members;
mod pools;
mod space;
mod stage;
mod trouble;
mod vitesses;
mod world;
