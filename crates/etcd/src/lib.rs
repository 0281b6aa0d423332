//! A client for the part of etcd's gRPC API by which a cluster is kept: members, status, alarms, defragmentation.
//!
//! A [`Client`] asks one member, by TLS. Keys are never read or written here: what a topology holds is for Vitess.
//!
//! - Every call has a deadline, and none is repeated: whoever asks looks first how far it got.
//! - Generated types stay inside; identities are [`Id`]s and not numbers.
#![forbid(unsafe_code)]

mod client;
mod error;
mod member;
mod wire;

pub use client::{Client, Tls};
pub use error::Error;
pub use member::{Alarm, AlarmKind, Id, Member, Members, Status};
