//! The controllers of clusters: what a Vitess is made of, kept true on Kubernetes.
//!
//! A pass goes through five stages: dereference → validate → build → apply → status. Validating, planning and building
//! are pure: values in, values out, snapshots as tests. Only the holder of the lease asks members and writes; a pass
//! that finds everything as it is wanted writes nothing.
//!
//! [`cluster`] keeps what all shards of a `Vitess` share, [`shard`] a shard's pools and [`backup`]s, [`tablet_pool`]
//! tablets, `gate_pool` the gateways of a cell, and [`topo_server`] the etcd cluster that holds a topology. [`monitoring`]
//! is a cluster's Prometheus, and [`vtadmin`] its VTAdmin.
#![forbid(unsafe_code)]

mod apply;
pub mod backup;
mod bytes;
pub mod cluster;
mod digest;
pub(crate) mod gate_pool;
pub mod metrics;
pub mod monitoring;
pub mod names;
mod operator;
pub mod pki;
mod pods;
mod replicas;
pub mod shard;
mod shared;
pub mod tablet_pool;
pub mod topo_server;
pub mod vtadmin;
mod worker;
mod workload;

pub use metrics::Metrics;
pub use operator::{ClusterOperator, Config, LEASE, Watching};

/// Field manager of everything that the controller of TopoServers writes.
pub const TOPO_SERVER_MANAGER: &str = "foreshard.dev/toposerver";
/// The same of Vitesses.
pub const CLUSTER_MANAGER: &str = "foreshard.dev/vitess";
/// The same of KeyspaceShards.
pub const SHARD_MANAGER: &str = "foreshard.dev/keyspaceshard";
/// The same of TabletPools.
pub const TABLET_POOL_MANAGER: &str = "foreshard.dev/tabletpool";
/// The same of VTGatePools.
pub const GATE_POOL_MANAGER: &str = "foreshard.dev/vtgatepool";
/// Under which replicas are set that a pool starts with. Whoever scales the pool takes the field over.
pub const INITIAL_MANAGER: &str = "foreshard.dev/initial-replicas";
