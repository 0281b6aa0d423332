//! Queries through a gateway, as many as there are to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use foreshard_vtctld::Gate;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Most queries that wait for an answer at a time.
const AT_ONCE: usize = 64;
/// Most of them in all: whatever a test does, it ends.
const MOST: u64 = 200_000;

/// Runs until it is ended.
pub(crate) struct Queries {
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Queries {
    /// Has as many queries be asked as `due` says that were, from now on.
    pub(crate) fn start(gate: Gate, due: impl Fn() -> f64 + Send + 'static) -> Self {
        let (asked, failed) = (Arc::default(), Arc::default());
        let stop = CancellationToken::new();
        let round = Round {
            gate,
            asked: Arc::clone(&asked),
            failed: Arc::clone(&failed),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        };
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(round.run(due, stopped));
        });
        Self {
            asked,
            failed,
            stop,
            thread,
        }
    }

    /// How many were asked, and how many of them were not answered.
    pub(crate) fn end(self) -> (u64, u64) {
        self.stop.cancel();
        self.thread.join().unwrap();
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.asked), of(&self.failed))
    }
}

struct Round {
    gate: Gate,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    turns: Arc<Semaphore>,
}

impl Round {
    async fn run(self, due: impl Fn() -> f64, stop: CancellationToken) {
        let begun = due();
        while !stop.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let due = (due() - begun).max(0.0).floor() as u64;
            while self.asked.load(Ordering::Relaxed) < due.min(MOST) {
                self.ask().await;
            }
        }
    }

    async fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return;
        };
        let (gate, failed) = (self.gate.clone(), Arc::clone(&self.failed));
        tokio::spawn(async move {
            let _turn = turn;
            if gate.ping_primary("commerce", "-").await.is_err() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}
