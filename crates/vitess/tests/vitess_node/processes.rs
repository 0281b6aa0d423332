//! Processes of a node's pods, to break them.

use std::fs;
use std::process::Command;

use foreshard_testbed::Node;

/// Numbers of the node's processes whose command line has all of these words. Another bed may run a cluster of the same
/// name on this machine: a process is of this node if its control group is.
pub(crate) fn processes(node: &Node, words: &[&str]) -> Vec<u32> {
    let group = format!("/{}/", node.network().namespace());
    let all = fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|it| it.file_name().to_str()?.parse().ok());
    let is_meant = |number: &u32| {
        let read = |file: &str| fs::read(format!("/proc/{number}/{file}")).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let groups = String::from_utf8_lossy(&read("cgroup")).into_owned();
        groups.contains(&group) && words.iter().all(|word| line.contains(word))
    };
    numbers.filter(is_meant).collect()
}

/// Sends a signal, such as `-9`, to processes of the node.
pub(crate) fn signal(processes: &[u32], signal: &str) {
    for number in processes {
        let sent = Command::new("kill")
            .args([signal, &number.to_string()])
            .status();
        assert!(sent.unwrap().success(), "{signal} {number}");
    }
}
