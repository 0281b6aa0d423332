//! One task for each policy: it waits for a reason to look, and makes one pass.
//!
//! A pass goes through its stages in turn: the spec is checked, its names are resolved, the target is read, the engine
//! decides (off the async threads), the decision is carried out as far as the mode allows, and the status says all of
//! it. What any stage finds wrong is a finding, never the end of the task: nothing shrinks on what is not known, and the
//! next pass begins anew.

mod act;
mod approved;
mod decide;
mod learning;
mod memory;
mod mode;
mod report;
mod resolve;

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::v1alpha1::{ScalingPolicy, ScalingRecommendation};
use foreshard_api::validated::ValidatedPolicy;
use foreshard_engine::Outcome;
use kube::ResourceExt as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, PollSemaphore};

use crate::metrics::PolicyLabels;
use crate::publish::Expected;
use crate::shared::{Shared, Wait};
use crate::target::{Seen, TargetError};
use foreshard_controller::call::unix_now;
use foreshard_controller::index::Key;
use learning::Learning;
use memory::Memory;
use mode::InForce;
use resolve::Resolved;

/// Between two passes of one policy at least, whatever happens.
const PASS_EVERY_MIN: Duration = Duration::from_secs(1);
/// Between two looks while something is under way or wrong.
const SOON: Duration = Duration::from_secs(5);
/// Between two looks while a signal's data is not ok.
const BLIND: Duration = Duration::from_secs(15);
/// Between two looks at most while the API server does not answer, or while workers break.
const UNANSWERED_MAX: Duration = Duration::from_secs(60);
/// So many looks without an answer are not worth a status: it would go the same way.
const UNANSWERED_TOLD: u32 = 3;
/// Share by which waits differ, so that a thousand policies do not wake together.
const JITTER: f64 = 0.1;
/// A load so many times what was decided on is looked at before its time.
const RISEN: f64 = 1.01;

/// Follows one policy until `stop`.
pub(crate) struct Worker {
    key: Key,
    /// Of the policy. One that was deleted and made anew under the same name is another one.
    uid: String,
    shared: Arc<Shared>,
    memory: Memory,
    resolved: Resolved,
    expected: Expected,
    /// The spec as it was checked last: generation and what it means.
    checked: Option<(i64, Arc<ValidatedPolicy>)>,
    /// The newest decision.
    outcome: Option<Outcome>,
    /// Whether less may be measured than there is.
    is_incomplete: bool,
    begun: Instant,
    jitter: rand_pcg::Pcg32,
    saved: Instant,
    learning: Learning,
    /// Passes in a row in which the API server did not answer.
    unanswered: u32,
}

/// What one pass learned.
struct Pass {
    object: Arc<ScalingPolicy>,
    policy: Arc<ValidatedPolicy>,
    now: i64,
    findings: Vec<Finding>,
    seen: Option<Seen>,
    in_force: InForce,
    recommendation: Option<Arc<ScalingRecommendation>>,
    notes: Vec<String>,
}

/// How long to leave alone what failed so many times: twice as long each time.
fn patience(failures: u32) -> Duration {
    let longer = 2_u32.saturating_pow(failures.saturating_sub(1));
    SOON.saturating_mul(longer).min(UNANSWERED_MAX)
}

impl Worker {
    pub(crate) fn new(key: Key, uid: String, shared: Arc<Shared>) -> Self {
        let saved = shared.store.load(&key).filter(|saved| saved.uid == uid);
        let saved = saved.unwrap_or_default();
        let mut memory = Memory::new(None);
        memory.lead = saved.lead;
        memory.shadow = saved.shadow;
        memory.snapshot = saved.engine;
        // Only the order of wake-ups depends on it.
        let seed = key
            .0
            .bytes()
            .chain(key.1.bytes())
            .fold(7, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
        Self {
            memory,
            resolved: Resolved::default(),
            expected: Expected::default(),
            checked: None,
            outcome: None,
            is_incomplete: false,
            begun: Instant::now(),
            jitter: rand_pcg::Pcg32::seed_from_u64(seed),
            saved: Instant::now(),
            learning: Learning::begun(unix_now()),
            unanswered: 0,
            key,
            uid,
            shared,
        }
    }

    /// Makes passes until `stop`, or until the policy is gone. After those before it broke `breaks` times in a row it
    /// says so, and leaves the policy alone for a while.
    pub(crate) async fn run(mut self, breaks: u32, stop: CancellationToken) {
        if breaks > 0 {
            let wait = patience(breaks);
            self.report_broken(wait).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let bell = self.shared.wakes.bell(&self.key);
        let mut turn = PollSemaphore::new(Arc::clone(&self.shared.fits));
        // A thousand policies that are created together do not ask for everything at once.
        let first = self.jitter.random_range(0..500);
        tokio::time::sleep(Duration::from_millis(first)).await;
        loop {
            let started = Instant::now();
            let Some(wait) = self.pass().await else { break };
            self.learning.give_back();
            let next = started + self.spread(wait);
            let wants_turn = self.learning.wants_turn();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = bell.notified() => {}
                // Samples come every few seconds: no reason to press a server that does not answer.
                () = self.rises(), if self.unanswered == 0 => {}
                permit = poll_fn(|context| turn.poll_acquire(context)), if wants_turn => {
                    self.learning.turn(permit);
                }
                () = tokio::time::sleep_until(next) => {}
            }
            let earliest = started + PASS_EVERY_MIN;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(earliest) => {}
            }
        }
        if self.object().is_some() {
            self.save().await;
        } else {
            self.forget().await;
        }
    }

    /// The policy as it is now; none: it is gone.
    fn object(&self) -> Option<Arc<ScalingPolicy>> {
        let policies = &self.shared.indexes.policies;
        let object = policies.get(&self.key.0, &self.key.1)?;
        (object.metadata.uid.as_deref().unwrap_or_default() == self.uid).then_some(object)
    }

    /// One pass; how long to wait for the next one. None: the policy is gone.
    #[tracing::instrument(
        level = "debug", name = "pass", skip_all, fields(namespace = self.key.0, policy = self.key.1)
    )]
    async fn pass(&mut self) -> Option<Duration> {
        let object = self.object()?;
        let started = Instant::now();
        let policy = match self.check(&object) {
            Ok(policy) => policy,
            Err(message) => {
                self.report_nothing(&object, "SpecInvalid", message).await;
                return Some(Duration::from_secs(600));
            }
        };
        let shared = Arc::clone(&self.shared);
        let accepted = self.resolved.modules(&shared, &self.key, &policy).await;
        if self.resolved.signals(&shared, &self.key.0, &policy).await {
            self.learning = Learning::begun(unix_now());
        }
        let read = shared.targets.read(&self.key.0, &policy.target).await;
        self.count_answer(matches!(read, Err(TargetError::Unavailable(_))));
        if (1..UNANSWERED_TOLD).contains(&self.unanswered) {
            return Some(patience(self.unanswered));
        }
        let now = unix_now();
        let seen = read.as_ref().ok().cloned();
        if let Some(seen) = &seen {
            // Before the mode: it depends on who else scales the target.
            self.look(&object, &policy, seen, now).await;
        }
        let in_force = mode::in_force(
            &shared,
            &self.key,
            &object,
            &policy,
            seen.as_ref(),
            &mut self.memory,
            now,
        );
        let mut pass = Pass {
            findings: vec![accepted, self.target_finding(&policy, &read, &in_force)],
            object,
            policy,
            now,
            seen,
            in_force,
            recommendation: None,
            notes: Vec::new(),
        };
        self.decide(&mut pass).await;
        self.act(&mut pass).await;
        let wait = self.wait(&pass);
        self.report(pass).await;
        shared
            .metrics
            .evaluation
            .observe(started.elapsed().as_secs_f64());
        if self.saved.elapsed() > Duration::from_secs(300) {
            self.save().await;
        }
        Some(wait)
    }

    fn check(&mut self, object: &ScalingPolicy) -> Result<Arc<ValidatedPolicy>, String> {
        let generation = object.metadata.generation.unwrap_or(0);
        if let Some((of, policy)) = &self.checked
            && *of == generation
        {
            return Ok(Arc::clone(policy));
        }
        let policy = ValidatedPolicy::parse(&object.spec).map_err(|error| error.to_string())?;
        let policy = Arc::new(policy);
        self.checked = Some((generation, Arc::clone(&policy)));
        self.memory.outlook.clear();
        Ok(policy)
    }

    /// Learns from how the target is now.
    async fn look(
        &mut self,
        object: &ScalingPolicy,
        policy: &ValidatedPolicy,
        seen: &Seen,
        now: i64,
    ) {
        if seen.stuck.is_some() {
            self.memory.lead.stuck();
        }
        if let Some(took) = self.memory.lead.see(now, seen.wanted, seen.ready) {
            tracing::info!(
                namespace = self.key.0,
                policy = self.key.1,
                seconds = took,
                "order fulfilled"
            );
        }
        let Some(before) = self.memory.see(now, seen.wanted, self.shared.claim.holds()) else {
            return;
        };
        if self.memory.ordered.is_some() {
            let note = format!(
                "{} was scaled from {before} to {} by somebody else",
                policy.target.show(),
                seen.wanted
            );
            let normal = kube::runtime::events::EventType::Normal;
            self.shared
                .tell(object, normal, "ScaledBySomebodyElse", note)
                .await;
        }
    }

    fn target_finding(
        &self,
        policy: &ValidatedPolicy,
        read: &Result<Seen, TargetError>,
        in_force: &InForce,
    ) -> Finding {
        let kind = kind::TARGET_RESOLVED;
        match read {
            Err(error) => Finding::no(kind, error.reason(), error.to_string()),
            Ok(seen) if seen.stuck.is_some() => {
                let why = seen.stuck.clone().unwrap_or_default();
                let message = format!("the rollout of {} is stuck: {why}", policy.target.show());
                Finding::yes(kind, "RolloutStuck", message)
            }
            Ok(_) => match &in_force.held {
                Some((
                    reason @ ("HorizontalPodAutoscalerConflict"
                    | "TargetConflict"
                    | "ScaledBySomebodyElse"),
                    why,
                )) => Finding::no(kind, reason, why.clone()),
                _ => Finding::yes(
                    kind,
                    "Resolved",
                    format!("{} has a /scale.", policy.target.show()),
                ),
            },
        }
    }

    /// When to look again at the latest.
    fn wait(&self, pass: &Pass) -> Duration {
        let interval =
            Duration::from_secs(u64::try_from(pass.policy.interval_seconds).unwrap_or(60));
        let under_way =
            self.memory.lead.open().is_some() || self.memory.breaker.open(pass.now).is_some();
        let waiting = self.outcome.is_none()
            || pass.seen.is_none()
            || matches!(self.shared.indexes.waits_for(), Some(Wait::NotRead(_)));
        if self.unanswered > 0 {
            return patience(self.unanswered);
        }
        if under_way || waiting {
            SOON.min(interval)
        } else if self.is_blind() || self.is_incomplete || self.learning.reads() {
            BLIND.min(interval)
        } else {
            interval
        }
    }

    fn count_answer(&mut self, missing: bool) {
        self.unanswered = if missing {
            self.unanswered.saturating_add(1)
        } else {
            0
        };
    }

    fn spread(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(1.0 + self.jitter.random_range(-JITTER..0.0))
    }

    /// Waits for a live sample that asks for more than there is.
    async fn rises(&mut self) {
        let Some((_, policy)) = self.checked.clone() else {
            return std::future::pending().await;
        };
        let Some(replicas) = self
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.record.context.parts.first()?.replicas.clone())
        else {
            // Nothing was decided yet: any sample is a reason to look.
            return self.any_sample().await;
        };
        let blind = self.is_blind();
        loop {
            self.any_sample().await;
            if blind {
                return;
            }
            let more =
                self.resolved
                    .signals
                    .iter()
                    .zip(&policy.signals)
                    .any(|(watched, signal)| {
                        let sample = watched
                            .as_ref()
                            .ok()
                            .and_then(|watched| watched.watch.latest());
                        let counted = f64::from(replicas.wanted.max(1));
                        // What HPA's tolerance calls too much, or what is above the limit that no plan exceeds; what
                        // was decided on already is no news.
                        let much = (counted * signal.target_average_value * 1.1)
                            .min(counted * signal.capacity * policy.max_utilization)
                            .max(self.decided_on(&signal.name) * RISEN);
                        sample.is_some_and(|sample| sample.value > much)
                    });
            if more && replicas.wanted < replicas.max {
                return;
            }
        }
    }

    /// The load of a signal that the newest decision saw; 0: none.
    fn decided_on(&self, signal: &str) -> f64 {
        let parts = self
            .outcome
            .iter()
            .flat_map(|it| &it.record.explanation.parts);
        let mut inputs = parts.flat_map(|part| &part.inputs);
        let input = inputs.find(|input| input.signal == signal);
        input.and_then(|input| input.seen).unwrap_or(0.0)
    }

    /// Whether the newest decision had to do with data that is not ok.
    fn is_blind(&self) -> bool {
        let parts = self
            .outcome
            .iter()
            .flat_map(|it| &it.record.explanation.parts);
        let mut inputs = parts.flat_map(|part| &part.inputs);
        inputs.any(|input| input.quality != foreshard_decide::contract::Quality::Ok)
    }

    async fn any_sample(&mut self) {
        let watches = self
            .resolved
            .signals
            .iter_mut()
            .filter_map(|it| it.as_mut().ok());
        let mut all: Vec<_> = watches.map(|it| Box::pin(it.watch.changed())).collect();
        if all.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(&mut all).await;
    }

    fn labels(&self) -> PolicyLabels {
        PolicyLabels {
            namespace: self.key.0.clone(),
            policy: self.key.1.clone(),
        }
    }

    async fn save(&mut self) {
        self.saved = Instant::now();
        let saved = crate::store::Saved {
            uid: self.uid.clone(),
            engine: self.memory.learned(),
            lead: self.memory.lead.clone(),
            shadow: self.memory.shadow.clone(),
        };
        let (store, key) = (self.shared.store.clone(), self.key.clone());
        let saving = tokio::task::spawn_blocking(move || store.save(&key, &saved));
        if let Ok(Err(error)) = saving.await {
            tracing::warn!(namespace = self.key.0, policy = self.key.1, %error, "state not kept");
        }
    }

    async fn forget(&self) {
        self.shared.wakes.remove(&self.key);
        self.shared.publisher.remove(&self.key);
        self.shared.board.remove(&self.key);
        self.shared.metrics.forget(&self.labels());
        let (store, key) = (self.shared.store.clone(), self.key.clone());
        let forgetting = tokio::task::spawn_blocking(move || store.forget(&key));
        if let Ok(Err(error)) = forgetting.await {
            tracing::warn!(namespace = self.key.0, policy = self.key.1, %error, "state not removed");
        }
    }
}

/// Name of the object for logs.
fn shown(object: &ScalingPolicy) -> String {
    format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_answer_is_asked_ever_less() {
        let seconds = [1, 2, 3, 4, 5, 1_000].map(|times| patience(times).as_secs());
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    }
}
