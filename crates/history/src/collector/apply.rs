//! What an answer changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foreshard_forecast::Sample;
use tokio::time::Instant;

use super::answer::{Answer, Samples};
use super::driver::Driver;
use super::entry::{Entry, Grain};
use super::fault::{Fault, FaultKind};
use super::job::{Done, Job, Task};
use super::plan::Id;
use super::signal::RECENT_STEP_SECONDS;
use super::start::POINTS_MIN;

/// A server whose newest samples are further ahead of our clock than this is not believed.
const AHEAD_MAX_SECONDS: i64 = 60;

/// First wait after a range query came to nothing; doubled each time.
const BINS_RETRY: Duration = Duration::from_secs(2);

/// After so many failures of the smallest part of a backfill it is left a gap.
const PART_FAILURES_MAX: u32 = 4;
/// Bins that are this much older than the newest are caught up with at once.
const CATCH_UP_SECONDS: i64 = 600;

/// How long a signal that does well again stays alone at least.
const REJOIN: Duration = Duration::from_secs(60);

impl Driver {
    /// Takes in an answer and has the unit go on.
    pub(super) fn apply(&mut self, done: Done) {
        let Done { job, result } = done;
        let now = Instant::now();
        match job.task {
            Task::Live => self.apply_live(&job, result, now),
            Task::Refresh { .. } | Task::Backfill { .. } => self.apply_bins(&job, result, now),
        }
        if job.plan == self.plan {
            if job.task == Task::Live {
                self.enqueue_live(job.unit);
            }
            self.enqueue_bins(job.unit);
        }
    }

    fn apply_live(&mut self, job: &Job, result: Result<Answer, Fault>, now: Instant) {
        self.change(job, |entry| {
            entry.live_busy = false;
            entry.live_due = now;
        });
        let unix = self.clock.unix();
        let answer = match result.and_then(|answer| self.believed(answer, unix)) {
            Ok(answer) => answer,
            Err(fault) => return self.live_failed(job, &Arc::new(fault), now),
        };
        self.health.answered();
        let due = (job.sent + self.pace.poll).max(now);
        for (id, samples) in self.deal(job, answer) {
            let newest = self.newest_bin();
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let sample = match samples {
                Ok(Some(Samples::One(at, value))) if value.is_finite() => Some(Sample {
                    // Nothing is newer than now: what is ahead is the server's clock.
                    at: (at.floor() as i64).min(unix),
                    value,
                }),
                Ok(Some(Samples::Histogram)) => {
                    Self::one_failed(
                        entry,
                        &Arc::new(Fault::Histogram),
                        self.pace.poll,
                        unix,
                        now,
                    );
                    continue;
                }
                Ok(_) => None,
                Err(fault) => {
                    Self::one_failed(entry, &Arc::new(fault), self.pace.poll, unix, now);
                    continue;
                }
            };
            let recovered = entry.failures > 0;
            entry.failures = 0;
            entry.live_due = due;
            if entry.asked_to.is_none() {
                entry.begin_bins(newest);
                entry.refresh_due = now + self.pace.refresh;
                entry.backfill_due = now;
            }
            entry.signal.live(sample, unix);
            if recovered {
                self.plan_again_at(now + REJOIN);
            }
        }
    }

    /// Notes how the server's clock goes; samples from the future are refused.
    fn believed(&mut self, answer: Answer, unix: i64) -> Result<Answer, Fault> {
        let newest = answer.rows.iter().filter_map(|row| match row.samples {
            Samples::One(at, _) => Some(at.floor() as i64),
            _ => None,
        });
        let Some(newest) = newest.max() else {
            return Ok(answer);
        };
        self.skew = newest - unix;
        if self.skew > AHEAD_MAX_SECONDS {
            return Err(Fault::FromTheFuture {
                url: self.transport.url().to_owned(),
                seconds: self.skew,
            });
        }
        Ok(answer)
    }

    fn live_failed(&mut self, job: &Job, fault: &Arc<Fault>, now: Instant) {
        let unix = self.clock.unix();
        if self.health.failed(fault, job.sent, now) {
            for entry in self.entries.values() {
                entry.signal.failed(fault, unix);
            }
        } else if job.shared.is_some() {
            self.split(job, now);
        } else {
            let poll = self.pace.poll;
            self.change(job, |entry| Self::one_failed(entry, fault, poll, unix, now));
        }
    }

    fn one_failed(entry: &mut Entry, fault: &Arc<Fault>, poll: Duration, unix: i64, now: Instant) {
        entry.failures += 1;
        entry.live_due = now + Entry::retry_in(poll, entry.failures);
        entry.signal.failed(fault, unix);
    }

    /// A group failed, and maybe for one of its members only: each is asked for by itself for a while.
    fn split(&mut self, job: &Job, now: Instant) {
        self.counters.split();
        let mut until = now;
        self.change(job, |entry| until = until.max(entry.split(now)));
        self.plan_by(now);
        self.plan_again_at(until);
    }

    fn apply_bins(&mut self, job: &Job, result: Result<Answer, Fault>, now: Instant) {
        self.change(job, |entry| entry.bins_busy = false);
        let answer = match result {
            Ok(answer) => answer,
            Err(fault) => return self.bins_failed(job, &Arc::new(fault), now),
        };
        let refresh = match job.task {
            // After a gap the newest bins matter most: no pause before they are there.
            Task::Refresh { to } if to + CATCH_UP_SECONDS < self.newest_bin() => Duration::ZERO,
            _ => self.pace.refresh,
        };
        // A sample of the far future would push all that is known out of the ring.
        let latest = self.clock.unix() + AHEAD_MAX_SECONDS + RECENT_STEP_SECONDS;
        for (id, samples) in self.deal(job, answer) {
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let fault = match samples {
                Ok(Some(Samples::Many(samples))) => {
                    let mut known = entry.signal.known();
                    let possible = samples.into_iter().filter(|it| i64::from(it.at) <= latest);
                    for sample in possible {
                        known.fill(i64::from(sample.at), sample.value);
                    }
                    None
                }
                Ok(Some(Samples::Histogram)) => Some(Arc::new(Fault::Histogram)),
                Ok(_) => None,
                Err(fault) => Some(Arc::new(fault)),
            };
            if job.shared.is_some() && fault.is_none() {
                entry.grouped_well(now);
            }
            Self::bins_asked(entry, job, fault.as_ref(), refresh, now);
        }
    }

    /// The bins of a job are known as well as they will be.
    fn bins_asked(
        entry: &mut Entry,
        job: &Job,
        fault: Option<&Arc<Fault>>,
        refresh: Duration,
        now: Instant,
    ) {
        entry.bin_failures = 0;
        if fault.is_some() {
            entry.signal.known().history_failed(fault);
        }
        match job.task {
            Task::Live => {}
            Task::Refresh { to } => {
                let newest = entry.asked_to.unwrap_or(to).max(to);
                entry.asked_to = Some(newest);
                entry.refresh_due = (job.sent + refresh).max(now);
                entry.signal.known().asked(newest);
            }
            Task::Backfill { grain, from, .. } => {
                entry.fetched(grain, from);
                entry.backfill_due = now;
                if grain == Grain::Recent {
                    let asked_to = entry.asked_to.unwrap_or(from);
                    entry.signal.known().asked(asked_to);
                }
            }
        }
    }

    fn bins_failed(&mut self, job: &Job, fault: &Arc<Fault>, now: Instant) {
        let refresh = self.pace.refresh;
        let wait = fault.retry_after().unwrap_or_default();
        self.bins_paused_until = self
            .bins_paused_until
            .max(now + wait.min(super::entry::RETRY_MAX));
        let cost = matches!(
            fault.kind(),
            FaultKind::TimedOut
                | FaultKind::Interrupted
                | FaultKind::TooLarge
                | FaultKind::Unavailable
        ) || fault.may_pass();
        let hopeless = !cost
            && matches!(
                fault.kind(),
                FaultKind::Refused | FaultKind::TooManySeries | FaultKind::NotNumbers
            );
        if job.shared.is_some() && hopeless {
            return self.split(job, now);
        }
        let smallest = match job.task {
            Task::Backfill { points, .. } => points <= POINTS_MIN,
            _ => true,
        };
        let shared = job.shared.is_some();
        let mut worn_out = false;
        self.change(job, |entry| {
            entry.bin_failures += 1;
            let tried = smallest && cost && entry.bin_failures >= PART_FAILURES_MAX;
            if !shared && (hopeless || tried) {
                return Self::bins_asked(entry, job, Some(fault), refresh, now);
            }
            worn_out |= tried;
            entry.signal.known().history_failed(Some(fault));
            if cost && !smallest {
                entry.halvings += 1;
            }
            let due = now + Entry::retry_in(BINS_RETRY, entry.bin_failures);
            match job.task {
                Task::Backfill { .. } => entry.backfill_due = due,
                _ => entry.refresh_due = due,
            }
        });
        if shared && worn_out {
            self.split(job, now);
        }
    }

    fn change(&mut self, job: &Job, mut change: impl FnMut(&mut Entry)) {
        for id in &job.members {
            if let Some(entry) = self.entries.get_mut(id) {
                change(entry);
            }
        }
    }

    /// Whose samples are which. A signal without any has none: that is an answer, too.
    fn deal(&self, job: &Job, answer: Answer) -> Vec<(Id, Result<Option<Samples>, Fault>)> {
        let Some((shape, _)) = &job.shared else {
            let single = answer.into_single();
            return job
                .members
                .first()
                .map(|id| (*id, single))
                .into_iter()
                .collect();
        };
        let mut by_value: HashMap<String, Samples> = HashMap::with_capacity(answer.rows.len());
        for row in answer.rows {
            by_value.insert(row.key, row.samples);
        }
        let value = |id: Id| Some(self.template(id, shape)?.value());
        job.members
            .iter()
            .filter_map(|id| Some((*id, Ok(by_value.remove(value(*id)?)))))
            .collect()
    }
}
