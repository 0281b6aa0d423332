//! What can go wrong with a cluster of Vitess beside its programs.

use std::io;

/// Why a cluster could not be started or used; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum VitessError {
    /// The shape cannot be.
    #[error("shape of Vitess: {field}: {problem}")]
    Shape {
        /// Which field.
        field: &'static str,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// A shard that has no primary.
    #[error("shard {0} has no primary: look at the log of vtorc")]
    NoPrimary(String),
    /// A tablet that the bed did not start.
    #[error("there is no tablet {0}: `status` shows which there are")]
    NoTablet(String),
    /// Threads could not be had.
    #[error("no threads for calls of vtctld: {0}")]
    Runtime(#[from] io::Error),
}
