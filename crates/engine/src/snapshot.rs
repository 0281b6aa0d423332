//! What an engine remembers, as bytes that outlive the process.

use std::collections::BTreeMap;

use foreshard_decide::State;
use serde::{Deserialize, Serialize};

use crate::budget::Ledger;
use crate::engine::Memory;
use crate::events::Expected;
use crate::forecaster::Forecaster;

/// Number of the form in which snapshots are written. A change of anything that is stored is a new number.
const VERSION: u16 = 2;

/// Why a snapshot cannot be restored. The target starts fresh then: with plain scaling first, and with forecasts that
/// are calibrated anew.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It was written in another form.
    #[error(
        "the snapshot has version {found} and this program reads {VERSION}: discard it and start fresh"
    )]
    Version {
        /// The number that it has.
        found: u16,
    },
    /// It is cut off, too long, or was never a snapshot.
    #[error("the snapshot is damaged ({reason}): discard it and start fresh")]
    Damaged {
        /// What does not fit.
        reason: String,
    },
}

/// All that is stored; models are not, they are fitted anew.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) forecasters: BTreeMap<(String, String), Forecaster>,
    pub(crate) ledgers: BTreeMap<String, Ledger>,
    pub(crate) memories: BTreeMap<String, Memory>,
    pub(crate) events: Expected,
    pub(crate) state: State,
}

impl Snapshot {
    /// The version, then all fields.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let version = VERSION.to_le_bytes().to_vec();
        postcard::to_extend(self, version)
            .expect("maps, numbers and text of known length can be written to memory")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, RestoreError> {
        let damaged = |reason: String| RestoreError::Damaged { reason };
        let (version, fields) = bytes
            .split_first_chunk()
            .ok_or_else(|| damaged("it has no version".to_owned()))?;
        let found = u16::from_le_bytes(*version);
        if found != VERSION {
            return Err(RestoreError::Version { found });
        }
        let (snapshot, rest) =
            postcard::take_from_bytes(fields).map_err(|error| damaged(error.to_string()))?;
        if rest.is_empty() {
            Ok(snapshot)
        } else {
            Err(damaged(format!("{} bytes follow its end", rest.len())))
        }
    }
}
