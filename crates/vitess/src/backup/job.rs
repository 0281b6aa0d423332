//! The Job that makes a backup, from what is wanted. Nothing is asked here.

use foreshard_api::v1alpha1::KeyspaceShard;
use foreshard_api::v1alpha1::vitess::backup::Backups;
use foreshard_api::v1alpha1::vitess::keyspace::TabletTemplate;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Container, EphemeralVolumeSource, PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate,
    PodSpec, PodTemplateSpec, Volume, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::backup::schedule::{BEGINS, Begins, DUE};
use crate::backup::store::Access;
use crate::bytes;
use crate::cluster::flags;
use crate::cluster::names::{KEYSPACE, Labels, MYSQL_PORT, SHARD, VTBACKUP, VTTABLET, WEB_PORT};
use crate::cluster::program::{USER, topology};
use crate::cluster::users::{CLONE_PASSWORD, CREDENTIALS, INIT};
use crate::cluster::wanted::Wanted;
use crate::digest;
use crate::tablet_pool::build::{self as tablet, MY_CNF, PROGRAMS, SOCKETS, USERS};
use crate::workload;

/// Seconds that a Job stays once it is over, with its pod's log and volume.
const KEEP_SECONDS: i32 = 7200;
/// Seconds that mysqld may take to be initialized, and to end.
const MYSQLD_SECONDS: i32 = 1800;

/// What a Job is made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The cluster.
    pub wanted: &'a Wanted,
    /// The shard.
    pub shard: &'a KeyspaceShard,
    /// What is said of backups.
    pub backups: &'a Backups,
}

impl Source<'_> {
    /// The Job for a moment, in Unix seconds. The same one has the same name.
    #[must_use]
    pub fn name(&self, due: i64) -> String {
        let spec = &self.shard.spec;
        let of = format!("{}/{}@{due}", spec.keyspace, spec.key_range);
        let digest: String = digest::short(&of).chars().take(10).collect();
        format!("{}-backup-{digest}", self.wanted.names.name)
    }

    /// Labels of the shard's Jobs and their pods.
    #[must_use]
    pub fn labels(&self) -> Labels {
        let mut labels = self.wanted.names.component(VTBACKUP);
        let spec = &self.shard.spec;
        labels.insert(KEYSPACE.to_owned(), spec.keyspace.clone());
        labels.insert(SHARD.to_owned(), spec.key_range.label());
        labels
    }

    /// The Job that makes the backup of this moment.
    #[must_use]
    pub fn job(&self, due: i64, begins: Begins) -> Job {
        let owner = workload::owner(self.shard);
        let namespace = &self.wanted.names.namespace;
        let meta = workload::meta(&owner, namespace, self.name(due), self.labels());
        let annotations = [
            (BEGINS.to_owned(), format!("{begins:?}")),
            (DUE.to_owned(), due.to_string()),
        ];
        let my_cnf = (MY_CNF.to_owned(), tablet::configuration(self.template()));
        Job {
            metadata: ObjectMeta {
                annotations: Some(annotations.into()),
                ..meta
            },
            spec: Some(JobSpec {
                // Each try costs as much as a backup: the next one comes later, and as another Job.
                backoff_limit: Some(0),
                active_deadline_seconds: Some(self.backups.timeout_seconds.into()),
                ttl_seconds_after_finished: Some(KEEP_SECONDS),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(self.labels()),
                        annotations: Some([my_cnf].into()),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.pod(begins)),
                },
                ..JobSpec::default()
            }),
            status: None,
        }
    }

    /// That of the pool with the largest volumes: all tablets have the same rows.
    fn template(&self) -> &TabletTemplate {
        let pools = &self.shard.spec.tablet_pools;
        let size = |it: &TabletTemplate| bytes::parse(&it.storage.size).unwrap_or_default();
        let templates = pools.iter().map(|it| &it.tablet);
        // A shard has pools: its definition says so.
        templates
            .max_by_key(|it| size(it))
            .unwrap_or(&pools[0].tablet)
    }

    fn pod(&self, begins: Begins) -> PodSpec {
        let (wanted, template) = (self.wanted, self.template());
        let images = &wanted.spec.images;
        let names = &wanted.names;
        let mut volumes = vec![
            self.data(),
            workload::scratch("programs"),
            workload::scratch("sockets"),
            workload::scratch("tmp"),
            workload::secret("tls", &names.certificate(VTTABLET)),
            workload::secret("users", &names.mysql_users()),
            tablet::annotation("my-cnf", MY_CNF, "extra.cnf"),
        ];
        let mut mounts = tablet::mounts();
        mounts.push(workload::read_only("programs", PROGRAMS));
        mounts.push(workload::read_only("my-cnf", tablet::CONFIGURATION));
        topology(wanted, &mut volumes, &mut mounts);
        let container = Container {
            command: Some(vec![format!("{PROGRAMS}/vtbackup")]),
            args: Some(self.args()),
            env: Some(tablet::mysqld_environment()),
            ports: Some(vec![workload::port("web", WEB_PORT)]),
            resources: Some(workload::requirements(&template.mysqld)),
            volume_mounts: Some(mounts),
            ..workload::confined(VTBACKUP, &images.mysqld, images.pull_policy.name())
        };
        let mut pod = PodSpec {
            init_containers: Some(vec![tablet::brings(wanted, VTBACKUP)]),
            containers: vec![container],
            restart_policy: Some("Never".to_owned()),
            image_pull_secrets: workload::pull_secrets(&images.pull_secrets),
            volumes: Some(volumes),
            ..workload::restricted(USER)
        };
        workload::place(&mut pod, &template.placement, None, &self.labels());
        if begins == Begins::Clone {
            copies(&mut pod.containers[0]);
        }
        if let Some(store) = wanted.store() {
            store.attach(&mut pod, VTBACKUP, Access::Writes);
        }
        pod
    }

    fn args(&self) -> Vec<String> {
        let spec = &self.shard.spec;
        let retention = self.backups.retention;
        let own = vec![
            format!("--init-keyspace={}", spec.keyspace),
            format!("--init-shard={}", spec.key_range),
            format!("--init-db-name-override={}", spec.database_name),
            format!("--init-db-sql-file={USERS}/{INIT}"),
            format!("--db-credentials-file={USERS}/{CREDENTIALS}"),
            "--db-ssl-mode=required".to_owned(),
            format!("--mysql-port={MYSQL_PORT}"),
            format!("--mysql-socket={SOCKETS}/mysql.sock"),
            format!("--mysql-timeout={MYSQLD_SECONDS}s"),
            format!("--mysql-shutdown-timeout={MYSQLD_SECONDS}s"),
            format!("--min-retention-count={}", retention.count),
            format!("--min-retention-time={}h", i64::from(retention.days) * 24),
        ];
        let all = [
            flags::common(),
            flags::topology(self.wanted),
            flags::manages_tablets(),
            own,
        ];
        all.concat()
    }

    /// As large as a tablet's, new for each pod, and gone with it.
    fn data(&self) -> Volume {
        let storage = &self.template().storage;
        let size = Quantity(storage.size.clone());
        Volume {
            name: "data".to_owned(),
            ephemeral: Some(EphemeralVolumeSource {
                volume_claim_template: Some(PersistentVolumeClaimTemplate {
                    metadata: None,
                    spec: PersistentVolumeClaimSpec {
                        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                        storage_class_name: storage.storage_class_name.clone(),
                        resources: Some(VolumeResourceRequirements {
                            requests: Some([("storage".to_owned(), size)].into()),
                            limits: None,
                        }),
                        ..PersistentVolumeClaimSpec::default()
                    },
                }),
            }),
            ..Volume::default()
        }
    }
}

/// Has vtbackup copy the primary. It logs the environment that it starts mysqld with, so the password is not in there.
fn copies(vtbackup: &mut Container) {
    let start = format!(
        "read -r password < {USERS}/{CLONE_PASSWORD}; exec {PROGRAMS}/vtbackup --db-clone-password=\"$password\" \"$@\""
    );
    let words = ["/bin/sh", "-c", &start, VTBACKUP];
    vtbackup.command = Some(words.map(str::to_owned).into());
    let args = vtbackup.args.get_or_insert_default();
    args.extend(tablet::clone_flags());
    // Else it wants a backup to be there, which it does not read.
    args.push("--allow-first-backup".to_owned());
}
