//! What has just happened, for everybody who listens.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::sync::broadcast;

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    /// Ascending.
    pub(crate) id: u64,
    pub(crate) kind: &'static str,
    /// One JSON document.
    pub(crate) data: String,
}

/// The bounded stream of a namespace's events: who is too slow misses some and is told so.
#[derive(Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Arc<Event>>,
    past: Mutex<Past>,
}

#[derive(Debug)]
struct Past {
    newest: VecDeque<Arc<Event>>,
    next_id: u64,
    last_tick: Option<Instant>,
}

/// Kept for slow listeners and for those that come back.
const EVENTS_MAX: usize = 256;
/// Ticks of a fast clock are thinned to this.
const TICK_INTERVAL: Duration = Duration::from_millis(200);

impl Events {
    pub(crate) fn new() -> Self {
        let past = Past {
            newest: VecDeque::new(),
            next_id: 1,
            last_tick: None,
        };
        Self {
            sender: broadcast::Sender::new(EVENTS_MAX),
            past: Mutex::new(past),
        }
    }

    /// Tells everybody.
    pub(crate) fn send<T: Serialize>(&self, kind: &'static str, data: &T) {
        let mut past = self.past();
        self.send_locked(&mut past, kind, data);
    }

    /// Tells everybody that time has moved on, unless that was just said.
    pub(crate) fn tick<T: Serialize>(&self, now: Instant, data: &T) {
        let mut past = self.past();
        let is_due = |last: Instant| now.duration_since(last) >= TICK_INTERVAL;
        if past.last_tick.is_none_or(is_due) {
            past.last_tick = Some(now);
            self.send_locked(&mut past, "tick", data);
        }
    }

    fn send_locked<T: Serialize>(&self, past: &mut Past, kind: &'static str, data: &T) {
        let data = match serde_json::to_string(data) {
            Ok(data) => data,
            Err(error) => {
                tracing::error!(kind, %error, "An event can't be written as JSON.");
                return;
            }
        };
        let event = Arc::new(Event {
            id: past.next_id,
            kind,
            data,
        });
        past.next_id += 1;
        if past.newest.len() == EVENTS_MAX {
            past.newest.pop_front();
        }
        past.newest.push_back(Arc::clone(&event));
        // An error says that nobody listens.
        let _ = self.sender.send(event);
    }

    /// What came after the event with this id as far as it is kept, and all that comes.
    pub(crate) fn listen(
        &self,
        after: Option<u64>,
    ) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let past = self.past();
        let missed = past
            .newest
            .iter()
            .filter(|event| after.is_some_and(|after| event.id > after));
        (missed.cloned().collect(), self.sender.subscribe())
    }

    /// A panic under this lock can't leave it half done.
    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_comes_back_gets_what_it_missed() {
        let events = Events::new();
        for n in 0..300 {
            events.send("decision", &n);
        }
        assert!(events.listen(None).0.is_empty());
        let ids = |after| {
            events
                .listen(Some(after))
                .0
                .iter()
                .map(|event| event.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(298), [299, 300]);
        assert_eq!(ids(0).len(), EVENTS_MAX);
        assert!(ids(u64::MAX).is_empty());
    }

    #[test]
    fn ticks_are_thinned_and_other_events_are_not() {
        let events = Events::new();
        let (_, mut receiver) = events.listen(None);
        let begin = Instant::now();
        for millis in [0, 100, 199, 200, 250] {
            events.tick(begin + Duration::from_millis(millis), &millis);
        }
        events.send("decision", &1);
        let received: Vec<_> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        let kinds: Vec<_> = received
            .iter()
            .map(|event| (event.kind, event.data.as_str()))
            .collect();
        assert_eq!(kinds, [("tick", "0"), ("tick", "200"), ("decision", "1")]);
    }
}
