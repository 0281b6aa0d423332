//! A worker: one request after the other, each until it succeeds or is given up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use tokio::sync::mpsc::Receiver;

use super::client::{Client, Failure, Request};
use super::summary::Recorder;
use super::{Fate, Kind, Ledger, LoadSpec};

/// What all workers write to.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    pub(super) recorder: Recorder,
}

/// A request that is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) kind: Kind,
    pub(super) customer: u32,
    pub(super) at: Instant,
}

pub(super) type Queue = Arc<tokio::sync::Mutex<Receiver<Due>>>;

pub(super) struct Worker {
    pub(super) spec: Arc<LoadSpec>,
    pub(super) books: Arc<Mutex<Books>>,
    pub(super) begun: Instant,
    pub(super) number: u64,
}

/// The pause before the second attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl Worker {
    /// Works until the queue is closed and empty.
    pub(super) async fn work(self, queue: Queue) {
        let mut client = Client::new(self.spec.address, &self.spec.database);
        let mut random = Pcg64Mcg::seed_from_u64(self.spec.seed ^ (self.number << 32));
        loop {
            // The lock is held while waiting: the others then wait for the lock, in order.
            let due = queue.lock().await.recv().await;
            let Some(due) = due else {
                return;
            };
            let ok = self.request(&mut client, due, &mut random).await;
            let (at, took) = (self.begun.elapsed(), due.at.elapsed());
            self.with_books(|books| books.recorder.request_ended(due.kind, at, took, ok));
        }
    }

    /// Tries until it succeeds or is given up; whether it succeeded.
    async fn request(&self, client: &mut Client, due: Due, random: &mut Pcg64Mcg) -> bool {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=self.spec.attempts_max {
            let Err(failure) = self.attempt(client, due).await else {
                return true;
            };
            let at = self.begun.elapsed();
            self.with_books(|books| {
                books
                    .recorder
                    .attempt_failed(due.kind, at, &failure.class, &failure.text);
            });
            if !failure.may_retry || attempt == self.spec.attempts_max {
                return false;
            }
            // Not all at the same time.
            tokio::time::sleep(pause.mul_f64(random.random_range(0.5..1.5))).await;
            pause *= 2;
        }
        false
    }

    /// One attempt. A write that is tried again is another write to the ledger, with an event of its own: so each
    /// attempt's fate can be checked for itself.
    async fn attempt(&self, client: &mut Client, due: Due) -> Result<(), Failure> {
        let Due { kind, customer, .. } = due;
        let limit = self.spec.attempt_limit;
        let mut request = Request {
            kind,
            customer,
            event: 0,
        };
        match kind {
            Kind::Read | Kind::ReplicaRead => {
                let known = self.with_books(|books| acknowledged(&books.ledger, customer));
                let seen = client.attempt(request, limit).await?;
                judge_read(kind, seen, known)
            }
            Kind::Update => {
                self.with_books(|books| books.ledger.begin_update(customer));
                let result = client.attempt(request, limit).await;
                let fate = fate_of(&result);
                self.with_books(|books| books.ledger.settle_update(customer, fate));
                result.map(drop)
            }
            Kind::Insert | Kind::Transaction => {
                let counts = kind == Kind::Transaction;
                request.event = self.with_books(|books| books.ledger.begin_event(customer, counts));
                let result = client.attempt(request, limit).await;
                let fate = fate_of(&result);
                self.with_books(|books| books.ledger.settle_event(request.event, fate));
                result.map(drop)
            }
        }
    }

    fn with_books<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        // A worker that panicked ends the run anyway.
        change(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes of a customer that were acknowledged without an event: the least that a read must see from now on.
fn acknowledged(ledger: &Ledger, customer: u32) -> u64 {
    (customer as usize)
        .checked_sub(1)
        .and_then(|index| ledger.customers.get(index))
        .map_or(0, |entry| u64::from(entry.acknowledged))
}

fn fate_of(result: &Result<Option<u64>, Failure>) -> Fate {
    match result {
        Ok(_) => Fate::Acknowledged,
        Err(failure) => failure.fate,
    }
}

/// A read that finds no row, or on the primary an older one than was acknowledged, has failed.
fn judge_read(kind: Kind, seen: Option<u64>, known: u64) -> Result<(), Failure> {
    let wrong = |class: &str, text: String| {
        Err(Failure {
            class: class.to_owned(),
            text,
            fate: Fate::Refused,
            may_retry: false,
        })
    };
    match seen {
        None => wrong("no row", "the customer was not found".to_owned()),
        Some(writes) if kind == Kind::Read && writes < known => wrong(
            "stale row",
            format!("{writes} writes were seen after {known} had been acknowledged"),
        ),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_must_see_what_was_acknowledged() {
        let class = |kind, seen, known| judge_read(kind, seen, known).map_err(|it| it.class);
        assert_eq!(class(Kind::Read, Some(3), 3), Ok(()));
        assert_eq!(class(Kind::Read, Some(2), 3), Err("stale row".to_owned()));
        assert_eq!(class(Kind::ReplicaRead, Some(2), 3), Ok(()));
        assert_eq!(class(Kind::ReplicaRead, None, 0), Err("no row".to_owned()));
    }
}
