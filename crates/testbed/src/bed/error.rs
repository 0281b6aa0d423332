//! What can go wrong with a bed; each message says what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a bed could not be made, used or ended.
#[derive(Debug, thiserror::Error)]
pub enum BedError {
    /// The name cannot be a folder's name and part of a namespace's.
    #[error(
        "`{0}` cannot name a test bed: use 1 to 32 lower-case letters, digits and hyphens, a letter first"
    )]
    BadName(String),
    /// There is no such bed.
    #[error("there is no test bed `{name}`; running: {running}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names that there are.
        running: String,
    },
    /// The bed was kept and runs.
    #[error(
        "test bed `{0}` runs already: end it with `cargo xtask testbed down --name {0}`, or name another with `--name`"
    )]
    Running(String),
    /// Another process works with the bed at the moment.
    #[error(
        "test bed `{name}` is in use by process {owner}: let that end first, or name another bed with `--name`"
    )]
    InUse {
        /// The bed's name.
        name: String,
        /// The process that holds it, as far as it is known.
        owner: String,
    },
    /// A port that was asked for is not free.
    #[error(
        "port {port} for {what} is taken: end what listens there, or leave the port out to have a free one chosen"
    )]
    PortTaken {
        /// What should have listened.
        what: String,
        /// The port.
        port: u16,
    },
    /// No port could be had at all.
    #[error("no free port on 127.0.0.1 for {what}: {reason}")]
    NoPort {
        /// What should have listened.
        what: String,
        /// The system's word.
        reason: io::Error,
    },
    /// A part of this name was started before.
    #[error("part `{part}` of test bed `{bed}` exists already: give each part its own name")]
    PartExists {
        /// The bed's name.
        bed: String,
        /// The part's name.
        part: String,
    },
    /// There is no such part in the bed.
    #[error("test bed `{bed}` has no part `{part}`; it has: {parts}")]
    UnknownPart {
        /// The bed's name.
        bed: String,
        /// The name asked for.
        part: String,
        /// The names that there are.
        parts: String,
    },
    /// A part's program could not be started.
    #[error("{part} could not be started from {program}: {reason}")]
    Spawn {
        /// The part's name.
        part: String,
        /// Its program.
        program: PathBuf,
        /// The system's word.
        reason: io::Error,
    },
    /// A part ended while it was waited for, or a one-time run failed.
    #[error("{part} ended before {what} ({status}); its log ends:\n{log}")]
    Ended {
        /// The part's name.
        part: String,
        /// What was waited for.
        what: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// A condition did not come true in time.
    #[error("{part}: {what} took more than {} s (last seen: {seen}); its log ends:\n{log}", limit.as_secs())]
    Late {
        /// The part's name.
        part: String,
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// Why it was not true at last.
        seen: String,
        /// The end of its log.
        log: String,
    },
    /// Something needs root and this process is not.
    #[error(
        "{0} needs root: run it as root (`sudo -E cargo xtask …`), or use a bed that does not need it"
    )]
    NeedsRoot(String),
    /// All sets of addresses for nodes are taken.
    #[error(
        "{limit} nodes are up already, or what they left behind is: end one with `cargo xtask testbed down --name NAME`"
    )]
    NoNetwork {
        /// How many there can be.
        limit: u8,
    },
    /// The network could not be set up.
    #[error("the node's network could not be made: `{command}` says: {said}")]
    Network {
        /// The command.
        command: String,
        /// Its word.
        said: String,
    },
    /// Something of the bed could not be removed.
    #[error("test bed `{name}` left behind: {}; end these by hand, then run `cargo xtask testbed down --name {name}` again", left.join(", "))]
    LeftBehind {
        /// The bed's name.
        name: String,
        /// What is left, in words.
        left: Vec<String>,
    },
    /// A file of the bed.
    #[error("{path}: {reason}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        reason: io::Error,
    },
    /// A file of the bed that does not hold what was written there.
    #[error("{path} is not the state of a test bed ({reason}): use the checkout that made it, or end its processes by hand and remove {}", path.parent().unwrap_or(path).display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
}

impl BedError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { path, reason }
    }
}
