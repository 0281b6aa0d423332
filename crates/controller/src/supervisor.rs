//! Keeps one task for each object of a kind, also after one broke.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::index::{Index, Key, Watched};

/// Also without any change it is looked whether a task ended that should not have.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A task that goes on for so long after it broke is well again.
const WELL_AFTER: Duration = Duration::from_secs(600);

/// What a task is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Namespace and name of the object.
    pub key: Key,
    /// Of the object: one that was deleted and made anew under the same name is another one.
    pub uid: String,
    /// How often in a row the tasks before this one broke.
    pub breaks: u32,
}

/// Starts and ends tasks as objects come and go, until `stop`; returns when all have ended. `work` makes the task of an
/// object, which ends with its token; `counted` is told how many objects there are, `broke` which task panicked.
pub async fn supervise<K: Watched, W>(
    index: Arc<Index<K>>,
    stop: CancellationToken,
    work: impl Fn(Assignment, CancellationToken) -> W + Send,
    counted: impl Fn(usize) + Send,
    broke: impl Fn(&Key, &JoinError) + Send,
) where
    W: Future<Output = ()> + Send + 'static,
{
    let mut changes = index.changes();
    let mut crew = Crew {
        index,
        tasks: JoinSet::new(),
        running: BTreeMap::new(),
        breaks: BTreeMap::new(),
    };
    loop {
        counted(crew.start(&stop, &work));
        crew.dismiss();
        tokio::select! {
            () = stop.cancelled() => break,
            _ = changes.changed() => {}
            Some(ended) = crew.tasks.join_next() => crew.ended(ended, &broke),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while crew.tasks.join_next().await.is_some() {}
}

/// One task.
struct Running {
    uid: String,
    stopped: CancellationToken,
    task: Id,
}

/// All tasks.
struct Crew<K> {
    index: Arc<Index<K>>,
    tasks: JoinSet<Key>,
    running: BTreeMap<Key, Running>,
    /// How often in a row the task of an object broke, and when last.
    breaks: BTreeMap<Key, (u32, Instant)>,
}

impl<K: Watched> Crew<K> {
    /// A task for every object that has none; how many objects there are.
    fn start<W>(
        &mut self,
        stop: &CancellationToken,
        work: &impl Fn(Assignment, CancellationToken) -> W,
    ) -> usize
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let wanted = self.index.all();
        let count = wanted.len();
        for (key, object) in wanted {
            if self.running.contains_key(&key) {
                continue;
            }
            let assignment = Assignment {
                key: key.clone(),
                uid: object.uid().unwrap_or_default(),
                breaks: self.breaks.get(&key).map_or(0, |(count, _)| *count),
            };
            let (uid, named) = (assignment.uid.clone(), key.clone());
            let stopped = stop.child_token();
            let work = work(assignment, stopped.clone());
            let task = self.tasks.spawn(async move {
                work.await;
                named
            });
            let task = task.id();
            let running = Running { uid, stopped, task };
            self.running.insert(key, running);
        }
        count
    }

    /// Ends the tasks of objects that are gone, also where another one has the name now.
    fn dismiss(&mut self) {
        for (key, running) in &self.running {
            let object = self.index.get(&key.0, &key.1);
            if object.is_none_or(|it| it.uid().unwrap_or_default() != running.uid) {
                running.stopped.cancel();
            }
        }
    }

    fn ended(&mut self, ended: Result<Key, JoinError>, broke: &impl Fn(&Key, &JoinError)) {
        match ended {
            Ok(key) => {
                self.running.remove(&key);
                self.breaks.remove(&key);
            }
            Err(error) => {
                let mut running = self.running.iter();
                let broken = running.find(|(_, it)| it.task == error.id());
                let Some(key) = broken.map(|(key, _)| key.clone()) else {
                    return;
                };
                self.running.remove(&key);
                broke(&key, &error);
                let breaks = self.breaks.remove(&key);
                let (count, _) = breaks
                    .filter(|(_, last)| last.elapsed() < WELL_AFTER)
                    .unwrap_or((0, Instant::now()));
                self.breaks
                    .insert(key, (count.saturating_add(1), Instant::now()));
            }
        }
    }
}
