//! The test bed: real Kubernetes, Vitess, MySQL and Prometheus, run as processes on this machine for tests and for
//! trying out.
//!
//! A [`Bed`] is a named set of processes ("parts") with a folder for their state. Everything needed to end it is on
//! disk, so that it can be ended by another process after its runner was killed. [`parts`] builds the programs, once.
//! [`ControlPlane`], [`Prometheus`] and [`Vitess`] are beds that are ready when their constructors return. All calls block; there
//! is no runtime.
//!
//! Nothing that a bed starts listens or sends beyond this machine: loopback, or namespaces that the bed made.
#![forbid(unsafe_code)]

mod api;
mod bed;
pub mod control_plane;
mod error;
mod exporter;
pub mod fault;
pub mod guard;
pub mod home;
mod image;
pub mod kinds;
pub mod load;
mod mysql;
mod node;
pub mod parts;
mod process;
pub mod prometheus;
mod stack;
pub mod truth;
pub mod vitess;

pub use api::{Api, ApiError};
pub use bed::{Bed, BedError, PartSpec, PartStatus, Resource, RunAs, Summary};
pub use control_plane::{ControlPlane, Namespace};
pub use error::{Error, all_is_required, or_left_out};
pub use exporter::Exporter;
pub use image::Image;
pub use load::{Load, LoadSpec};
pub use node::{BUSYBOX, CutOff, Delayed, NODE, Network, Node};
pub use process::Identity;
pub use prometheus::{HistorySeries, Prometheus};
pub use stack::{Stack, object_store, vtadmin};
pub use vitess::{Shape, Vitess};
