//! Who is interested in what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::error::QueryError;
use super::query::Query;
use super::signal::Signal;

/// One query's signal, for as long as somebody wants it.
#[derive(Debug)]
pub(super) struct Interest {
    pub(super) signal: Arc<Signal>,
    registry: Arc<Registry>,
}

impl Drop for Interest {
    fn drop(&mut self) {
        self.registry.forget(self.signal.query.text());
    }
}

/// All signals that are watched, by the text of their query: equal queries share one.
#[derive(Debug, Default)]
pub(super) struct Registry {
    watched: Mutex<Watched>,
    /// Tells the collector's task that something came or went.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct Watched {
    by_text: HashMap<String, Weak<Interest>>,
    next_id: u64,
    ended: bool,
}

impl Registry {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal of a query, old or new.
    pub(super) fn interest(
        self: &Arc<Self>,
        query: Query,
        signals_max: usize,
    ) -> Result<Arc<Interest>, QueryError> {
        let mut watched = self.watched();
        if watched.ended {
            return Err(QueryError::Ended);
        }
        if let Some(known) = watched.by_text.get(query.text()).and_then(Weak::upgrade) {
            return Ok(known);
        }
        if watched.by_text.len() >= signals_max {
            return Err(QueryError::TooManySignals { signals_max });
        }
        let text = query.text().to_owned();
        let interest = Arc::new(Interest {
            signal: Arc::new(Signal::new(watched.next_id, query)),
            registry: Arc::clone(self),
        });
        watched.next_id += 1;
        watched.by_text.insert(text, Arc::downgrade(&interest));
        drop(watched);
        self.changed.notify_one();
        Ok(interest)
    }

    /// All signals that somebody is interested in.
    pub(super) fn signals(&self) -> Vec<Arc<Signal>> {
        let interests: Vec<_> = {
            let watched = self.watched();
            watched.by_text.values().filter_map(Weak::upgrade).collect()
        };
        // Dropped outside of the lock: one of them may be the last.
        let signals = interests.iter().map(|one| Arc::clone(&one.signal));
        signals.collect()
    }

    /// From now on nothing is watched.
    pub(super) fn end(&self) {
        self.watched().ended = true;
    }

    fn forget(&self, text: &str) {
        let mut watched = self.watched();
        // Somebody else may have begun to watch it since.
        let gone = |weak: &Weak<Interest>| weak.strong_count() == 0;
        if watched.by_text.get(text).is_some_and(gone) {
            watched.by_text.remove(text);
        }
        drop(watched);
        self.changed.notify_one();
    }
}
