//! Built parts on disk: a folder for each, named for the digest of what it was built from, with checksums.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Built, PartError};
use crate::home;

/// Of what a part was built from; two of the same part never meet in 48 bits.
const DIGEST_CHARS: usize = 12;

const MANIFEST: &str = "manifest.json";

/// What a finished entry holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// Regular files by path within the entry.
    files: BTreeMap<String, FileRecord>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    sha256: String,
    size_bytes: u64,
    /// When it was last written, as the file system says: while this is the same, the checksum need not be computed.
    modified_ns: i128,
}

/// The place of one part, built from one set of inputs.
#[derive(Debug)]
pub(super) struct Entry {
    folder: PathBuf,
    /// Begins the names of folders of builds that are not finished.
    staging_prefix: String,
}

impl Entry {
    pub(super) fn new(part: &str, digest: &str) -> Self {
        Self {
            folder: folder().join(format!("{part}-{digest}")),
            // The point keeps `kubernetes` apart from `kubernetes-node`.
            staging_prefix: format!(".building-{part}."),
        }
    }

    /// What is there, whole and unchanged.
    pub(super) fn find(&self) -> Option<Built> {
        let text = fs::read(self.folder.join(MANIFEST)).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        let whole = manifest
            .files
            .iter()
            .all(|(path, expected)| is_unchanged(&self.folder.join(path), expected));
        whole.then(|| Built {
            folder: self.folder.clone(),
        })
    }

    /// Waits for other builds of this part; the lock ends with the file, or with its process.
    pub(super) fn lock(&self) -> Result<File, PartError> {
        let path = folder().join(format!("{}lock", self.staging_prefix));
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(PartError::file(&path))?;
        file.lock().map_err(PartError::file(&path))?;
        Ok(file)
    }

    /// An empty folder to build in. What interrupted builds left is removed: the lock says that nobody works on it.
    pub(super) fn begin(&self) -> Result<PathBuf, PartError> {
        let parts = self.folder.parent().unwrap_or(&self.folder);
        for entry in fs::read_dir(parts)
            .map_err(PartError::file(parts))?
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&self.staging_prefix) && entry.path().is_dir() {
                remove_tree(&entry.path())?;
            }
        }
        let staging = parts.join(format!("{}{}", self.staging_prefix, std::process::id()));
        fs::create_dir(&staging).map_err(PartError::file(&staging))?;
        Ok(staging)
    }

    /// Makes what was built the entry, at once and whole.
    pub(super) fn commit(&self, staging: &Path) -> Result<Built, PartError> {
        let mut files = BTreeMap::new();
        record_files(staging, staging, &mut files)?;
        let path = staging.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&Manifest { files })
            .map_err(|error| PartError::file(&path)(error.into()))?;
        fs::write(&path, text).map_err(PartError::file(&path))?;
        if self.folder.exists() {
            // Damaged, or it would have been found.
            remove_tree(&self.folder)?;
        }
        fs::rename(staging, &self.folder).map_err(PartError::file(&self.folder))?;
        Ok(Built {
            folder: self.folder.clone(),
        })
    }
}

/// The folder of all parts; made when first asked for.
pub(super) fn folder() -> PathBuf {
    let folder = home::folder().join("parts");
    // What is wrong with it is said by whoever uses it.
    let _ = fs::create_dir_all(&folder);
    folder
}

/// Names a set of inputs.
pub(super) fn digest(inputs: &[String]) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        // With its length, so that no two lists read alike.
        hash.update((input.len() as u64).to_le_bytes());
        hash.update(input);
    }
    let mut text = hex(&hash.finalize());
    text.truncate(DIGEST_CHARS);
    text
}

/// How long a part took when it was last built on this machine; `None` if it never was.
#[must_use]
pub fn last_duration(part: &str) -> Option<Duration> {
    durations()
        .get(part)
        .map(|seconds| Duration::from_secs_f64(seconds.max(0.0)))
}

pub(super) fn set_last_duration(part: &str, duration: Duration) -> Result<(), PartError> {
    let path = durations_path();
    let mut all = durations();
    all.insert(part.to_owned(), duration.as_secs_f64());
    let text =
        serde_json::to_vec_pretty(&all).map_err(|error| PartError::file(&path)(error.into()))?;
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).map_err(PartError::file(&fresh))?;
    fs::rename(&fresh, &path).map_err(PartError::file(&path))
}

fn durations() -> BTreeMap<String, f64> {
    fs::read(durations_path())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

fn durations_path() -> PathBuf {
    folder().join("durations.json")
}

/// What is free for this user where a folder is or would be; `None` where the system does not say.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|ancestor| ancestor.exists())?;
    let info = rustix::fs::statvfs(existing).ok()?;
    Some(info.f_bavail.saturating_mul(info.f_frsize))
}

fn is_unchanged(path: &Path, expected: &FileRecord) -> bool {
    let Ok(metadata) = fs::metadata(path) else {
        return false;
    };
    metadata.len() == expected.size_bytes
        && (modified_ns(&metadata) == expected.modified_ns
            || checksum(path).is_ok_and(|sum| sum == expected.sha256))
}

fn record_files(
    root: &Path,
    folder: &Path,
    files: &mut BTreeMap<String, FileRecord>,
) -> Result<(), PartError> {
    for entry in fs::read_dir(folder).map_err(PartError::file(folder))? {
        let path = entry.map_err(PartError::file(folder))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(PartError::file(&path))?;
        if metadata.is_dir() {
            record_files(root, &path, files)?;
        } else if metadata.is_file() {
            let name = path.strip_prefix(root).unwrap_or(&path);
            let record = FileRecord {
                sha256: checksum(&path)?,
                size_bytes: metadata.len(),
                modified_ns: modified_ns(&metadata),
            };
            files.insert(name.to_string_lossy().into_owned(), record);
        }
    }
    Ok(())
}

fn modified_ns(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}

fn checksum(path: &Path) -> Result<String, PartError> {
    let mut file = File::open(path).map_err(PartError::file(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = std::io::Read::read(&mut file, &mut buffer).map_err(PartError::file(path))?;
        if read == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..read]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Removes a folder, also one whose folders nobody may write to, as Go leaves them.
fn remove_tree(folder: &Path) -> Result<(), PartError> {
    fs::remove_dir_all(folder).map_err(PartError::file(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(folder: &Path) -> Entry {
        Entry {
            folder: folder.join("a-1"),
            staging_prefix: ".building-a.".to_owned(),
        }
    }

    fn committed(folder: &Path) -> Entry {
        let entry = entry(folder);
        let staging = entry.begin().unwrap();
        fs::create_dir_all(staging.join("bin")).unwrap();
        fs::write(staging.join("bin/a"), "right").unwrap();
        entry.commit(&staging).unwrap();
        entry
    }

    #[test]
    fn an_entry_is_found_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert!(entry(folder.path()).find().is_none());
        let built = committed(folder.path()).find().unwrap();
        assert_eq!(fs::read_to_string(built.program("a")).unwrap(), "right");
    }

    #[test]
    fn a_damaged_entry_is_not_found_and_is_replaced() {
        type Damage = fn(&Path);
        let damages: [Damage; 4] = [
            |entry| fs::write(entry.join("bin/a"), "wrong").unwrap(),
            |entry| fs::write(entry.join("bin/a"), "").unwrap(),
            |entry| fs::remove_file(entry.join("bin/a")).unwrap(),
            |entry| fs::write(entry.join(MANIFEST), "{").unwrap(),
        ];
        for damage in damages {
            let folder = tempfile::tempdir().unwrap();
            let entry = committed(folder.path());
            damage(&entry.folder);
            assert!(entry.find().is_none());
            assert!(committed(folder.path()).find().is_some());
        }
    }

    #[test]
    fn an_interrupted_build_is_neither_found_nor_kept_nor_mistaken_for_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let [interrupted, of_another] =
            [".building-a.1", ".building-a-b.1"].map(|name| folder.path().join(name));
        for staging in [&interrupted, &of_another] {
            fs::create_dir_all(staging.join("bin")).unwrap();
        }
        assert!(entry(folder.path()).find().is_none());
        committed(folder.path());
        assert!(!interrupted.exists() && of_another.exists());
    }

    #[test]
    fn a_copy_with_other_times_is_as_good() {
        let folder = tempfile::tempdir().unwrap();
        let entry = committed(folder.path());
        fs::write(entry.folder.join("bin/a"), "right").unwrap();
        assert!(entry.find().is_some());
    }

    #[test]
    fn inputs_do_not_run_into_each_other() {
        let of = |inputs: &[&str]| {
            let inputs: Vec<String> = inputs.iter().map(|input| (*input).to_owned()).collect();
            digest(&inputs)
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_eq!(of(&["ab"]).len(), DIGEST_CHARS);
    }
}
