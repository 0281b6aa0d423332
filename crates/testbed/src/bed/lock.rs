//! One process at a time works with a bed; the lock goes with its holder, however that ends.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::BedError;

/// Takes the lock of a bed's folder; `None` if another process has it.
pub(crate) fn try_take(folder: &Path) -> Result<Option<File>, BedError> {
    let path = folder.join("lock");
    loop {
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(BedError::file(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(BedError::file(&path)(error)),
        }
        // The holder before may have removed the bed between our opening and locking.
        let same = |other: fs::Metadata| file.metadata().is_ok_and(|own| own.ino() == other.ino());
        if fs::metadata(&path).is_ok_and(same) {
            return Ok(Some(file));
        }
        fs::create_dir_all(folder).map_err(BedError::file(folder))?;
    }
}
