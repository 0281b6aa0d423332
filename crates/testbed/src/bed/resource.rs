//! What a bed makes beside processes and files: written down before it is made, so that it can be undone by anyone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::process::Identity;

/// Between two tries to remove a control group.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long what runs in a control group may take to be gone after it was killed.
const GROUP_LIMIT: Duration = Duration::from_secs(15);

/// Something outside of the bed's folder that ends with the bed.
///
/// Mounts below the bed's folder need not be recorded: they are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A network namespace by name (`ip netns add NAME`).
    NetworkNamespace(String),
    /// A network device by name, in the machine's own namespace.
    Link(String),
    /// A route of the machine's own namespace, as `ip route add` takes it, such as `blackhole 10.96.0.0/16 metric 4000`.
    Route(String),
    /// A table of nftables by family and name, such as `inet foreshard-a`.
    PacketFilter(String),
    /// A control group by its folder, with all that is below it and whatever runs in there.
    ControlGroup(PathBuf),
    /// A folder outside of the bed's, where a path must be short.
    Folder(PathBuf),
}

impl Resource {
    /// Removes it; that it is gone already is fine. Whether it is gone is asked by [`exists`](Self::exists).
    pub(crate) fn remove(&self) {
        match self {
            Self::NetworkNamespace(name) => run("ip", &["netns", "delete", name]),
            Self::Link(name) => run("ip", &["link", "delete", name]),
            Self::Route(route) => run("ip", &with(&["route", "delete"], route)),
            Self::PacketFilter(table) => run("nft", &with(&["delete", "table"], table)),
            Self::ControlGroup(folder) => end_group(folder),
            Self::Folder(folder) => {
                let _ = fs::remove_dir_all(folder);
            }
        }
    }

    /// Whether it is (still) there.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Self::NetworkNamespace(name) => Path::new("/run/netns").join(name).exists(),
            Self::Link(name) => Path::new("/sys/class/net").join(name).exists(),
            Self::Route(route) => prints("ip", &with(&["route", "show"], route)),
            Self::PacketFilter(table) => prints("nft", &with(&["list", "table"], table)),
            Self::ControlGroup(folder) | Self::Folder(folder) => folder.exists(),
        }
    }

    /// In words, for messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::NetworkNamespace(name) => format!("network namespace {name}"),
            Self::Link(name) => format!("network device {name}"),
            Self::Route(route) => format!("route {route}"),
            Self::PacketFilter(table) => format!("nftables table {table}"),
            Self::ControlGroup(folder) => format!("control group {}", folder.display()),
            Self::Folder(folder) => format!("folder {}", folder.display()),
        }
    }
}

/// The mounts below a folder, deepest first.
pub(crate) fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // The kernel knows folders by where they really are.
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mut mounts: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point.starts_with(&folder))
        .collect();
    mounts.reverse();
    mounts
}

/// Takes a mount away even if something still looks at it.
pub(crate) fn unmount(point: &Path) {
    run("umount", &["--lazy", &point.to_string_lossy()]);
}

/// Spaces and the like stand as octal numbers in the kernel's table of mounts.
fn unescape(point: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// What runs in there was started by the bed, even where it does not carry its mark, as in containers.
fn end_group(folder: &Path) {
    let begun = Instant::now();
    // The kernel lets go of a group a moment after its last process.
    while folder.exists() && begun.elapsed() < GROUP_LIMIT {
        for process in processes_in(folder) {
            process.end(Duration::ZERO);
        }
        remove_groups(folder);
        if folder.exists() {
            thread::sleep(LOOK_AGAIN);
        }
    }
}

fn processes_in(folder: &Path) -> Vec<Identity> {
    let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<Identity> = listed
        .lines()
        .filter_map(|pid| Identity::of(pid.parse().ok()?))
        .collect();
    for child in child_groups(folder) {
        found.extend(processes_in(&child));
    }
    found
}

fn child_groups(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// A control group goes when its children went.
fn remove_groups(folder: &Path) {
    for child in child_groups(folder) {
        remove_groups(&child);
    }
    // What is in use stays, and is then reported as left behind.
    let _ = fs::remove_dir(folder);
}

fn with<'a>(words: &[&'a str], more: &'a str) -> Vec<&'a str> {
    let mut all = words.to_vec();
    all.extend(more.split_ascii_whitespace());
    all
}

fn run(program: &str, args: &[&str]) {
    let _ = quiet(program, args).stdout(Stdio::null()).status();
}

fn prints(program: &str, args: &[&str]) -> bool {
    quiet(program, args)
        .output()
        .is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

fn quiet(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_survive_being_written_down() {
        for resource in [
            Resource::NetworkNamespace("a".into()),
            Resource::Route("blackhole 10.96.0.0/16 metric 4000".into()),
            Resource::ControlGroup("/sys/fs/cgroup/pids/a".into()),
        ] {
            let text = serde_json::to_string(&resource).unwrap();
            assert_eq!(serde_json::from_str::<Resource>(&text).unwrap(), resource);
        }
    }

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
    }
}
