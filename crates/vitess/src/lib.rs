//! The controllers of clusters: what a Vitess is made of, kept true on Kubernetes.
//!
//! A pass goes through five stages: dereference → validate → build → apply → status. Validating, planning and building
//! are pure: values in, values out, snapshots as tests. Only the holder of the lease asks members and writes; a pass
//! that finds everything as it is wanted writes nothing.
//!
//! The first of the controllers is [`topo_server`]: the etcd cluster that holds a topology.
#![forbid(unsafe_code)]

mod apply;
mod bytes;
mod digest;
pub mod names;
mod operator;
pub mod pki;
mod shared;
pub mod topo_server;

pub use operator::{ClusterOperator, Config, LEASE, Watching};

/// Field manager of everything that the controller of TopoServers writes.
pub const TOPO_SERVER_MANAGER: &str = "foreshard.dev/toposerver";
