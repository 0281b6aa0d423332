//! A bed's state on disk: enough to show it and to end it, for any process of the same user.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{BedError, PartSpec, Resource};
use crate::process::Identity;

/// The bed as a whole, in `bed.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BedRecord {
    pub(crate) name: String,
    /// What the bed is for, such as `control-plane`.
    pub(crate) kind: String,
    /// Stands in the environment of everything that the bed started; unique.
    pub(crate) mark: String,
    /// The process whose end is the bed's end; `None` once the bed is to outlive it.
    pub(crate) owner: Option<Identity>,
    pub(crate) ports: BTreeMap<String, u16>,
    /// What users of the bed need to know, such as the path of its kubeconfig.
    pub(crate) facts: BTreeMap<String, String>,
    pub(crate) resources: Vec<Resource>,
}

/// One part, in `parts/NNN-NAME.json`; the number is the order of starting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) spec: PartSpec,
    pub(crate) identity: Identity,
}

/// Writes a file whole or not at all.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), BedError> {
    let text = serde_json::to_vec_pretty(value).map_err(|reason| BedError::Corrupt {
        path: path.to_owned(),
        reason,
    })?;
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh).map_err(BedError::file(&fresh))?;
    file.write_all(&text).map_err(BedError::file(&fresh))?;
    fs::rename(&fresh, path).map_err(BedError::file(path))
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, BedError> {
    let text = fs::read(path).map_err(BedError::file(path))?;
    serde_json::from_slice(&text).map_err(|reason| BedError::Corrupt {
        path: path.to_owned(),
        reason,
    })
}

/// The parts of a bed in the order in which they were started.
pub(crate) fn parts(folder: &Path) -> Result<Vec<PartRecord>, BedError> {
    let folder = folder.join("parts");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(BedError::file(&folder)(error)),
    };
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}
