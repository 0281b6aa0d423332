//! Backtests that wait, run, and have ended: one runs at a time, few wait, and results stay for a while.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use foreshard_listener::{NoPlace, Place, Places};
use tokio::{sync::Semaphore, task::AbortHandle, time::timeout};

use crate::{
    backtests::{Backtest, BacktestOrder, BacktestState, Backtests, Progress},
    ids::{Id, Ids},
    name::Name,
};

/// Limits of backtests in one process.
#[derive(Clone, Copy, Debug)]
pub struct BacktestLimits {
    /// Of a request, which may hold a trace.
    pub request_bytes_max: usize,
    /// Backtests that run or wait; one runs at a time.
    pub open_max: usize,
    /// Of these, those of one user, where users are known.
    pub open_of_user_max: usize,
    /// Of one run.
    pub timeout: Duration,
    /// Of a result, as JSON.
    pub result_bytes_max: usize,
    /// Those that have ended and are still shown; the oldest go first.
    pub kept_max: usize,
    /// For how long they are.
    pub kept: Duration,
}

/// All backtests of this process.
pub(crate) struct Jobs {
    pub(crate) runner: Arc<dyn Backtests>,
    limits: BacktestLimits,
    ids: Ids,
    places: Places<String>,
    turn: Arc<Semaphore>,
    /// In the order of their numbers.
    all: Arc<Mutex<VecDeque<Job>>>,
}

struct Job {
    number: u64,
    namespace: Name,
    view: Backtest,
    progress: Progress,
    ended: Option<Instant>,
    task: Option<AbortHandle>,
}

impl Jobs {
    pub(crate) fn new(
        runner: Arc<dyn Backtests>,
        limits: BacktestLimits,
        open_of_user_max: usize,
    ) -> Self {
        Self {
            runner,
            limits,
            ids: Ids::new(),
            places: Places::new(limits.open_max, open_of_user_max),
            turn: Arc::new(Semaphore::new(1)),
            all: Arc::default(),
        }
    }

    /// A place for one more backtest of the user.
    pub(crate) fn place(&self, user: &str) -> Result<Place<String>, NoPlace> {
        self.places.take(user.to_owned())
    }

    pub(crate) fn read_id(&self, id: &str) -> Id {
        self.ids.read(id)
    }

    /// Has it run once it is its turn; `order` is asked for then. `view` is as it was ordered.
    pub(crate) fn start(
        &self,
        namespace: Name,
        mut view: Backtest,
        place: Place<String>,
        order: impl Future<Output = Result<BacktestOrder, String>> + Send + 'static,
    ) -> Backtest {
        let mut all = lock(&self.all);
        let number = all.back().map_or(1, |last| last.number + 1);
        view.id = self.ids.write(number);
        let progress = Progress::default();
        all.push_back(Job {
            number,
            namespace,
            view: view.clone(),
            progress: progress.clone(),
            ended: None,
            task: None,
        });
        let (turn, runner, limits) = (
            Arc::clone(&self.turn),
            Arc::clone(&self.runner),
            self.limits,
        );
        let entry = Entry {
            all: Arc::clone(&self.all),
            number,
        };
        let task = tokio::spawn(async move {
            let _place = place;
            // The semaphore is never closed.
            let _turn = turn.acquire().await;
            entry.change(|job| job.view.state = BacktestState::Running);
            let run = async { runner.run(order.await?, &progress).await };
            let outcome = timeout(limits.timeout, run).await;
            let seconds = limits.timeout.as_secs();
            let outcome =
                outcome.unwrap_or_else(|_| Err(format!("it took longer than {seconds} s")));
            entry.end(outcome.and_then(|result| bounded(result, limits.result_bytes_max)));
        });
        if let Some(job) = all.back_mut() {
            job.task = Some(task.abort_handle());
        }
        view
    }

    /// Those of a namespace, the newest first, without results.
    pub(crate) fn list(&self, namespace: &Name) -> Vec<Backtest> {
        let mut all = self.fresh();
        let own = all
            .iter_mut()
            .rev()
            .filter(|job| job.namespace == *namespace);
        own.map(|job| Backtest {
            result: None,
            ..job.seen()
        })
        .collect()
    }

    pub(crate) fn get(&self, namespace: &Name, number: u64) -> Option<Backtest> {
        let all = self.fresh();
        let found = all.iter().find(|job| job.is(namespace, number));
        found.map(Job::seen)
    }

    /// Ends it if it has not, and forgets it; answers whether it was there.
    pub(crate) fn remove(&self, namespace: &Name, number: u64) -> bool {
        let mut all = self.fresh();
        let Some(at) = all.iter().position(|job| job.is(namespace, number)) else {
            return false;
        };
        let job = all.remove(at);
        if let Some(task) = job.and_then(|job| job.task) {
            task.abort();
        }
        true
    }

    /// All, after those went that are shown no more.
    fn fresh(&self) -> MutexGuard<'_, VecDeque<Job>> {
        let mut all = lock(&self.all);
        let ended = all.iter().filter(|job| job.ended.is_some()).count();
        let mut excess = ended.saturating_sub(self.limits.kept_max);
        all.retain(|job| {
            let Some(ended) = job.ended else { return true };
            let is_excess = excess > 0;
            excess = excess.saturating_sub(1);
            !is_excess && ended.elapsed() < self.limits.kept
        });
        all
    }
}

impl Job {
    fn is(&self, namespace: &Name, number: u64) -> bool {
        self.number == number && self.namespace == *namespace
    }

    fn seen(&self) -> Backtest {
        Backtest {
            progress_percent: match self.view.state {
                BacktestState::Done => 100,
                _ => self.progress.percent(),
            },
            ..self.view.clone()
        }
    }
}

/// A job's own way to its entry, which may be gone.
struct Entry {
    all: Arc<Mutex<VecDeque<Job>>>,
    number: u64,
}

impl Entry {
    fn change(&self, change: impl FnOnce(&mut Job)) {
        let mut all = lock(&self.all);
        if let Some(job) = all.iter_mut().find(|job| job.number == self.number) {
            change(job);
        }
    }

    fn end(&self, outcome: Result<serde_json::Value, String>) {
        self.change(|job| {
            match outcome {
                Ok(result) => {
                    job.view.state = BacktestState::Done;
                    job.view.result = Some(Arc::new(result));
                }
                Err(why) => {
                    job.view.state = BacktestState::Failed;
                    job.view.error = Some(why);
                }
            }
            job.view.finished_at = Some(unix_now());
            job.ended = Some(Instant::now());
        });
    }
}

fn bounded(result: serde_json::Value, bytes_max: usize) -> Result<serde_json::Value, String> {
    let bytes = result.to_string().len();
    if bytes > bytes_max {
        return Err(format!(
            "the result has {bytes} bytes, more than {bytes_max}"
        ));
    }
    Ok(result)
}

/// Unix seconds.
pub(crate) fn unix_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}

/// No section under this lock can panic half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
