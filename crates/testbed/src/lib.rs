//! The test bed: real Kubernetes, Vitess, MySQL and Prometheus, run as processes on this machine for tests and for
//! trying out.
//!
//! A [`Bed`] is a named set of processes ("parts") with a folder for their state. Everything needed to end it is on
//! disk, so that it can be ended by another process after its runner was killed. All calls block; there is no runtime.
//!
//! Nothing that a bed starts listens or sends beyond this machine: loopback, or namespaces that the bed made.
#![forbid(unsafe_code)]

mod bed;
pub mod home;
mod process;

pub use bed::{Bed, BedError, PartSpec, PartStatus, Resource, RunAs, Summary};
pub use process::Identity;
