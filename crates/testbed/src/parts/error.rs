//! What can go wrong while parts are made; each message says what to do.

use std::io;
use std::path::PathBuf;

use super::PARTS;

/// Why a part is not there.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// No such part.
    #[error("there is no part `{name}` of the test bed; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// It was not built, or its files are damaged.
    #[error("{part} is not built: run `cargo xtask testbed build {part}`")]
    NotBuilt {
        /// The part.
        part: &'static str,
    },
    /// Nothing real is to be started in this run.
    #[error("FORESHARD_TESTBED is `off`: unset it to have real parts")]
    Off,
    /// No Go, and none could be had.
    #[error(
        "Go is missing and could not be installed ({0}): install Go 1.26 or newer from https://go.dev/dl, or Python with pip, and run this again"
    )]
    GoMissing(String),
    /// A program that a recipe needs.
    #[error("{part} needs `{program}`, which is not on the PATH: {fix}")]
    ProgramMissing {
        /// The part.
        part: &'static str,
        /// The program.
        program: String,
        /// What to do about it.
        fix: &'static str,
    },
    /// Too little room to begin.
    #[error(
        "{part} needs {:.1} GB free in {}, where {:.1} GB are: free some, or name another folder with FORESHARD_TESTBED_CACHE (GOCACHE and GOMODCACHE for Go's)",
        gigabytes(*.needed_bytes), .folder.display(), gigabytes(*.free_bytes)
    )]
    DiskLow {
        /// The part.
        part: &'static str,
        /// Where.
        folder: PathBuf,
        /// What is free, in bytes.
        free_bytes: u64,
        /// What must be, in bytes.
        needed_bytes: u64,
    },
    /// The disk was filled meanwhile.
    #[error("the disk became full while {part} was built: free some and run this again (log: {})", .log.display())]
    DiskFull {
        /// The part.
        part: &'static str,
        /// Where the whole output is.
        log: PathBuf,
    },
    /// A registry said no. It is not asked again.
    #[error(
        "the registry refuses {package}, which {part} needs ({reason}): use a registry that serves it, or leave {part} out"
    )]
    Refused {
        /// The part.
        part: &'static str,
        /// What was refused.
        package: String,
        /// The registry's word.
        reason: String,
    },
    /// No registry could be reached.
    #[error(
        "no network while {part} was fetched ({reason}): connect, or set the proxy that your network asks for, and run this again"
    )]
    NoNetwork {
        /// The part.
        part: &'static str,
        /// The last word of whoever tried.
        reason: String,
    },
    /// Something needs root and this process is not.
    #[error("building {part} needs root: run `sudo -E cargo xtask testbed build {part}`")]
    NeedsRoot {
        /// The part.
        part: &'static str,
    },
    /// A command of a recipe failed for a reason of its own.
    #[error("{part}: `{command}` failed ({status}); its output ends:\n{tail}\n(all of it: {})", .log.display())]
    Failed {
        /// The part.
        part: &'static str,
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        tail: String,
        /// Where the whole output is.
        log: PathBuf,
    },
    /// A recipe's result lacks something.
    #[error(
        "{part}: what was fetched holds no {what}: this system's packages differ; name a folder that has it on the PATH"
    )]
    Incomplete {
        /// The part.
        part: &'static str,
        /// What is missing.
        what: String,
    },
    /// A file of the cache.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        reason: io::Error,
    },
}

impl PartError {
    pub(crate) fn unknown(name: &str) -> Self {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        Self::Unknown {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { path, reason }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a figure with one digit after the point, for people"
)]
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}
