//! Machine code on disk, by the digest of the component and of the compiler's settings, in a private directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use wasmtime::{Engine, component::Component};

use crate::digest::sha256_hex;

/// The oldest entries are dropped beyond this.
const ENTRIES_BYTES_MAX: u64 = 1 << 30;

/// A directory of compiled components.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    compatibility: String,
}

impl Cache {
    /// Opens or makes a directory that only this user can write.
    ///
    /// # Errors
    /// When it can't be made, or when others could write it: machine code is run as it is.
    pub(crate) fn open(directory: &Path, engine: &Engine) -> io::Result<Self> {
        make_private(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            compatibility: compatibility(engine),
        })
    }

    fn path(&self, digest_hex: &str) -> PathBuf {
        self.directory
            .join(format!("{digest_hex}-{}.cwasm", self.compatibility))
    }

    /// The compiled component, when there is an intact one.
    pub(crate) fn get(&self, engine: &Engine, digest_hex: &str) -> Option<Component> {
        let path = self.path(digest_hex);
        let (artifact, seal) = (
            fs::read(&path).ok()?,
            fs::read_to_string(seal_of(&path)).ok()?,
        );
        if sha256_hex(&artifact) != seal.trim() {
            tracing::warn!(path = %path.display(), "a compiled policy is damaged and is compiled again");
            return None;
        }
        load(engine, &path)
            .inspect_err(|error| tracing::warn!(%error, "a compiled policy can't be loaded"))
            .ok()
    }

    /// Keeps `artifact`.
    pub(crate) fn put(&self, digest_hex: &str, artifact: &[u8]) -> io::Result<()> {
        let path = self.path(digest_hex);
        replace(&path, artifact)?;
        replace(&seal_of(&path), sha256_hex(artifact).as_bytes())?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let about = entry.metadata()?;
            entries.push((
                about.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                about.len(),
                entry.path(),
            ));
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in entries {
            if total <= ENTRIES_BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }
}

fn seal_of(path: &Path) -> PathBuf {
    path.with_extension("sha256")
}

/// Puts a whole file in place at once.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, bytes)?;
    fs::rename(&temporary, path)
}

/// Machine code of another compiler, other settings or another processor is never found.
fn compatibility(engine: &Engine) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(unix)]
pub(crate) fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mode = fs::metadata(directory)?.mode();
    if mode & 0o022 != 0 {
        let message = format!(
            "{} can be written by others; `chmod 700` makes it private",
            directory.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn make_private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)
}

#[allow(
    unsafe_code,
    reason = "wasmtime runs the file's machine code as it is: see SAFETY"
)]
fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file is in a directory that only this user can write, this program's compiler made it (never an
    // upload: `inspect` refuses machine code), its digest was compared a moment ago, and files are only ever replaced
    // as a whole, so what is mapped here does not change.
    unsafe { Component::deserialize_file(engine, path) }
}

#[allow(
    unsafe_code,
    reason = "wasmtime runs the bytes' machine code as it is: see SAFETY"
)]
pub(crate) fn load_bytes(engine: &Engine, artifact: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes come straight from this program's compiler, through memory or a pipe of its own child.
    unsafe { Component::deserialize(engine, artifact) }
}
