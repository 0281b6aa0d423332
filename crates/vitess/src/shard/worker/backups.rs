//! Has backups of the shard be made when they are due.

use std::sync::Arc;
use std::time::Duration;

use foreshard_api::condition::{Finding, kind};
use foreshard_api::time;
use foreshard_api::v1alpha1::{KeyspaceShard, SecretKeyRef};
use foreshard_controller::call::{in_time, unix_now};
use foreshard_controller::error::{chain, refusal};
use foreshard_vtctld::Client;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::Api;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use crate::apply::trouble;
use crate::backup::job::Source;
use crate::backup::schedule::{self, Begins, JobSeen, Seen};
use crate::backup::words::are_alike;
use crate::cluster::wanted::Wanted;
use crate::shard::status::Told;
use crate::shared::Shared;

/// Between two looks at which backups there are, while none was finished.
const LIST_EVERY: Duration = Duration::from_secs(300);
/// The same after they could not be listed.
const LIST_AGAIN: Duration = Duration::from_secs(20);

/// What a worker remembers of backups.
#[derive(Default)]
pub(super) struct Listed {
    known: Option<(Instant, Result<Vec<i64>, String>)>,
    /// The last one that was finished as they were listed.
    finished: Option<i64>,
    /// Why vtctld did not list them, in its first words of the kind. Those of stores differ each time, and would be written
    /// each time.
    words: Option<String>,
}

/// Makes the Job that is due, and tells of those that were.
pub(super) async fn pass(
    shared: &Shared,
    wanted: &Wanted,
    shard: &KeyspaceShard,
    (vtctld, memory): (&Client, &mut Listed),
    told: &mut Told,
) -> Result<(), Finding> {
    let Some(backups) = &wanted.spec.backups else {
        return Ok(());
    };
    let of = Source {
        wanted,
        shard,
        backups,
    };
    let status = shard.status.as_ref();
    let made = shard.metadata.creation_timestamp.as_ref();
    let mut seen = Seen {
        now: unix_now(),
        shard_made: made.map_or_else(unix_now, time::unix),
        last: status
            .and_then(|it| it.last_backup_time.as_ref())
            .map(time::unix),
        primary_made: primary_made(shared, wanted, told),
        listed: None,
        jobs: jobs(shared, &of)
            .iter()
            .map(|it| JobSeen::read(it))
            .collect(),
    };
    seen.listed = Some(memory.list((shared, &of), vtctld, seen.finished()).await);
    told.last_backup = seen.finished();
    let schedule = backups.schedule.as_deref().map(schedule::parse).transpose();
    told.backups = Some(match &schedule {
        Ok(schedule) => seen.finding(schedule.as_ref()),
        Err(wrong) => {
            let said = format!("spec.backups.schedule {wrong}. No backup but the first is made.");
            Finding::no(kind::BACKUPS_HEALTHY, "InvalidSchedule", said)
        }
    });
    let has_rows = status.is_some_and(|it| it.initialized == Some(true));
    let has_primary = told.record.as_ref().is_some_and(|it| it.primary.is_some());
    // Where they cannot be listed none can be made.
    let is_reached = matches!(seen.listed, Some(Ok(_)));
    if !(has_rows && has_primary && is_reached) {
        return Ok(());
    }
    let Some(due) = seen.due(schedule.ok().flatten().as_ref()) else {
        return Ok(());
    };
    let begins = seen.begins();
    let job = of.job(due, begins);
    let written = shared.writers.shard.apply(&job, None).await;
    written.map_err(|error| trouble(&error))?;
    let from = match begins {
        Begins::Backup => "the newest backup",
        Begins::Clone => "a copy of the primary",
    };
    let said = format!("Job {} makes a backup, from {from}.", job.name_any());
    shared
        .tell(shard, EventType::Normal, "BackupStarts", said)
        .await;
    Ok(())
}

fn jobs(shared: &Shared, of: &Source<'_>) -> Vec<Arc<Job>> {
    let labels = of.labels();
    let all = shared.jobs.in_namespace(&of.wanted.names.namespace);
    let is_of = |job: &Job| {
        let mut labels = labels.iter();
        let owners = job.owner_references();
        // Not those of an earlier shard of the same name.
        owners
            .iter()
            .any(|it| Some(&it.uid) == of.shard.uid().as_ref())
            && labels.all(|(key, value)| job.labels().get(key) == Some(value))
    };
    all.into_iter().filter(|it| is_of(it)).collect()
}

/// What is not there of what the location names: without a volume vtctld's next pod does not start, and without credentials
/// it asks the node for some, and waits for them.
async fn missing(of: &Source<'_>, shared: &Shared) -> Option<String> {
    let location = &of.backups.location;
    let namespace = &of.wanted.names.namespace;
    if let Some(volume) = &location.volume {
        let name = &volume.claim_name;
        let api: Api<PersistentVolumeClaim> = Api::namespaced(shared.client.clone(), namespace);
        return match in_time(api.get_opt(name)).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!(
                "PersistentVolumeClaim {name}, which spec.backups.location names, is not there: make it."
            )),
            Err(error) => Some(format!(
                "PersistentVolumeClaim {name}: {}",
                refusal(&error).1
            )),
        };
    }
    let SecretKeyRef { name, key } = location.s3.as_ref()?.credentials.as_ref()?;
    match shared.secret(namespace, name).await {
        Ok(Some(secret)) if secret.data.iter().flatten().any(|(it, _)| it == key) => None,
        Ok(Some(_)) => Some(format!(
            "Secret {name} has no key {key}, which spec.backups.location.s3.credentials names: add it, or name another one."
        )),
        Ok(None) => Some(format!(
            "Secret {name}, which spec.backups.location.s3.credentials names, is not there: make it."
        )),
        Err(said) => Some(said),
    }
}

/// When the primary's volume was made.
fn primary_made(shared: &Shared, wanted: &Wanted, told: &Told) -> Option<i64> {
    let primary = told.record.as_ref()?.primary.as_ref()?;
    let name = wanted.names.tablet(primary.uid);
    let claim = shared.claims.get(&wanted.names.namespace, &name)?;
    claim.metadata.creation_timestamp.as_ref().map(time::unix)
}

impl Listed {
    /// When the shard's backups were taken, as vtctld says; asked again now and then, and once one is finished.
    async fn list(
        &mut self,
        (shared, of): (&Shared, &Source<'_>),
        vtctld: &Client,
        finished: Option<i64>,
    ) -> Result<Vec<i64>, String> {
        let shard = of.shard;
        if let Some((since, known)) = &self.known {
            let every = if known.is_ok() {
                LIST_EVERY
            } else {
                LIST_AGAIN
            };
            if since.elapsed() < every && self.finished == finished {
                return known.clone();
            }
        }
        let (keyspace, range) = (&shard.spec.keyspace, shard.spec.key_range.to_string());
        let listed = match missing(of, shared).await {
            Some(missing) => Err((None, missing)),
            None => vtctld.backups(keyspace, &range).await.map_err(|error| {
                let said = chain(&error);
                let first = self.words.take();
                let first = first.filter(|it| are_alike(it, &said)).unwrap_or(said);
                (Some(first.clone()), first)
            }),
        };
        self.finished = finished;
        let (words, listed) = match listed {
            Ok(listed) => (None, Ok(schedule::taken(&listed))),
            Err((words, why)) => (words, Err(why)),
        };
        self.words = words;
        self.known = Some((Instant::now(), listed.clone()));
        listed
    }
}

/// Why there is nothing to be told: the cluster cannot be built.
pub(super) fn unbuilt(why: &str) -> Finding {
    let said = format!("What is wanted of backups cannot be read: {why}");
    Finding::no(kind::BACKUPS_HEALTHY, "InvalidSpec", said)
}
