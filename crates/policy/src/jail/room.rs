//! How much memory a compiling process may take where a container limits all of its processes together.
//!
//! A kernel that runs into such a limit ends the whole container. Each child is therefore kept below what is left.

use std::{fs, path::Path};

const MIB: u64 = 1 << 20;

/// Where a container sees its own limits (cgroup v2, which Kubernetes 1.35 and newer demand).
pub(super) const CGROUP: &str = "/sys/fs/cgroup";

/// What is kept for others of this container meanwhile: 64 MiB for this process to grow by, and 384 MiB for a backtest,
/// which runs in a process of its own and may begin at any time.
const KEPT_BYTES: u64 = (64 + 384) * MIB;

/// The least that a small component is compiled in: most of it is address space that is never touched.
pub(super) const LEAST_BYTES: u64 = 256 * MIB;

/// What the kernel takes back before it runs into a limit; files in memory (tmpfs) are not among it.
const CACHED: [&str; 3] = ["inactive_file", "active_file", "slab_reclaimable"];

/// Bytes that are left below the limit in this folder; `None`: there is none.
pub(super) fn left(cgroup: &Path) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(cgroup.join(name)).ok()?;
        text.trim().parse().ok()
    };
    // Without a limit it says `max`.
    let limit = number("memory.max")?;
    let used = number("memory.current")?;
    let stat = fs::read_to_string(cgroup.join("memory.stat")).ok()?;
    // Files that are cached go before anybody is killed.
    let cached = CACHED.iter().filter_map(|name| {
        let mut lines = stat.lines();
        let bytes = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        bytes.trim().parse::<u64>().ok()
    });
    let used = used.saturating_sub(cached.sum()) + KEPT_BYTES;
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_counts_without_cached_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(left(folder.path()), None, "no cgroup at all");
        write("memory.max", "max\n");
        write("memory.current", "419430400\n");
        write(
            "memory.stat",
            "anon 1\ninactive_file 52428800\nfile 3\nactive_file 41943040\nslab_reclaimable 10485760\n",
        );
        assert_eq!(left(folder.path()), None, "no limit");
        write("memory.max", "1073741824\n");
        // 1024 - (400 - 100) - 448
        assert_eq!(left(folder.path()), Some(276 * MIB));
        write("memory.max", "209715200\n");
        assert_eq!(left(folder.path()), Some(0));
    }
}
