//! Why a bed of real parts is not there.

use std::borrow::Borrow;
use std::path::PathBuf;

use crate::api::ApiError;
use crate::bed::BedError;
use crate::parts::PartError;
use crate::vitess::VitessError;

/// Why a bed could not be brought up; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its processes.
    #[error(transparent)]
    Bed(#[from] BedError),
    /// Its programs.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The API server's answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A call of vtctld.
    #[error(transparent)]
    Vtctld(#[from] foreshard_vtctld::Error),
    /// A cluster of Vitess.
    #[error(transparent)]
    Vitess(#[from] VitessError),
    /// Keys and certificates.
    #[error("keys for the control plane could not be made: {0}")]
    Keys(#[from] rcgen::Error),
    /// A cluster that was named instead of a bed.
    #[error(
        "the cluster that FORESHARD_TESTBED or KUBECONFIG names cannot be used ({0}): start it, or unset them to have the test bed's own"
    )]
    Elsewhere(String),
    /// A manifest that the API server does not take.
    #[error("{path}: {said}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What `kubectl` says.
        said: String,
    },
    /// History that Prometheus could not hold.
    #[error("history for Prometheus: {0}")]
    History(String),
}

/// `Some`, or `None` where only programs are missing and the tests that need them are to be left out.
///
/// Says so past the test harness, which keeps to itself what a passing test prints; the line is counted by
/// `cargo xtask test`. `REQUIRE_ALL=1` makes leaving out a failure. With `FORESHARD_TESTBED=off` it is silent: the tests
/// then have a lane of their own.
///
/// # Panics
/// With anything else that went wrong: a bed that does not come up is a failed test.
#[allow(clippy::panic, reason = "called by tests, where this is how to fail")]
pub fn or_left_out<T, E: Borrow<Error>>(what: &str, result: Result<T, E>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    match error.borrow() {
        Error::Part(PartError::Off) => None,
        error @ Error::Part(PartError::NotBuilt { .. }) if !all_is_required() => {
            let note = format!("LEFT OUT: {what}: {error}\n");
            let _ = std::io::Write::write_all(&mut std::io::stdout(), note.as_bytes());
            None
        }
        error => panic!("{what}: {error}"),
    }
}

/// Whether leaving something out for want of programs is a failure.
#[must_use]
pub fn all_is_required() -> bool {
    std::env::var_os("REQUIRE_ALL").is_some_and(|value| value == "1")
}
