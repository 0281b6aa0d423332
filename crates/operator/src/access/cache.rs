//! Answers that hold for a while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A bounded number of answers; each holds for the same time.
pub(crate) struct Cache<K, V> {
    entries: Mutex<HashMap<K, (V, Instant)>>,
    entries_max: usize,
    kept: Duration,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(entries_max: usize, kept: Duration) -> Self {
        Self {
            entries: Mutex::default(),
            entries_max,
            kept,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.get_at(key, Instant::now())
    }

    pub(crate) fn put(&self, key: K, value: V) {
        self.put_at(key, value, Instant::now());
    }

    fn get_at(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.entries();
        let (value, end) = entries.get(key)?;
        (now < *end).then(|| value.clone())
    }

    /// Where all is full of answers that still hold, the new one is not kept: it is only asked for once more.
    fn put_at(&self, key: K, value: V, now: Instant) {
        let mut entries = self.entries();
        if entries.len() >= self.entries_max {
            entries.retain(|_, (_, end)| now < *end);
        }
        if entries.len() < self.entries_max || entries.contains_key(&key) {
            entries.insert(key, (value, now + self.kept));
        }
    }

    /// No section under this lock can panic half way.
    fn entries(&self) -> MutexGuard<'_, HashMap<K, (V, Instant)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_and_make_room() {
        let cache = Cache::new(2, Duration::from_secs(10));
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        cache.put_at("a", 1, at(0));
        cache.put_at("b", 2, at(5));
        cache.put_at("c", 3, at(6));
        assert_eq!(cache.get_at(&"a", at(9)), Some(1));
        assert_eq!(cache.get_at(&"c", at(9)), None, "there was no room");
        assert_eq!(cache.get_at(&"a", at(10)), None, "it has ended");
        cache.put_at("c", 3, at(11));
        assert_eq!(cache.get_at(&"c", at(12)), Some(3));
        assert_eq!(cache.get_at(&"b", at(12)), Some(2));
    }
}
