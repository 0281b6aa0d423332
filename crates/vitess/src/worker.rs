//! The loop of every worker: a pass after each change, and now and then without any.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use foreshard_controller::index::Key;
use foreshard_controller::wakes::Wakes;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// Between two looks while something is waited for.
const LOOK_SOON: Duration = Duration::from_secs(2);
/// After something could not be carried out: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Share by which pauses differ from each other.
const JITTER: f64 = 0.2;

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Everything is as it is wanted.
    AsWanted,
    /// Something is waited for, or was just changed.
    Waits,
    /// Something could not be carried out.
    Failed,
}

/// What is done for one object.
pub(crate) trait Pass: Send {
    /// All five stages once.
    fn pass(&mut self) -> impl Future<Output = Passed> + Send;
}

/// When an object's worker looks.
pub(crate) struct Rounds {
    pub(crate) key: Key,
    pub(crate) shared: Arc<Shared>,
    /// Rings when something of the object has changed.
    pub(crate) wakes: Arc<Wakes>,
    /// Between two looks at what is as it is wanted.
    pub(crate) look_every: Duration,
    /// Kind of the object, for metrics.
    pub(crate) kind: Cow<'static, str>,
}

impl Rounds {
    /// Works until `stop`. After those before it broke `breaks` times in a row it leaves the object alone for a while.
    pub(crate) async fn run(self, mut work: impl Pass, breaks: u32, stop: CancellationToken) {
        let wait = RETRY
            .0
            .saturating_mul(2_u32.saturating_pow(breaks))
            .min(RETRY.1);
        if breaks > 0 {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let seed = self.key.0.bytes().chain(self.key.1.bytes());
        let seed = seed.fold(0_u64, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let mut jitter = rand_pcg::Pcg32::seed_from_u64(seed);
        let mut retry = RETRY.0;
        self.shared.metrics.looks_after(&self.kind, 1);
        let bell = self.wakes.bell(&self.key);
        loop {
            let pause = if self.shared.waits_for().is_some() {
                LOOK_SOON / 10
            } else {
                let (begun, leads) = (Instant::now(), self.shared.claim.holds());
                let passed = work.pass().await;
                // Who does not lead looks at nothing.
                if leads {
                    let took = begun.elapsed().as_secs_f64();
                    self.shared.metrics.passed(&self.kind, took);
                }
                let pause = match passed {
                    Passed::AsWanted => self.look_every,
                    Passed::Waits => LOOK_SOON,
                    Passed::Failed => retry,
                };
                retry = match passed {
                    Passed::Failed => (retry * 2).min(RETRY.1),
                    Passed::AsWanted | Passed::Waits => RETRY.0,
                };
                pause.mul_f64(1.0 + jitter.random_range(-JITTER..0.0))
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = bell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.shared.metrics.looks_after(&self.kind, -1);
        self.wakes.remove(&self.key);
    }
}
