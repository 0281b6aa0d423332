//! How long ordinary callers of the HTTP API wait.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::operator::Caller;

/// From one request to the next, however long it takes: fewer than one caller may make.
const EVERY: Duration = Duration::from_millis(60);
/// What a console asks for.
const PATHS: [&str; 4] = [
    "/targets",
    "/targets/web",
    "/recommendations",
    "/policymodules",
];

/// An ordinary caller who asks until told to stop.
pub(crate) struct Watcher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Watcher {
    pub(crate) fn start(caller: Caller) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut took = Vec::new();
            let mut due = Instant::now();
            while !told.load(Ordering::Relaxed) {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let path = PATHS[took.len() % PATHS.len()];
                let (status, document) = caller.ask("GET", path, b"");
                // Since it should have been sent: an answer that is late makes those after it late as well.
                took.push(due.elapsed());
                assert_eq!(status, 200, "{path}: {document}");
                due += EVERY;
            }
            took
        });
        Self { stop, thread }
    }

    /// What was waited for, from the shortest to the longest.
    pub(crate) fn stop(self) -> Waits {
        self.stop.store(true, Ordering::Relaxed);
        let mut waits = self.thread.join().unwrap();
        waits.sort();
        Waits(waits)
    }
}

/// How long callers wait on this machine while every processor has something to do, as unimportant as compilers are.
pub(crate) fn beside_work(caller: &Caller) -> Waits {
    // Twice as long as the answers of the API server are kept.
    const SECONDS: u64 = 21;
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let work: Vec<Work> = (0..processors).map(|_| Work::begin()).collect();
    let watcher = Watcher::start(caller.clone());
    thread::sleep(Duration::from_secs(SECONDS));
    let waits = watcher.stop();
    drop(work);
    waits
}

/// A process that computes nothing, ended with this.
struct Work(Child);

impl Work {
    fn begin() -> Self {
        let mut command = Command::new("nice");
        // As nice as the compilers of the policy host are.
        command.args(["-n", "10", "sh", "-c", "while :; do :; done"]);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sorted.
pub(crate) struct Waits(Vec<Duration>);

impl Waits {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a hundred waited for at most.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent).div_ceil(100) - 1]
    }
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p90, p99, most] = [50, 90, 99, 100].map(|percent| self.percentile(percent));
        let count = self.count();
        write!(
            f,
            "{count} requests: p50 {p50:?}, p90 {p90:?}, p99 {p99:?}, longest {most:?}"
        )
    }
}
