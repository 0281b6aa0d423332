//! When a backup of a shard is due, from what it begins, and what is told of those that were made.

use cronexpr::{Crontab, MakeTimestamp};
use foreshard_api::condition::{Finding, kind};
use foreshard_api::time;
use foreshard_vtctld::Backup;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

/// Seconds after one that failed until it is tried again.
const RETRY_SECONDS: i64 = 1800;
/// How far the clock of a node may be ahead of the API server's.
const SKEW_SECONDS: i64 = 60;
/// Oldest backup that a tablet catches up from. MySQL keeps binary logs for three days, as Vitess configures it.
const FRESH_SECONDS: i64 = 2 * 86_400;
/// How long after it was due a backup is missed.
const OVERDUE_SECONDS: i64 = 3600;
/// On a Job: for which moment it makes a backup, in Unix seconds.
pub(crate) const DUE: &str = "foreshard.dev/due";
/// On a Job: from what it begins.
pub(crate) const BEGINS: &str = "foreshard.dev/begins-with";

/// What new rows come from, for a tablet or for a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// The newest backup; the rest of it is replicated.
    Backup,
    /// A copy of the primary by MySQL's CLONE.
    Clone,
}

/// How a Job is getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or waits to.
    Runs,
    /// It is done, since this time.
    Done(i64),
    /// It was given up at this time, for this reason.
    Failed(i64, String),
}

/// A Job as far as it matters. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSeen {
    /// Its name.
    pub name: String,
    /// When it was made, or for when, whichever is later: clocks differ.
    pub made: i64,
    /// From what it began.
    pub begins: Begins,
    /// How it is getting on.
    pub state: State,
}

/// What is known of a shard's backups. Times are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Now.
    pub now: i64,
    /// When the shard was made. Backups from before it are another's of the same name.
    pub shard_made: i64,
    /// When the last one was finished.
    pub last: Option<i64>,
    /// When the volume of the primary was made. It may lack the logs from before: they are copied by nothing.
    pub primary_made: Option<i64>,
    /// Those of the shard that are where backups are, by when they were taken; or why they cannot be listed.
    pub listed: Option<Result<Vec<i64>, String>>,
    /// Jobs that there are.
    pub jobs: Vec<JobSeen>,
}

/// Reads five fields of cron, in UTC.
///
/// # Errors
/// What is wrong with them.
pub fn parse(schedule: &str) -> Result<Crontab, String> {
    cronexpr::parse_crontab(&format!("{schedule} UTC")).map_err(|error| {
        let said = error.to_string();
        let last = said.lines().last().unwrap_or_default();
        format!("{schedule:?}: {}", last.trim_start_matches([' ', '^']))
    })
}

impl JobSeen {
    /// Reads one.
    #[must_use]
    pub fn read(job: &Job) -> Self {
        let status = job.status.as_ref();
        let conditions = status.and_then(|it| it.conditions.as_ref());
        let find = |kind: &str| {
            let mut all = conditions.into_iter().flatten();
            all.find(|it| it.type_ == kind && it.status == "True")
        };
        let made = job
            .metadata
            .creation_timestamp
            .as_ref()
            .map_or(0, time::unix);
        let annotation = |key: &str| job.annotations().get(key);
        let due = annotation(DUE).and_then(|it| it.parse().ok());
        let begins = match annotation(BEGINS).map(String::as_str) {
            Some("Backup") => Begins::Backup,
            _ => Begins::Clone,
        };
        let at = |since: Option<&_>| since.map_or(made, time::unix);
        let state = if let Some(failed) = find("Failed") {
            let message = failed.message.clone().unwrap_or_default();
            State::Failed(at(failed.last_transition_time.as_ref()), message)
        } else if find("Complete").is_some() {
            State::Done(at(status.and_then(|it| it.completion_time.as_ref())))
        } else {
            State::Runs
        };
        Self {
            name: job.name_any(),
            made: made.max(due.unwrap_or(made)),
            begins,
            state,
        }
    }
}

impl Seen {
    /// When the last one was finished, those included that were just seen to be.
    #[must_use]
    pub fn finished(&self) -> Option<i64> {
        let jobs = self.jobs.iter().filter_map(|it| match it.state {
            State::Done(at) => Some(at),
            State::Runs | State::Failed(..) => None,
        });
        jobs.chain(self.last).max()
    }

    /// The newest backup that is whole: one that was taken before a Job said that it is done.
    fn newest(&self) -> Option<i64> {
        let finished = self.finished()?;
        let listed = self.listed.as_ref()?.as_ref().ok()?;
        let ours = listed.iter().copied();
        let span = self.shard_made..=finished + SKEW_SECONDS;
        ours.filter(|it| span.contains(it)).max()
    }

    /// Whether backups were made, and none of them is there any more.
    fn are_gone(&self) -> bool {
        let is_known = matches!(self.listed, Some(Ok(_)));
        is_known && self.finished().is_some() && self.newest().is_none()
    }

    /// The last Job that is over, if it was given up.
    fn failed(&self) -> Option<(&JobSeen, i64, &str)> {
        let over = self.jobs.iter().filter(|it| it.state != State::Runs);
        let last = over.max_by_key(|it| it.made)?;
        match &last.state {
            State::Failed(at, why) => Some((last, *at, why)),
            State::Runs | State::Done(_) => None,
        }
    }

    /// Whether the next one should have been made.
    fn is_overdue(&self, finished: i64, schedule: Option<&Crontab>) -> bool {
        let next = schedule.and_then(|it| next(it, finished));
        next.is_some_and(|next| next + OVERDUE_SECONDS < self.now)
    }

    /// From what new rows come.
    #[must_use]
    pub fn begins(&self) -> Begins {
        // One that could not be begun with is not tried again and again.
        let is_bad = self
            .failed()
            .is_some_and(|(job, ..)| job.begins == Begins::Backup);
        let oldest = self.primary_made.unwrap_or(i64::MAX);
        let oldest = oldest.max(self.now - FRESH_SECONDS);
        match self.newest() {
            Some(taken) if taken >= oldest && !is_bad => Begins::Backup,
            _ => Begins::Clone,
        }
    }

    /// For which moment a backup is to be made now; none: none is due. The same moment is answered until its Job is there.
    #[must_use]
    pub fn due(&self, schedule: Option<&Crontab>) -> Option<i64> {
        if self.jobs.iter().any(|it| it.state == State::Runs) {
            return None;
        }
        let began = self.jobs.iter().map(|it| it.made);
        let base = began.chain(self.finished()).max();
        let planned = schedule.and_then(|it| next(it, base.unwrap_or(self.shard_made)));
        let again = self.failed().map(|(_, at, _)| at + RETRY_SECONDS);
        let first = match (self.finished(), again) {
            (None, None) => Some(self.shard_made),
            // Where they are never found, one is made now and then.
            (Some(finished), None) if self.are_gone() => Some(finished + RETRY_SECONDS),
            _ => None,
        };
        let all = [planned, again, first].into_iter().flatten();
        all.min().filter(|it| *it <= self.now)
    }

    /// What is told of them.
    #[must_use]
    pub fn finding(&self, schedule: Option<&Crontab>) -> Finding {
        let no = |reason, said: String| Finding::no(kind::BACKUPS_HEALTHY, reason, said);
        if let Some((job, at, why)) = self.failed() {
            let again = moment(at + RETRY_SECONDS);
            let said = format!(
                "Job {} failed: {why}. What vtbackup says is in the log of its pod; it is tried again at {again}.",
                job.name
            );
            return no("BackupFailed", said);
        }
        if let Some(Err(why)) = &self.listed {
            let said = format!("Backups cannot be listed: {why}");
            return no("BackupsUnreadable", said);
        }
        match self.finished() {
            None => {
                let said =
                    "The first backup is made once the shard has a primary and all of its tablets.";
                no("NoBackupYet", said.to_owned())
            }
            Some(_) if self.are_gone() => {
                let said = "No backup of the shard is where backups are, though some were made: another one is made within half an hour.";
                no("BackupsGone", said.to_owned())
            }
            Some(finished) if self.is_overdue(finished, schedule) => {
                let runs = self.jobs.iter().find(|it| it.state == State::Runs);
                let why = runs.map_or_else(
                    || "none is begun while the shard has no primary".to_owned(),
                    |job| format!("Job {} is not done", job.name),
                );
                let said = format!(
                    "The last backup was finished at {}, and another one was due more than an hour ago: {why}.",
                    moment(finished)
                );
                no("BackupOverdue", said)
            }
            Some(finished) => {
                let said = format!("The last backup was finished at {}.", moment(finished));
                Finding::yes(kind::BACKUPS_HEALTHY, "BackedUp", said)
            }
        }
    }
}

/// When those of a list were taken.
#[must_use]
pub fn taken(listed: &[Backup]) -> Vec<i64> {
    listed.iter().filter_map(|it| it.taken_seconds).collect()
}

fn next(schedule: &Crontab, after: i64) -> Option<i64> {
    let after = MakeTimestamp::from_second(after).ok()?;
    let next = schedule.find_next(after).ok()?;
    Some(next.timestamp().as_second())
}

fn moment(seconds: i64) -> String {
    time::from_unix(seconds).0.to_string()
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
