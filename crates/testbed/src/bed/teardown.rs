//! Ending a bed from what is on disk, whoever started it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::record::{self, BedRecord};
use super::{BedError, resource};
use crate::process::{self, Identity};

/// How long what a bed started may take to be gone after it was killed.
const SWEEP_LIMIT: Duration = Duration::from_secs(15);

/// The variable that stands in the environment of everything that a bed starts.
pub(crate) const MARK_VARIABLE: &str = "FORESHARD_TESTBED_MARK";

/// Ends the parts in reverse order, then whatever they started, then mounts and other resources, then the folder.
///
/// Only processes are touched that were started by the bed: by number and start, or by its mark.
pub(crate) fn end(folder: &Path, bed: &BedRecord) -> Result<(), BedError> {
    for part in record::parts(folder)?.iter().rev() {
        part.identity.end(part.spec.grace);
    }
    let processes = sweep(&bed.mark);
    for mount in resource::mounts_below(folder) {
        resource::unmount(&mount);
    }
    for resource in bed.resources.iter().rev() {
        resource.remove();
    }
    let left = left_behind(folder, bed, &processes);
    if !left.is_empty() {
        return Err(BedError::LeftBehind {
            name: bed.name.clone(),
            left,
        });
    }
    // The state goes last: as long as anything is left, it can be tried again.
    fs::remove_dir_all(folder).map_err(BedError::file(folder))
}

/// Kills what carries the mark until there is none; what is left after the limit.
fn sweep(mark: &str) -> Vec<Identity> {
    let assignment = format!("{MARK_VARIABLE}={mark}");
    let begun = Instant::now();
    loop {
        let found = process::with_environment(&assignment);
        if found.is_empty() || begun.elapsed() > SWEEP_LIMIT {
            return found;
        }
        for process in found {
            process.end(Duration::ZERO);
        }
    }
}

fn left_behind(folder: &Path, bed: &BedRecord, processes: &[Identity]) -> Vec<String> {
    let mut left: Vec<String> = processes
        .iter()
        .map(|process| format!("process {}", process.pid))
        .collect();
    left.extend(
        resource::mounts_below(folder)
            .iter()
            .map(|mount| format!("mount {}", mount.display())),
    );
    left.extend(
        bed.resources
            .iter()
            .filter(|resource| resource.exists())
            .map(super::Resource::shown),
    );
    left
}
