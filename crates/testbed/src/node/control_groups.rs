//! Control groups of a node: its pods' groups are below one of its own, so that beds do not meet in them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bed::{Bed, BedError, Resource};

use super::Network;

const ROOT: &str = "/sys/fs/cgroup";

/// Makes the node's group in each hierarchy: one with cgroup v2, one for each controller with v1.
pub(super) fn create(bed: &mut Bed, network: &Network) -> Result<(), BedError> {
    for hierarchy in hierarchies() {
        let group = hierarchy.join(network.label());
        bed.record_resource(Resource::ControlGroup(group.clone()))?;
        fs::create_dir_all(&group).map_err(BedError::file(&group))?;
    }
    Ok(())
}

fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        // Links are second names of a hierarchy that has several controllers.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
