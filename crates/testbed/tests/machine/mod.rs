//! What there is on this machine, seen without the test bed's own eyes.
#![allow(dead_code, reason = "each test binary uses its part of it")]

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long what should happen may take on a machine that is busy otherwise.
const LIMIT: Duration = Duration::from_secs(120);

/// Looks until there is no objection any more.
pub(crate) fn eventually(what: &str, mut look: impl FnMut() -> Result<(), String>) {
    let begun = Instant::now();
    while let Err(seen) = look() {
        assert!(
            begun.elapsed() < LIMIT,
            "{what}: not within {LIMIT:?}: {seen}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// The processes whose home is a bed's folder: the bed gives it to all that it starts, and children inherit it.
pub(crate) fn processes_of(folder: &Path) -> Vec<u32> {
    let home = format!("HOME={}", folder.display());
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == home.as_bytes())
        })
        .collect()
}

/// Where the processes of a bed listen.
pub(crate) fn listening(folder: &Path) -> Vec<SocketAddr> {
    let own: BTreeSet<PathBuf> = processes_of(folder)
        .iter()
        .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/fd")).ok())
        .flat_map(|descriptors| descriptors.flatten())
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .collect();
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .flat_map(|table| {
            let text = fs::read_to_string(table).unwrap_or_default();
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let socket = PathBuf::from(format!("socket:[{}]", fields[9]));
            // 0A: listens.
            (fields[3] == "0A" && own.contains(&socket)).then(|| parse_address(fields[1]))
        })
        .collect()
}

/// `0100007F:1F90`: words of four bytes in the machine's own order, and a port.
fn parse_address(text: &str) -> SocketAddr {
    let (address, port) = text.split_once(':').unwrap();
    let port = u16::from_str_radix(port, 16).unwrap();
    let bytes: Vec<u8> = (0..address.len() / 8)
        .flat_map(|word| {
            let word = u32::from_str_radix(&address[word * 8..word * 8 + 8], 16).unwrap();
            word.to_ne_bytes()
        })
        .collect();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap())),
    };
    SocketAddr::new(ip, port)
}

/// Mounts, network namespaces, routes and control groups of the machine.
#[derive(Debug)]
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    pub(crate) fn take() -> Self {
        let mut all = BTreeSet::new();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        all.extend(mounts.lines().filter_map(|line| {
            let point = line.split(' ').nth(4)?;
            Some(format!("mount {point}"))
        }));
        let namespaces = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        all.extend(namespaces.map(|entry| format!("netns {:?}", entry.file_name())));
        if let Ok(output) = Command::new("ip")
            .args(["route", "show", "table", "all"])
            .output()
        {
            let routes = String::from_utf8_lossy(&output.stdout).into_owned();
            all.extend(routes.lines().map(|line| format!("route {line}")));
        }
        add_groups(Path::new("/sys/fs/cgroup"), &mut all);
        Self(all)
    }

    /// Fails with what is there now and was not then. What other tests have made meanwhile goes with them; what is left
    /// behind stays.
    pub(crate) fn assert_nothing_added(&self) {
        eventually("nothing being left behind", || {
            let now = Self::take();
            let added: Vec<_> = now.0.difference(&self.0).collect();
            added
                .is_empty()
                .then_some(())
                .ok_or_else(|| format!("{added:?}"))
        });
    }
}

fn add_groups(folder: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.insert(format!("cgroup {}", entry.path().display()));
            add_groups(&entry.path(), all);
        }
    }
}
