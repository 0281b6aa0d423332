//! Where the test bed keeps things between runs.

use std::env;
use std::path::PathBuf;

/// Names another folder than the default one.
pub const CACHE_VARIABLE: &str = "FORESHARD_TESTBED_CACHE";

/// The test bed's folder: built parts in `parts`, running beds in `beds`.
///
/// `FORESHARD_TESTBED_CACHE`, else `foreshard/testbed` in the user's cache folder. For root that is `/var/cache`: some
/// parts refuse to run as root, and other users cannot enter root's home.
#[must_use]
pub fn folder() -> PathBuf {
    if let Some(folder) = set(CACHE_VARIABLE) {
        // Parts run elsewhere: a relative path would mean another folder to each.
        return std::path::absolute(&folder).unwrap_or(folder);
    }
    let cache = if let Some(cache) = set("XDG_CACHE_HOME") {
        cache
    } else if is_root() {
        PathBuf::from("/var/cache")
    } else {
        set("HOME").map_or_else(env::temp_dir, |home| home.join(".cache"))
    };
    cache.join("foreshard/testbed")
}

/// Whether this process may make namespaces, mounts and users' processes.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
