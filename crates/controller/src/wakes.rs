//! Who is to look again: one bell for each object.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::index::Key;

/// The bells of all objects. Ringing one that nobody waits for is remembered once.
#[derive(Debug, Default)]
pub struct Wakes {
    bells: RwLock<BTreeMap<Key, Arc<Notify>>>,
}

impl Wakes {
    /// The bell of one object; it is made if there is none.
    #[must_use]
    pub fn bell(&self, key: &Key) -> Arc<Notify> {
        let mut bells = self.bells.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(key.clone()).or_default())
    }

    /// The object is gone.
    pub fn remove(&self, key: &Key) {
        let mut bells = self.bells.write().unwrap_or_else(PoisonError::into_inner);
        bells.remove(key);
    }

    /// Something of one object has changed.
    pub fn ring(&self, key: &Key) {
        if let Some(bell) = self.read().get(key) {
            bell.notify_one();
        }
    }

    /// Something has changed that may matter to every object of a namespace.
    pub fn namespace(&self, namespace: &str) {
        let first = (namespace.to_owned(), String::new());
        let bells = self.read();
        let own = bells
            .range(first..)
            .take_while(|((of, _), _)| of == namespace);
        own.for_each(|(_, bell)| bell.notify_one());
    }

    /// Something has changed that matters to all.
    pub fn all(&self) {
        self.read().values().for_each(|bell| bell.notify_one());
    }

    /// No section under this lock can panic half way.
    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Key, Arc<Notify>>> {
        self.bells.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn only_those_that_it_may_matter_to_are_woken() {
        let wakes = Wakes::default();
        let keys = [("a", "x"), ("a", "y"), ("ab", "x")]
            .map(|(of, name)| (of.to_owned(), name.to_owned()));
        let bells: Vec<_> = keys.iter().map(|key| wakes.bell(key)).collect();
        let rung = || {
            bells
                .iter()
                .map(|bell| bell.notified().now_or_never().is_some())
                .collect::<Vec<_>>()
        };
        wakes.ring(&keys[1]);
        assert_eq!(rung(), [false, true, false]);
        wakes.namespace("a");
        assert_eq!(rung(), [true, true, false]);
        wakes.all();
        assert_eq!(rung(), [true, true, true]);
        wakes.remove(&keys[0]);
        wakes.all();
        assert_eq!(rung(), [false, true, true]);
    }
}
