//! A client for the part of vtctld's gRPC API that bringing up and resharding a cluster need, and for one query through
//! vtgate, which tells whether it serves.
//!
//! Vitess publishes no stable Go, let alone Rust, library; what is stable is the gRPC API of vtctld. `proto/` holds
//! messages that are wire-compatible with it and have the fields that are used, no others. A test of the test bed
//! compares every field's number, type and label with what a running vtctld says of itself by reflection.
//!
//! ```no_run
//! # async fn example() -> Result<(), foreshard_vtctld::Error> {
//! use foreshard_vtctld::{Client, Reshard, SwitchTraffic, TabletType};
//!
//! let vtctld = Client::new("127.0.0.1:15999")?;
//! let reshard = Reshard::new("commerce", "split", &["-"], &["-80", "80-"]);
//! vtctld.create_reshard(&reshard).await?;
//! let switch = SwitchTraffic::forward("commerce", "split", &[TabletType::Rdonly, TabletType::Replica]);
//! vtctld.switch_traffic(&switch).await?;
//! # Ok(())
//! # }
//! ```
//!
//! *Deadlines.* Every call has one ([`Call::deadline`]); the server is told, too. None is repeated here: whether that
//! is sane depends on the call and on what went wrong, which [`Error::retry`] says.
//!
//! *Time* is Unix seconds. *Unknown* values of the server's enumerations are kept, never guessed at.
#![forbid(unsafe_code)]

mod backup;
mod call;
mod client;
mod connection;
mod error;
mod gate;
mod replication;
mod reshard;
mod schema;
mod shard;
mod tablet;
mod topology;
mod traffic;
mod vdiff;
mod wire;
mod workflow;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod samples;
#[cfg(feature = "stand-in")]
pub mod stand_in;

pub use backup::Backup;
pub use call::{Call, Effect};
pub use client::Client;
pub use connection::Tls;
pub use error::{Error, Retry};
pub use gate::Gate;
pub use replication::Replication;
pub use reshard::{OnDdl, Reshard};
pub use schema::{AutoIncrement, ColumnVindex, Table, VSchema, Vindex};
pub use shard::{KeyRange, Serving, Shard};
pub use tablet::{AliasError, Tablet, TabletAlias, TabletType};
pub use topology::{Keyspace, Reparent};
pub use traffic::{Direction, SwitchTraffic, Switched};
pub use vdiff::{Vdiff, VdiffRequest, VdiffShard, VdiffState, VdiffTable};
pub use workflow::{
    CopyPosition, Location, Stream, StreamState, StreamStatus, TableCopy, Workflow, WorkflowStatus,
};

/// A `google.protobuf.FileDescriptorSet` of everything in `proto/`, for comparing it with a server's reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
