//! What the server needs of the policy host.

use std::{
    any::Any,
    fmt::{self, Write as _},
    sync::Arc,
};

use foreshard_decide::contract;
use sha2::{Digest as _, Sha256};

use crate::view::Descriptor;

/// The policy host. Every call may block for seconds.
pub trait Policies: Send + Sync + 'static {
    /// Checks an untrusted component and makes it ready to run.
    ///
    /// # Errors
    /// [`Refused`] when it is not a policy, or one that can't be run here.
    fn admit(&self, component: &[u8]) -> Result<Arc<dyn Policy>, Refused>;
}

/// A component that may run. Who evaluates targets gets it back with [`crate::Activation`], as what it is.
pub trait Policy: Any + Send + Sync + fmt::Debug {
    /// `sha256:` and 64 hexadecimal digits.
    fn digest(&self) -> &str;

    /// What it says of itself.
    fn descriptor(&self) -> &contract::Descriptor;

    /// Asks it what it thinks of a config (JSON) on a kind of target; may block for seconds.
    ///
    /// # Errors
    /// What is wrong with the config and where.
    fn configure(&self, config: &str, target_kind: &str) -> Result<(), Vec<contract::ConfigIssue>>;
}

/// Why a component was refused.
#[derive(Clone, Debug)]
pub enum Refused {
    /// The client's doing.
    Bad {
        /// Stable, `kebab-case`.
        kind: String,
        /// What is wrong.
        detail: String,
        /// What to do about it; may be empty.
        fix: String,
    },
    /// The host's doing: it can't check anything now.
    Unavailable(String),
}

impl From<contract::Descriptor> for Descriptor {
    fn from(said: contract::Descriptor) -> Self {
        Self {
            name: said.name,
            version: said.version,
            summary: said.summary,
            target_kinds: said.target_kinds,
            actions: said.actions,
            config_schema: said.config_schema,
        }
    }
}

/// What the digest of these bytes is, whether or not they are a policy.
pub(crate) fn digest_of(component: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(component) {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
