//! Running load, beside whatever is done to the service meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::seed::seed;
use super::summary::Recorder;
use super::worker::{Books, Due, Queue, Worker};
use super::{Ledger, LoadError, LoadSpec, Summary};

/// Requests that may wait for a connection; beyond that they are missed.
const WAITING_MAX: usize = 10_000;
/// How often the pacer looks whether it is to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Load that runs, on a thread of its own.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    books: Arc<Mutex<Books>>,
    thread: Option<JoinHandle<Result<(), LoadError>>>,
}

impl Load {
    /// Inserts the customers that load works on; the tables must be there and empty.
    ///
    /// # Errors
    /// A bad setting, or what the server says.
    pub fn seed(spec: &LoadSpec) -> Result<(), LoadError> {
        spec.check()?;
        runtime()?.block_on(seed(spec))
    }

    /// Begins, and goes on until [`stop`](Self::stop), or until it has run for, or asked as much, as it may.
    ///
    /// # Errors
    /// A bad setting, no thread.
    pub fn start(spec: LoadSpec) -> Result<Self, LoadError> {
        let ledger = Ledger::new(spec.customers);
        Self::resume(spec, ledger)
    }

    /// Begins on rows that load worked on before, with the ledger that it left.
    ///
    /// # Errors
    /// A bad setting, a ledger of another number of customers, no thread.
    pub fn resume(spec: LoadSpec, ledger: Ledger) -> Result<Self, LoadError> {
        spec.check()?;
        if ledger.customers() != spec.customers as usize {
            return Err(LoadError::Setting {
                setting: "customers",
                problem: "are not as many as the ledger has; give as many",
            });
        }
        let runtime = runtime()?;
        let stop = Arc::new(AtomicBool::new(false));
        let books = Arc::new(Mutex::new(Books {
            ledger,
            recorder: Recorder::default(),
        }));
        let run = run(Arc::new(spec), Arc::clone(&books), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || runtime.block_on(run))?;
        Ok(Self {
            stop,
            books,
            thread: Some(thread),
        })
    }

    /// How many attempts at writes were acknowledged, refused, left open so far.
    #[must_use]
    pub fn fates(&self) -> [u64; 3] {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.ledger.fates()
    }

    /// Stops, lets requests that are under way end, and gives what it came to.
    ///
    /// # Errors
    /// It ended in a panic.
    pub fn stop(mut self) -> Result<(Ledger, Summary), LoadError> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| LoadError::Panicked)??;
        }
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let recorder = std::mem::take(&mut books.recorder);
        Ok((std::mem::take(&mut books.ledger), recorder.finish()))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // A test that fails does not wait; the thread ends within its bounds.
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn runtime() -> Result<Runtime, LoadError> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn run(
    spec: Arc<LoadSpec>,
    books: Arc<Mutex<Books>>,
    stop: Arc<AtomicBool>,
) -> Result<(), LoadError> {
    let (send, receive) = mpsc::channel(WAITING_MAX);
    let queue: Queue = Arc::new(tokio::sync::Mutex::new(receive));
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..spec.connections as u64 {
        let worker = Worker {
            spec: Arc::clone(&spec),
            books: Arc::clone(&books),
            begun,
            number,
        };
        workers.spawn(worker.work(Arc::clone(&queue)));
    }
    pace(&spec, &books, &stop, begun, send).await;
    // What waits was not begun, and is not any more.
    let mut waiting = queue.lock().await;
    waiting.close();
    while waiting.try_recv().is_ok() {}
    drop(waiting);
    while let Some(done) = workers.join_next().await {
        done.map_err(|_| LoadError::Panicked)?;
    }
    Ok(())
}

/// Puts requests into the queue when they are due, until one of the bounds is met.
async fn pace(
    spec: &LoadSpec,
    books: &Mutex<Books>,
    stop: &AtomicBool,
    begun: Instant,
    queue: mpsc::Sender<Due>,
) {
    let mut random = Pcg64Mcg::seed_from_u64(spec.seed);
    let mut due = Duration::ZERO;
    for _ in 0..spec.requests_max {
        due = spec.rate.next_due(due);
        loop {
            if stop.load(Ordering::Relaxed) || begun.elapsed() >= spec.duration_max {
                return;
            }
            let left = due.saturating_sub(begun.elapsed());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
        let request = Due {
            kind: spec.mix.draw(&mut random),
            customer: random.random_range(1..=spec.customers),
            at: begun + due,
        };
        if queue.try_send(request).is_err() {
            let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
            books.recorder.request_missed();
        }
    }
}
