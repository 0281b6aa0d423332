//! The controllers: scaling in a Kubernetes cluster.
//!
//! [`Operator`] watches the objects of `foreshard.dev`, keeps one worker for each `ScalingPolicy`, and asks Prometheus
//! for all of them together. A worker's pass goes through the same decision path as demo and backtest, the engine's
//! step; what is special here are the ends: where observations come from, and what becomes of a plan.
//!
//! - Every replica observes and decides, so that one can take over at once; only the holder of the lease writes.
//! - A pass that finds nothing new writes nothing.
//! - Nothing is done on what is not known: no sample, no target, no module, no lease means no change.
//! - Every call has a timeout; every list, queue and map has a bound with a name.
#![forbid(unsafe_code)]

pub mod access;
mod advice;
pub mod api;
mod breaker;
pub mod external;
mod future;
mod keeper;
mod lead;
mod malformed;
mod metrics;
pub mod module_store;
mod modules;
mod operator;
mod outlook;
mod part;
mod policies;
mod publish;
mod recommend;
mod recommendation;
mod shadow;
mod shared;
mod sources;
mod status;
mod store;
mod tally;
mod target;
mod worker;
pub mod zone;

pub use metrics::Metrics;
pub use operator::{Config, LEASE, Operator, Parts, StartError};
pub use sources::{BasicFile, OperatorSource};

/// Field manager of everything that the scaling controllers write.
pub const FIELD_MANAGER: &str = "foreshard.dev/scaling";
