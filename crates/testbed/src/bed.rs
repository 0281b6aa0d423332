//! A bed: named processes with a folder, ports and an end.

mod error;
mod lock;
mod log;
mod part;
mod ports;
mod record;
mod resource;
mod spec;
mod teardown;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub use error::BedError;
pub use resource::Resource;
pub(crate) use resource::unmount;
pub use spec::{PartSpec, RunAs};

use crate::home;
use crate::process::Identity;
use part::Part;
use record::BedRecord;

/// Processes that belong together, by a name.
///
/// A bed ends with its value: on drop, so on a panic as well. [`keep`](Self::keep) lets it outlive its runner; then
/// [`open`](Self::open) and [`down`](Self::down) end it. A bed whose runner was killed is ended by the next bed that is
/// made on this machine, or by `down`.
#[derive(Debug)]
pub struct Bed {
    folder: PathBuf,
    record: BedRecord,
    parts: Vec<Part>,
    /// Whether the end of this value is not the end of the bed.
    kept: bool,
    _lock: File,
}

/// What there is to see of a bed from outside.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whether its runner is gone without having ended or kept it.
    pub stale: bool,
    /// Why its state cannot be read; nothing else but name and folder is known then.
    pub damage: Option<String>,
    /// Ports of 127.0.0.1 by what listens there.
    pub ports: BTreeMap<String, u16>,
    /// What users of the bed need to know, by name.
    pub facts: BTreeMap<String, String>,
    /// The parts, in the order in which they were started.
    pub parts: Vec<PartStatus>,
}

/// One part as seen from outside.
#[derive(Debug, Clone)]
pub struct PartStatus {
    /// Its name.
    pub name: String,
    /// Its process.
    pub process: Identity,
    /// Whether that still runs.
    pub alive: bool,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Bed {
    /// Makes an empty bed.
    ///
    /// # Errors
    /// A bed of this name that runs or is in use, a bad name, no place on disk.
    pub fn create(name: &str, kind: &str) -> Result<Self, BedError> {
        let folder = folder_of(name)?;
        end_stale();
        fs::create_dir_all(&folder).map_err(BedError::file(&folder))?;
        let lock = take_lock(name, &folder)?;
        if folder.join("bed.json").exists() {
            // Kept, or its runner was killed just now: nobody holds it.
            let record: BedRecord = record::read(&folder.join("bed.json"))?;
            let runs = record::parts(&folder)?
                .iter()
                .any(|part| part.identity.is_alive());
            if record.owner.is_none() && runs {
                return Err(BedError::Running(name.to_owned()));
            }
            teardown::end(&folder, &record)?;
            drop(lock);
            return Self::create(name, kind);
        }
        let record = BedRecord {
            name: name.to_owned(),
            kind: kind.to_owned(),
            mark: new_mark()?,
            owner: Identity::own(),
            ports: BTreeMap::new(),
            facts: BTreeMap::new(),
            resources: Vec::new(),
        };
        let bed = Self {
            folder,
            record,
            parts: Vec::new(),
            kept: false,
            _lock: lock,
        };
        bed.save()?;
        bed.subfolder("log", None)?;
        bed.subfolder("parts", None)?;
        // Every user's parts put their scratch files here, so that they go with the bed.
        let scratch = bed.subfolder("tmp", None)?;
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o1777))
            .map_err(BedError::file(&scratch))?;
        Ok(bed)
    }

    /// Makes an empty bed under a name of its own, for a test.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn unique(kind: &str) -> Result<Self, BedError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let kind_short: String = kind.chars().take(16).collect();
        Self::create(
            &format!("{kind_short}-{}-{count}", std::process::id()),
            kind,
        )
    }

    /// A bed that was kept, or whose runner was killed.
    ///
    /// # Errors
    /// No such bed, or one that is in use.
    pub fn open(name: &str) -> Result<Self, BedError> {
        let folder = folder_of(name)?;
        let path = folder.join("bed.json");
        if !path.exists() {
            return Err(unknown(name));
        }
        let read = || Ok((take_lock(name, &folder)?, record::read(&path)?));
        let (lock, record) = read().map_err(|error| match error {
            // Its holder has ended it meanwhile.
            BedError::File { reason, .. } if reason.kind() == ErrorKind::NotFound => unknown(name),
            other => other,
        })?;
        Ok(Self {
            record,
            parts: record::parts(&folder)?
                .into_iter()
                .map(Part::from)
                .collect(),
            folder,
            kept: true,
            _lock: lock,
        })
    }

    /// Every bed of this user, by name. One that is damaged does not hide the others.
    #[must_use]
    pub fn list() -> Vec<Summary> {
        let look = |folder: PathBuf| {
            let read = record::read(&folder.join("bed.json"));
            match read.and_then(|record| summary(&folder, &record)) {
                Ok(bed) => Some(bed),
                // Not finished yet, or ended while it was looked at.
                Err(BedError::File { reason, .. }) if reason.kind() == ErrorKind::NotFound => None,
                Err(error) => Some(damaged(folder, &error)),
            }
        };
        bed_folders().into_iter().filter_map(look).collect()
    }

    /// Lets the bed outlive this process.
    ///
    /// # Errors
    /// A state file that cannot be written; the bed is then ended.
    pub fn keep(mut self) -> Result<Summary, BedError> {
        self.record.owner = None;
        self.save()?;
        self.kept = true;
        summary(&self.folder, &self.record)
    }

    /// Ends the bed: parts in reverse order, what they started, mounts, namespaces, control groups, files.
    ///
    /// # Errors
    /// What could not be removed, by name. The state is then kept, so that it can be tried again.
    pub fn down(mut self) -> Result<(), BedError> {
        self.end()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Its folder; it goes with the bed.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder of the bed, for a part that runs as `owner`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn subfolder(&self, name: &str, owner: Option<RunAs>) -> Result<PathBuf, BedError> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(BedError::file(&folder))?;
        if let Some(owner) = owner {
            chown(&folder, Some(owner.uid), Some(owner.gid)).map_err(BedError::file(&folder))?;
        }
        Ok(folder)
    }

    /// Writes down something that is about to be made and ends with the bed.
    ///
    /// # Errors
    /// The state file cannot be written: then do not make it.
    pub fn record_resource(&mut self, resource: Resource) -> Result<(), BedError> {
        self.record.resources.push(resource);
        self.save()
    }

    /// Tells users of the bed something, such as where its kubeconfig is; `status` shows it.
    ///
    /// # Errors
    /// The state file cannot be written.
    pub fn set_fact(&mut self, name: &str, value: impl Into<String>) -> Result<(), BedError> {
        self.record.facts.insert(name.to_owned(), value.into());
        self.save()
    }

    /// What was told by [`set_fact`](Self::set_fact).
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.record.facts.get(name).map(String::as_str)
    }

    /// What there is to see of it from outside.
    ///
    /// # Errors
    /// A state file that is damaged.
    pub fn summary(&self) -> Result<Summary, BedError> {
        summary(&self.folder, &self.record)
    }

    fn save(&self) -> Result<(), BedError> {
        record::write(&self.folder.join("bed.json"), &self.record)
    }

    fn end(&mut self) -> Result<(), BedError> {
        self.kept = true;
        let result = teardown::end(&self.folder, &self.record);
        self.parts.iter_mut().for_each(Part::reap);
        result
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self.end() {
            eprintln!("{error}");
        }
    }
}

/// Ends the beds whose runners were killed. What fails stays for `down`, which says why.
fn end_stale() {
    for folder in bed_folders() {
        let Ok(record) = record::read::<BedRecord>(&folder.join("bed.json")) else {
            continue;
        };
        if is_stale(&record)
            && let Ok(Some(_lock)) = lock::try_take(&folder)
        {
            let _ = teardown::end(&folder, &record);
        }
    }
}

fn is_stale(record: &BedRecord) -> bool {
    record.owner.is_some_and(|owner| !owner.is_alive())
}

fn take_lock(name: &str, folder: &Path) -> Result<File, BedError> {
    lock::try_take(folder)?.ok_or_else(|| {
        let record: Option<BedRecord> = record::read(&folder.join("bed.json")).ok();
        let owner = record.and_then(|record| record.owner);
        BedError::InUse {
            name: name.to_owned(),
            owner: owner.map_or_else(|| "(unknown)".to_owned(), |owner| owner.pid.to_string()),
        }
    })
}

fn summary(folder: &Path, record: &BedRecord) -> Result<Summary, BedError> {
    let parts = record::parts(folder)?;
    let status = |part: record::PartRecord| PartStatus {
        log: part::log_path(folder, part.spec.name()),
        name: part.spec.name,
        alive: part.identity.is_alive(),
        process: part.identity,
    };
    Ok(Summary {
        name: record.name.clone(),
        kind: record.kind.clone(),
        folder: folder.to_owned(),
        stale: is_stale(record),
        damage: None,
        ports: record.ports.clone(),
        facts: record.facts.clone(),
        parts: parts.into_iter().map(status).collect(),
    })
}

fn damaged(folder: PathBuf, error: &BedError) -> Summary {
    let name = folder.file_name().unwrap_or_default();
    Summary {
        name: name.to_string_lossy().into_owned(),
        kind: String::new(),
        folder,
        stale: false,
        damage: Some(error.to_string()),
        ports: BTreeMap::new(),
        facts: BTreeMap::new(),
        parts: Vec::new(),
    }
}

fn unknown(name: &str) -> BedError {
    let mut names: Vec<String> = bed_folders()
        .iter()
        .filter(|folder| folder.join("bed.json").exists())
        .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
        .collect();
    if names.is_empty() {
        names.push("none".to_owned());
    }
    BedError::Unknown {
        name: name.to_owned(),
        running: names.join(", "),
    }
}

fn folder_of(name: &str) -> Result<PathBuf, BedError> {
    let good = (1..=32).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-');
    if good {
        Ok(home::folder().join("beds").join(name))
    } else {
        Err(BedError::BadName(name.to_owned()))
    }
}

fn bed_folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(home::folder().join("beds"));
    let mut folders: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
}

/// Random, from the kernel: no other bed ever had it.
fn new_mark() -> Result<String, BedError> {
    let path = "/proc/sys/kernel/random/uuid";
    let mark = fs::read_to_string(path).map_err(BedError::file(path))?;
    Ok(mark.trim().to_owned())
}
