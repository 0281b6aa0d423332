//! Both services over real TLS on loopback, in front of an advice that the tests set.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod grpc;
mod metrics;
mod pki;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use foreshard_external::{Advice, Advised, Reason, Withheld};
use tokio::sync::watch;

/// 2023-11-14T22:13:20Z.
pub(crate) const DECIDED_AT: i64 = 1_700_000_000;

type Known = BTreeMap<(String, String), Result<u32, Reason>>;

/// Knows what it was told.
pub(crate) struct FakeAdvice {
    known: Mutex<Known>,
    changed: watch::Sender<u64>,
}

impl FakeAdvice {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            known: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    fn all(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    pub(crate) fn set(&self, namespace: &str, policy: &str, known: Result<u32, Reason>) {
        let key = (namespace.to_owned(), policy.to_owned());
        self.all().insert(key, known);
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Advice for FakeAdvice {
    fn advise(&self, namespace: &str, policy: &str) -> Result<Advised, Withheld> {
        let key = (namespace.to_owned(), policy.to_owned());
        let known = self.all().get(&key).copied();
        match known.unwrap_or(Err(Reason::NoPolicy)) {
            Ok(replicas) => Ok(Advised {
                replicas,
                decided_at: DECIDED_AT,
            }),
            Err(reason) => Err(Withheld {
                namespace: key.0,
                policy: key.1,
                reason,
                detail: format!("withheld by {}", reason.name()),
            }),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
