//! What has just happened, for everybody who listens.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
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
    /// Told in every id: another process, or this namespace another time, counts other events.
    nonce: u64,
    past: Mutex<Past>,
}

#[derive(Debug)]
struct Past {
    newest: VecDeque<Arc<Event>>,
    next_id: u64,
    last_tick: Option<Instant>,
}

/// What a listener gets.
pub(crate) struct Listening {
    /// What came since the event it has heard last.
    pub(crate) missed: Vec<Arc<Event>>,
    /// The event it has heard last was not one of these: what it missed cannot be told.
    pub(crate) unknown: bool,
    pub(crate) coming: broadcast::Receiver<Arc<Event>>,
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
            nonce: RandomState::new().hash_one("events"),
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

    /// The id of an event, as listeners are told it.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.nonce)
    }

    /// The number of the event with this id; none: it is not one of ours.
    fn number(&self, id: &str) -> Option<u64> {
        let (nonce, number) = id.split_once('-')?;
        let ours = u64::from_str_radix(nonce, 16).ok()? == self.nonce;
        ours.then(|| number.parse().ok())?
    }

    /// What came after the event with this id as far as it is kept, and all that comes.
    pub(crate) fn listen(&self, after: Option<&str>) -> Listening {
        let past = self.past();
        let number = after.and_then(|id| self.number(id));
        let newest = past.newest.iter();
        let missed = newest.filter(|event| number.is_some_and(|number| event.id > number));
        Listening {
            missed: missed.cloned().collect(),
            unknown: after.is_some() && number.is_none(),
            coming: self.sender.subscribe(),
        }
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
        assert!(events.listen(None).missed.is_empty());
        let ids = |after| {
            events
                .listen(Some(&events.id(after)))
                .missed
                .iter()
                .map(|event| event.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(298), [299, 300]);
        assert_eq!(ids(0).len(), EVENTS_MAX);
        assert!(ids(u64::MAX).is_empty());
    }

    #[test]
    fn what_another_process_counted_is_not_known_here() {
        let (here, elsewhere) = (Events::new(), Events::new());
        here.send("decision", &1);
        for id in [elsewhere.id(0), "0".to_owned(), "a-b".to_owned()] {
            let listening = here.listen(Some(&id));
            assert!(listening.unknown && listening.missed.is_empty(), "{id}");
        }
        assert!(!here.listen(Some(&here.id(0))).unknown);
        assert!(!here.listen(None).unknown);
    }

    #[test]
    fn ticks_are_thinned_and_other_events_are_not() {
        let events = Events::new();
        let mut receiver = events.listen(None).coming;
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
