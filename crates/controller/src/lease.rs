//! Which of the replicas may write: the holder of a `coordination.k8s.io` Lease.
//!
//! All replicas observe and decide; only the holder writes. The transition is a pure function; the loop around it talks
//! to the API server. A claim that could not be renewed in time is over *here* before it is over for the others: the
//! writer stops after [`RENEW_DEADLINE`], others wait for [`DURATION`].

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::chain;

/// How long a claim holds without being renewed.
pub const DURATION: Duration = Duration::from_secs(12);
/// After so long without a renewal the holder stops writing.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(9);
/// From the beginning of a renewal to that of the next: twelve writes a minute.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Between two looks of those who wait.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// One request: with one for each renewal, a claim outlasts an API server that takes so long for every answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Whether this process may write. Cheap to copy and to ask.
#[derive(Clone, Debug)]
pub struct Claim {
    until: watch::Receiver<Option<Instant>>,
}

impl Claim {
    /// A claim that always holds, for tests and for a single process without a lease.
    #[must_use]
    pub fn always() -> Self {
        let far = Instant::now() + Duration::from_secs(100 * 365 * 86_400);
        Self {
            until: watch::channel(Some(far)).1,
        }
    }

    /// Whether writing is allowed at this moment.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.until
            .borrow()
            .is_some_and(|until| Instant::now() < until)
    }

    /// Returns when the lease was gained, renewed or given up; never for a claim that always holds.
    pub async fn changed(&mut self) {
        if self.until.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What is known of the lease, by the local clock: clocks of other machines are never compared with ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    holder: String,
    renewed: Option<MicroTime>,
    version: Option<String>,
    /// When this content was first seen here.
    seen: Option<Instant>,
}

impl Known {
    /// Takes in what was read at `now`.
    fn read(&mut self, lease: Option<&Lease>, now: Instant) {
        let spec = lease
            .and_then(|lease| lease.spec.clone())
            .unwrap_or_default();
        let (holder, renewed) = (spec.holder_identity.unwrap_or_default(), spec.renew_time);
        if self.seen.is_none() || self.holder != holder || self.renewed != renewed {
            self.seen = Some(now);
        }
        self.version = lease.and_then(ResourceExt::resource_version);
        self.holder = holder;
        self.renewed = renewed;
    }

    /// How long to wait for the next look: a lease that nobody renews is taken as soon as that is allowed.
    fn watch_again_in(&self, now: Instant) -> Duration {
        let free = self.seen.map(|seen| (seen + DURATION).duration_since(now));
        let free = free.filter(|wait| !wait.is_zero());
        free.map_or(WATCH_EVERY, |wait| wait.min(WATCH_EVERY))
    }

    /// Whether `me` may take or renew it at `now`.
    fn is_free(&self, me: &str, now: Instant) -> bool {
        self.holder.is_empty()
            || self.holder == me
            || self
                .seen
                .is_some_and(|seen| now.duration_since(seen) >= DURATION)
    }
}

/// The lease of one deployment.
pub struct Keeper {
    api: Api<Lease>,
    name: String,
    me: String,
    known: Known,
    /// The lease as we wrote it last; none while it is not ours.
    written: Option<Lease>,
    until: watch::Sender<Option<Instant>>,
}

impl Keeper {
    /// Keeps the lease `name` for the replica `me` once [`Keeper::run`] runs.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, me: &str) -> (Self, Claim) {
        let (until, receiver) = watch::channel(None);
        let keeper = Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me: me.to_owned(),
            known: Known::default(),
            written: None,
            until,
        };
        (keeper, Claim { until: receiver })
    }

    /// Claims and renews until `stop`, then releases. A process that cannot ask goes on trying; its claim ends by
    /// itself.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let attempt = Instant::now();
            match self.attempt().await {
                Ok(true) => self.holds(Some(attempt + RENEW_DEADLINE)),
                Ok(false) => self.holds(None),
                Err(error) => tracing::warn!(error = chain(&error), "lease not renewed"),
            }
            let until = *self.until.borrow();
            let now = Instant::now();
            let next = match until {
                None => now + self.known.watch_again_in(now),
                Some(until) if until == attempt + RENEW_DEADLINE => attempt + RENEW_EVERY,
                // Half of the deadline is left for trying again soon after a failure.
                Some(_) => now + WATCH_EVERY,
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(next) => {}
            }
        }
        self.release().await;
    }

    fn holds(&self, until: Option<Instant>) {
        let before = self.until.borrow().is_some();
        if before != until.is_some() {
            let gained = until.is_some();
            tracing::info!(
                lease = self.name,
                identity = self.me,
                gained,
                "claim changed"
            );
        }
        if before || until.is_some() {
            self.until.send_replace(until);
        }
    }

    /// Whether the lease is ours now.
    async fn attempt(&mut self) -> kube::Result<bool> {
        // What nobody wrote to since need not be read first.
        if let Some(lease) = self.written.take()
            && self.write(Some(lease)).await?
        {
            return Ok(true);
        }
        let found = in_time(self.api.get_opt(&self.name)).await?;
        let now = Instant::now();
        self.known.read(found.as_ref(), now);
        if !self.known.is_free(&self.me, now) {
            return Ok(false);
        }
        self.write(found).await
    }

    /// Puts our name and the time into the lease that was `found`; not if somebody else was faster.
    async fn write(&mut self, found: Option<Lease>) -> kube::Result<bool> {
        let lease = self.ours(found);
        let parameters = PostParams::default();
        let written = if lease.resource_version().is_some() {
            in_time(self.api.replace(&self.name, &parameters, &lease)).await
        } else {
            in_time(self.api.create(&parameters, &lease)).await
        };
        match written {
            Ok(lease) => {
                self.known.read(Some(&lease), Instant::now());
                self.written = Some(lease);
                Ok(true)
            }
            // A lease that was deleted is made anew at the next look.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn ours(&self, found: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let old = found
            .clone()
            .and_then(|lease| lease.spec)
            .unwrap_or_default();
        let is_new = old.holder_identity.as_deref() != Some(&self.me);
        Lease {
            metadata: found.map_or_else(
                || ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                |lease| ObjectMeta {
                    managed_fields: None,
                    ..lease.metadata
                },
            ),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: if is_new {
                    Some(now.clone())
                } else {
                    old.acquire_time
                },
                renew_time: Some(now),
                lease_transitions: Some(old.lease_transitions.unwrap_or(0) + i32::from(is_new)),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Lets others in at once. Nothing is written any more when this is called.
    async fn release(&mut self) {
        let held = self.until.send_replace(None).is_some();
        if !held {
            return;
        }
        let release = async {
            let Some(mut lease) = in_time(self.api.get_opt(&self.name)).await? else {
                return Ok(());
            };
            if lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.as_deref())
                != Some(&self.me)
            {
                return Ok(());
            }
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = Some(String::new());
            }
            lease.metadata.managed_fields = None;
            let parameters = PostParams::default();
            in_time(self.api.replace(&self.name, &parameters, &lease))
                .await
                .map(drop)
        };
        match release.await {
            Ok(()) => tracing::info!(lease = self.name, "lease released"),
            Err(error) => tracing::warn!(error = chain(&error), "lease not released"),
        }
    }
}

/// A request that ends in time. It waits for no turn, as others do: who writes hangs on it.
async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    let late = |_| kube::Error::Service("the API server did not answer in time".into());
    tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch() -> (watch::Sender<Option<Instant>>, Claim) {
        let (until, receiver) = watch::channel(None);
        (until, Claim { until: receiver })
    }

    fn lease(holder: &str, renewed: i64) -> Lease {
        Lease {
            metadata: ObjectMeta::default(),
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
                ..LeaseSpec::default()
            }),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_free_only_when_nobody_renews_it() {
        let mut known = Known::default();
        known.read(None, Instant::now());
        assert!(known.is_free("a", Instant::now()));
        // A renewal is recognised by its change, whatever the other clock says.
        for beat in 0..5 {
            known.read(Some(&lease("b", beat)), Instant::now());
            assert!(!known.is_free("a", Instant::now()) && known.is_free("b", Instant::now()));
            tokio::time::advance(DURATION - Duration::from_secs(1)).await;
            assert!(!known.is_free("a", Instant::now()));
        }
        known.read(Some(&lease("b", 4)), Instant::now());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(known.is_free("a", Instant::now()));
        known.read(Some(&lease("", 9)), Instant::now());
        assert!(known.is_free("a", Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_renews_is_looked_at_when_it_ends() {
        let mut known = Known::default();
        assert_eq!(known.watch_again_in(Instant::now()), WATCH_EVERY);
        known.read(Some(&lease("b", 1)), Instant::now());
        tokio::time::advance(DURATION - Duration::from_millis(300)).await;
        let rest = known.watch_again_in(Instant::now());
        assert_eq!(rest, Duration::from_millis(300));
        tokio::time::advance(rest).await;
        assert!(known.is_free("a", Instant::now()));
        // Somebody was faster, or the server does not answer: no reason to ask without pause.
        assert_eq!(known.watch_again_in(Instant::now()), WATCH_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_ends_by_itself_before_others_may_take_it() {
        const { assert!(RENEW_DEADLINE.as_secs() < DURATION.as_secs()) };
        let (until, claim) = switch();
        assert!(!claim.holds());
        until.send_replace(Some(Instant::now() + RENEW_DEADLINE));
        assert!(claim.holds());
        tokio::time::advance(RENEW_DEADLINE).await;
        assert!(!claim.holds());
    }
}
