//! A vtctld that answers nobody.

use std::time::{Duration, Instant};

use foreshard_testbed::Node;

use crate::operators::condition;
use crate::processes::{processes, signal};
use crate::stage::*;
use crate::writer::Writer;

/// Processes that stand still until this is dropped.
struct Stopped(Vec<u32>);

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(&self.0, "-CONT");
    }
}

/// The cluster serves and says what is away; then all is well.
pub(crate) fn stand_still(node: &Node, writer: &Writer) {
    let begun = Instant::now();
    let found = processes(node, &["/vt/bin/vtctld "]);
    assert!(!found.is_empty());
    signal(&found, "-STOP");
    let stopped = Stopped(found);
    let path = format!("{GROUP}/vitesses/example");
    let told = eventually("it is told of", LIMIT, || {
        let vitess = get(node, &path);
        let topology = condition(&vitess, "TopologyReady");
        let is_told = topology["reason"] == "VtctldUnreachable";
        is_told
            .then(|| vitess.clone())
            .ok_or(vitess["status"].clone())
    });
    assert!(is_true(&told, "Ready"), "{:#}", told["status"]);
    eprintln!(
        "vtctld stands still: told after {} s: {:#}",
        begun.elapsed().as_secs(),
        condition(&told, "TopologyReady")
    );
    writer.expect_pauses_below("vtctld stands still", Duration::from_secs(15));
    drop(stopped);
    let begun = Instant::now();
    eventually("it is reached again", LIMIT, || {
        let vitess = get(node, &path);
        let topology = condition(&vitess, "TopologyReady");
        (topology["status"] == "True").then_some(()).ok_or(topology)
    });
    expect_ready(node, "it serves");
    let took = begun.elapsed().as_secs();
    eprintln!("vtctld goes on: all is well after {took} s");
}
