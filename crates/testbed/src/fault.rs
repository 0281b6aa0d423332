//! Faults: each is undone when its value is dropped, so on a panic as well.
//!
//! Cutting and delaying a part's network, and another clock for it, need a namespace of its own and are not here.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::FallocateFlags;
use rustix::process::Signal;

use crate::bed::unmount;
use crate::{Bed, BedError, Identity, home};

/// Why a fault could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The part.
    #[error(transparent)]
    Bed(#[from] BedError),
    /// More room than is allowed would have to be taken.
    #[error(
        "{folder} has {free_bytes} bytes free; filling it but for {leave_bytes} takes more than the {at_most_bytes} that are allowed: use a `SmallDisk`"
    )]
    TooMuch {
        /// The folder.
        folder: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is to stay free.
        leave_bytes: u64,
        /// What may be taken.
        at_most_bytes: u64,
    },
    /// A place that a file does not have.
    #[error(
        "{path} has {length_bytes} bytes: there are none to corrupt from byte {offset_bytes} on"
    )]
    Beyond {
        /// The file.
        path: PathBuf,
        /// Its length.
        length_bytes: u64,
        /// Where it was to be corrupted.
        offset_bytes: u64,
    },
    /// A mount needs root.
    #[error("a disk of its own for {0} needs root: run it as root, or leave this fault out")]
    NeedsRoot(PathBuf),
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl FaultError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// A process that stands still, as on an overloaded host; it goes on when this is dropped.
#[derive(Debug)]
pub struct Paused(Identity);

impl Paused {
    /// Has a process stand still.
    #[must_use]
    pub fn process(process: Identity) -> Self {
        process.signal(Signal::STOP);
        Self(process)
    }

    /// Has a part of a bed stand still; what it started goes on.
    ///
    /// # Errors
    /// There is no such part.
    pub fn part(bed: &Bed, part: &str) -> Result<Self, FaultError> {
        Ok(Self::process(bed.process(part)?))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

/// A part that crashed; it is started again, as it was started before, when this is dropped.
#[derive(Debug)]
pub struct Killed<'bed> {
    bed: &'bed mut Bed,
    part: String,
    is_down: bool,
}

impl<'bed> Killed<'bed> {
    /// Kills a part of a bed; what it started goes on.
    ///
    /// # Errors
    /// There is no such part.
    pub fn part(bed: &'bed mut Bed, part: &str) -> Result<Self, FaultError> {
        bed.kill(part)?;
        Ok(Self {
            bed,
            part: part.to_owned(),
            is_down: true,
        })
    }

    /// The bed, to look at meanwhile.
    pub fn bed(&mut self) -> &mut Bed {
        self.bed
    }

    /// Starts the part again.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart(mut self) -> Result<(), FaultError> {
        self.is_down = false;
        Ok(self.bed.restart(&self.part)?)
    }
}

impl Drop for Killed<'_> {
    fn drop(&mut self) {
        if self.is_down
            && let Err(error) = self.bed.restart(&self.part)
        {
            eprintln!("{error}");
        }
    }
}

/// A disk of a given size for one folder; it goes, with all that is on it, when this is dropped or the bed ends.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts an empty one on a folder of a bed.
    ///
    /// # Errors
    /// Not root, no such folder, what the system says.
    pub fn mount(folder: &Path, size_bytes: u64) -> Result<Self, FaultError> {
        if !home::is_root() {
            return Err(FaultError::NeedsRoot(folder.to_owned()));
        }
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size_bytes},mode=1777"))
            .args(["tmpfs".as_ref(), folder.as_os_str()])
            .stdin(Stdio::null())
            .output()
            .map_err(FaultError::file(folder))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(FaultError::file(folder)(io::Error::other(said)));
        }
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

/// A disk that is full; the file that fills it goes when this is dropped.
#[derive(Debug)]
pub struct FilledDisk(PathBuf);

impl FilledDisk {
    /// Fills the disk that a folder is on, but for so many bytes.
    ///
    /// # Errors
    /// It would take more than is allowed, so that nobody fills the machine's own disk; what the system says.
    pub fn fill(folder: &Path, leave_bytes: u64, at_most_bytes: u64) -> Result<Self, FaultError> {
        let failed = || FaultError::file(folder);
        let disk = rustix::fs::statvfs(folder).map_err(|errno| failed()(errno.into()))?;
        let free_bytes = disk.f_bavail * disk.f_frsize;
        let take_bytes = free_bytes.saturating_sub(leave_bytes);
        if take_bytes > at_most_bytes {
            return Err(FaultError::TooMuch {
                folder: folder.to_owned(),
                free_bytes,
                leave_bytes,
                at_most_bytes,
            });
        }
        let path = folder.join("filled-by-a-fault");
        let file = File::create_new(&path).map_err(FaultError::file(&path))?;
        let filled = Self(path);
        if take_bytes > 0 {
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, take_bytes)
                .map_err(|errno| failed()(errno.into()))?;
        }
        Ok(filled)
    }
}

impl Drop for FilledDisk {
    fn drop(&mut self) {
        // It may have gone with its disk.
        let _ = fs::remove_file(&self.0);
    }
}

/// A file with bytes that are not what was written; they are again when this is dropped.
#[derive(Debug)]
pub struct Corrupted {
    path: PathBuf,
    offset_bytes: u64,
    original: Vec<u8>,
}

impl Corrupted {
    /// Inverts bytes of a file from an offset on: as many, or as many as it has.
    ///
    /// # Errors
    /// The file has none there; what the system says.
    pub fn bytes(path: &Path, offset_bytes: u64, count: usize) -> Result<Self, FaultError> {
        let failed = || FaultError::file(path);
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed())?;
        let length_bytes = file.metadata().map_err(failed())?.len();
        let there = length_bytes.saturating_sub(offset_bytes);
        let count = count.min(usize::try_from(there).unwrap_or(usize::MAX));
        if count == 0 {
            return Err(FaultError::Beyond {
                path: path.to_owned(),
                length_bytes,
                offset_bytes,
            });
        }
        let mut original = vec![0; count];
        file.read_exact_at(&mut original, offset_bytes)
            .map_err(failed())?;
        let inverted: Vec<u8> = original.iter().map(|byte| !byte).collect();
        file.write_all_at(&inverted, offset_bytes)
            .map_err(failed())?;
        Ok(Self {
            path: path.to_owned(),
            offset_bytes,
            original,
        })
    }
}

impl Drop for Corrupted {
    fn drop(&mut self) {
        let restore = || -> io::Result<()> {
            let file = File::options().write(true).open(&self.path)?;
            file.write_all_at(&self.original, self.offset_bytes)
        };
        if let Err(error) = restore() {
            eprintln!("{}: not restored: {error}", self.path.display());
        }
    }
}
