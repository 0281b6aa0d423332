//! Keeps one worker for each policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::index::Key;
use crate::shared::Shared;
use crate::worker::Worker;

/// Also without any change it is looked whether a worker ended that should not have.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Starts and ends workers as policies come and go, until `stop`; returns when all have ended.
pub(crate) async fn supervise(shared: Arc<Shared>, stop: CancellationToken) {
    let mut changes = shared.indexes.policies.changes();
    let mut tasks: JoinSet<Key> = JoinSet::new();
    let mut running: BTreeMap<Key, (CancellationToken, Id)> = BTreeMap::new();
    loop {
        let wanted = shared.indexes.policies.all();
        for (key, _) in &wanted {
            if running.contains_key(key) {
                continue;
            }
            let stopped = stop.child_token();
            let token = stopped.clone();
            let (worker, key) = (Worker::new(key.clone(), Arc::clone(&shared)), key.clone());
            let named = key.clone();
            let task = tasks.spawn(async move {
                worker.run(stopped).await;
                key
            });
            running.insert(named, (token, task.id()));
        }
        for (key, (stopped, _)) in &running {
            if shared.indexes.policies.get(&key.0, &key.1).is_none() {
                stopped.cancel();
            }
        }
        shared
            .metrics
            .policies
            .set(i64::try_from(wanted.len()).unwrap_or(i64::MAX));
        tokio::select! {
            () = stop.cancelled() => break,
            _ = changes.changed() => {}
            ended = tasks.join_next(), if !tasks.is_empty() => match ended {
                Some(Ok(key)) => { running.remove(&key); }
                Some(Err(error)) => {
                    tracing::error!(%error, "a worker broke and is started again");
                    let broken = error.id();
                    running.retain(|_, (_, task)| *task != broken);
                }
                None => {}
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}
