//! Rows that are written and read through the gateways all the while, and those that were acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use foreshard_testbed::Node;
use serde_json::json;

use crate::stage::*;

/// The pod that clients run in: it outlives every tablet. `query` asks its container as it does a tablet's.
const CLIENT: &str = "client";

/// Writes until it is ended.
pub(crate) struct Writer {
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Ledger {
    /// Rows that somebody tried to write.
    tried: u32,
    /// Rows that were said to be written, and were read after that.
    acknowledged: BTreeSet<u32>,
    /// When the last one was.
    last: Option<Instant>,
    /// The longest time between two of them, since that was asked last.
    pause: Duration,
    /// Why rows were not written since then, the last one.
    refused: Option<String>,
}

impl Ledger {
    fn note(&mut self, row: u32, said: Result<String, String>) {
        self.tried = row;
        match said {
            Ok(read) => {
                assert_eq!(read, format!("row {row}"), "what was written is read");
                self.acknowledged.insert(row);
                self.pause = self.pause.max(self.since_last());
                self.last = Some(Instant::now());
            }
            Err(said) => self.refused = Some(said),
        }
    }

    fn since_last(&self) -> Duration {
        self.last.map_or(Duration::ZERO, |it| it.elapsed())
    }
}

impl Writer {
    /// Makes a table and begins.
    pub(crate) fn start(node: &Arc<Node>) -> Self {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": CLIENT},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "mysqld",
                    "image": MYSQL_IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/usr/bin/busybox", "sleep", "86400"],
                }],
            },
        });
        node.plane()
            .api()
            .post(&format!("{CORE}/pods"), &pod)
            .unwrap();
        let made = "create table kept (id bigint primary key, word varchar(20))";
        eventually("a table is made", LIMIT, || {
            match query(node, CLIENT, made) {
                Err(said) if said.contains("already exists") => Ok(String::new()),
                said => said,
            }
        });
        let ledger = Arc::<Mutex<Ledger>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = {
            let (node, ledger, stop) = (Arc::clone(node), Arc::clone(&ledger), Arc::clone(&stop));
            thread::spawn(move || {
                let mut rows = 1..;
                while !stop.load(Ordering::Relaxed) {
                    let row = rows.next().unwrap();
                    let said = write(&node, row);
                    ledger.lock().unwrap().note(row, said);
                }
            })
        };
        let writer = Self {
            ledger,
            stop,
            thread: Some(thread),
        };
        eventually("a row is written", LIMIT, || {
            let count = writer.count();
            (count > 0).then_some(()).ok_or(count)
        });
        writer.ledger.lock().unwrap().pause = Duration::ZERO;
        writer
    }

    fn count(&self) -> usize {
        self.ledger.lock().unwrap().acknowledged.len()
    }

    /// Waits for one more row, and breaks if any time since this was asked last passed without one that is longer.
    #[track_caller]
    pub(crate) fn expect_pauses_below(&self, what: &str, longest: Duration) {
        let before = self.count();
        eventually("rows are written", LIMIT, || {
            let count = self.count();
            (count > before).then_some(()).ok_or_else(|| {
                let ledger = self.ledger.lock().unwrap();
                (count, ledger.since_last(), ledger.refused.clone())
            })
        });
        let mut ledger = self.ledger.lock().unwrap();
        let (pause, refused) = (std::mem::take(&mut ledger.pause), ledger.refused.take());
        let (seconds, count) = (pause.as_secs_f64(), ledger.acknowledged.len());
        drop(ledger);
        eprintln!("{what}: {count} rows, none for {seconds:.1} s at most, refused: {refused:?}");
        assert!(pause < longest, "{what}: no row for {pause:?}: {refused:?}");
    }

    /// Every row that was acknowledged is there, by the word of the gateways.
    #[track_caller]
    pub(crate) fn expect_all_rows(&self, node: &Node) {
        let acknowledged = self.ledger.lock().unwrap().acknowledged.clone();
        let said = eventually("rows are read", LIMIT, || {
            query(node, CLIENT, "select id from kept limit 100000")
        });
        expect_none_lost(&acknowledged, &said);
    }

    /// Stops writing; every row that was acknowledged is there, by the word of the primary's own mysqld.
    #[track_caller]
    pub(crate) fn end(mut self, node: &Node) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let primary = primary(node).unwrap();
        let said = own_mysqld(node, &primary, "select id from vt_commerce.kept").unwrap();
        let ledger = self.ledger.lock().unwrap();
        expect_none_lost(&ledger.acknowledged, &said);
        let (tried, kept) = (ledger.tried, ledger.acknowledged.len());
        eprintln!("{kept} rows of {tried} that were tried were acknowledged, and none is lost");
    }
}

/// Writes a row and reads it.
fn write(node: &Node, row: u32) -> Result<String, String> {
    let statements = format!(
        "insert into kept values ({row}, 'row {row}'); select word from kept where id = {row}"
    );
    query(node, CLIENT, &statements)
}

#[track_caller]
fn expect_none_lost(acknowledged: &BTreeSet<u32>, said: &str) {
    let there: BTreeSet<u32> = said.lines().map(|it| it.parse().unwrap()).collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}
