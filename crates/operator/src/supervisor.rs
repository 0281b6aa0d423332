//! Keeps one worker for each policy, also after one broke.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::index::Key;
use crate::shared::Shared;
use crate::worker::Worker;

/// Also without any change it is looked whether a worker ended that should not have.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// A worker that goes on for so long after it broke is well again.
const WELL_AFTER: Duration = Duration::from_secs(600);

/// Starts and ends workers as policies come and go, until `stop`; returns when all have ended.
pub(crate) async fn supervise(shared: Arc<Shared>, stop: CancellationToken) {
    let mut changes = shared.indexes.policies.changes();
    let mut crew = Crew {
        shared,
        tasks: JoinSet::new(),
        running: BTreeMap::new(),
        breaks: BTreeMap::new(),
    };
    loop {
        crew.start(&stop);
        crew.dismiss();
        tokio::select! {
            () = stop.cancelled() => break,
            _ = changes.changed() => {}
            Some(ended) = crew.tasks.join_next() => crew.ended(ended),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while crew.tasks.join_next().await.is_some() {}
}

/// One worker.
struct Running {
    /// Of the policy.
    uid: String,
    stopped: CancellationToken,
    task: Id,
}

/// The workers.
struct Crew {
    shared: Arc<Shared>,
    tasks: JoinSet<Key>,
    running: BTreeMap<Key, Running>,
    /// How often in a row the worker of a policy broke, and when last.
    breaks: BTreeMap<Key, (u32, Instant)>,
}

impl Crew {
    /// A worker for every policy that has none.
    fn start(&mut self, stop: &CancellationToken) {
        let wanted = self.shared.indexes.policies.all();
        let count = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
        self.shared.metrics.policies.set(count);
        for (key, object) in wanted {
            if self.running.contains_key(&key) {
                continue;
            }
            let breaks = self.breaks.get(&key).map_or(0, |(count, _)| *count);
            let stopped = stop.child_token();
            let token = stopped.clone();
            let uid = object.uid().unwrap_or_default();
            let worker = Worker::new(key.clone(), uid.clone(), Arc::clone(&self.shared));
            let named = key.clone();
            let task = self.tasks.spawn(async move {
                worker.run(breaks, stopped).await;
                named
            });
            let running = Running {
                uid,
                stopped: token,
                task: task.id(),
            };
            self.running.insert(key, running);
        }
    }

    /// Ends the workers of policies that are gone, also where another one has the name now.
    fn dismiss(&mut self) {
        let policies = &self.shared.indexes.policies;
        for (key, running) in &self.running {
            let object = policies.get(&key.0, &key.1);
            if object.is_none_or(|it| it.uid().unwrap_or_default() != running.uid) {
                running.stopped.cancel();
            }
        }
    }

    fn ended(&mut self, ended: Result<Key, JoinError>) {
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
                self.shared.metrics.workers_broken.inc();
                let breaks = self.breaks.remove(&key);
                let (count, _) = breaks
                    .filter(|(_, last)| last.elapsed() < WELL_AFTER)
                    .unwrap_or((0, Instant::now()));
                tracing::error!(namespace = key.0, policy = key.1, %error, "a worker broke and is started again");
                self.breaks
                    .insert(key, (count.saturating_add(1), Instant::now()));
            }
        }
    }
}
