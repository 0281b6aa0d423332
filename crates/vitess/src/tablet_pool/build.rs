//! The pod and the volume of a tablet, from what is wanted. Nothing is asked here.

use std::collections::BTreeMap;

use foreshard_api::v1alpha1::compute::Resources;
use foreshard_api::v1alpha1::vitess::keyspace::{Retention, TabletTemplate};
use foreshard_api::v1alpha1::{KeyspaceShard, TabletPool, Vitess};
use foreshard_vtctld::TabletAlias;
use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, DownwardAPIVolumeSource, EnvVar, EnvVarSource, ExecAction,
    ObjectFieldSelector, PersistentVolumeClaim, PersistentVolumeClaimSpec,
    PersistentVolumeClaimVolumeSource, Pod, PodSpec, Probe, SecretKeySelector, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;

use crate::backup::store::{Access, Store};
use crate::bytes;
use crate::cluster::flags::{self, TLS};
use crate::cluster::identity::uid;
use crate::cluster::names::{GRPC_PORT, Labels, MYSQL_PORT, PoolKey, VTTABLET, WEB_PORT};
use crate::cluster::program::{USER, topology};
use crate::cluster::users::{CLONE_PASSWORD, CLONE_USER, CREDENTIALS, INIT};
use crate::cluster::wanted::Wanted;
use crate::digest;
use crate::names::INDEX;
use crate::tablet_pool::fill::{self, Fills};
use crate::workload;

/// On a pod: digest of its template.
pub(crate) const TEMPLATE: &str = "foreshard.dev/template";
/// On a pod: the lines of MySQL's configuration, which it finds as a file.
pub(crate) const MY_CNF: &str = "foreshard.dev/my-cnf";
/// Where the volume is.
pub(crate) const DATA: &str = "/vt/vtdataroot";
/// Where MySQL's and mysqlctld's sockets are, for both containers.
pub(crate) const SOCKETS: &str = "/vt/socket";
/// Where programs of Vitess are, in MySQL's container.
pub(crate) const PROGRAMS: &str = "/vt/bin";
/// Where the users of MySQL are.
pub(crate) const USERS: &str = "/etc/foreshard/mysql";
/// Where the lines of MySQL's configuration are.
pub(crate) const CONFIGURATION: &str = "/etc/foreshard/my-cnf";
/// Seconds that a tablet gets to end: vttablet first, then mysqld, which writes what is dirty.
const GRACE_SECONDS: i64 = 120;
/// Seconds that mysqld gets to be initialized or to read its log again: a large one takes minutes.
const STARTUP_SECONDS: i32 = 1800;

/// What a tablet is made from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The cluster.
    pub wanted: &'a Wanted,
    /// The shard.
    pub shard: &'a KeyspaceShard,
    /// The pool.
    pub pool: &'a TabletPool,
}

impl<'a> Source<'a> {
    /// What tells the pool apart.
    #[must_use]
    pub fn key(&self) -> PoolKey<'a> {
        key(self.pool)
    }

    /// The tablet `index` as Vitess names it.
    #[must_use]
    pub fn alias(&self, index: u32) -> TabletAlias {
        TabletAlias {
            cell: self.pool.spec.cell.clone(),
            uid: uid(&self.key(), index),
        }
    }

    /// From what a volume is still to be filled. Where nobody says any more where backups are, the primary is copied.
    #[must_use]
    pub fn fills(&self, claim: &PersistentVolumeClaim) -> Option<Fills> {
        match Fills::read(claim)? {
            Fills::Backup if self.wanted.store().is_none() => Some(Fills::Clone),
            fills => Some(fills),
        }
    }

    /// Pod and volume of the tablet `index`.
    #[must_use]
    pub fn name(&self, index: u32) -> String {
        self.wanted.names.tablet(uid(&self.key(), index))
    }

    /// By which pods and volumes of the shard are listed.
    #[must_use]
    pub fn shard_selector(&self) -> String {
        let spec = &self.pool.spec;
        let names = &self.wanted.names;
        let all = names.shard_selector(&spec.keyspace, &spec.key_range);
        let all: Vec<_> = all
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        all.join(",")
    }

    /// Labels of its pod and volume.
    #[must_use]
    pub fn labels(&self, index: u32) -> Labels {
        let names = &self.wanted.names;
        let mut labels = names.component(VTTABLET);
        labels.extend(names.pool_selector(&self.key()));
        labels.insert(INDEX.to_owned(), index.to_string());
        labels
    }
}

/// What tells a pool apart.
#[must_use]
pub fn key(pool: &TabletPool) -> PoolKey<'_> {
    PoolKey {
        keyspace: &pool.spec.keyspace,
        range: &pool.spec.key_range,
        cell: &pool.spec.cell,
        kind: pool.spec.kind,
        pool: &pool.spec.pool_name,
    }
}

/// The volume of a tablet. It has no owner unless `whenDeleted` says so: data outlives the object, and is taken over by
/// name. `fills`: from what it gets the rows that its shard has.
#[must_use]
pub fn claim(of: &Source<'_>, index: u32, fills: Option<Fills>) -> PersistentVolumeClaim {
    let storage = &of.pool.spec.template.storage;
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(of.name(index)),
            namespace: Some(of.wanted.names.namespace.clone()),
            labels: Some(of.labels(index)),
            annotations: fills.map(Fills::mark),
            owner_references: owner(of),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            storage_class_name: storage.storage_class_name.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(storage.size.clone()))].into()),
                limits: None,
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// With whom a volume goes: with the whole cluster, where the pool says so, and never with a part of it.
fn owner(of: &Source<'_>) -> Option<Vec<OwnerReference>> {
    let retention = of.pool.spec.template.persistent_volume_claim_retention;
    (retention.when_deleted == Retention::Delete).then(|| {
        vec![OwnerReference {
            api_version: Vitess::api_version(&()).into_owned(),
            kind: Vitess::kind(&()).into_owned(),
            name: of.wanted.names.name.clone(),
            uid: of.wanted.uid.clone(),
            controller: None,
            block_owner_deletion: None,
        }]
    })
}

/// A volume that is there as it is to be: with our labels, and of this size.
#[must_use]
pub fn kept_claim(
    of: &Source<'_>,
    index: u32,
    live: &PersistentVolumeClaim,
    size: String,
    fills: Option<Fills>,
) -> PersistentVolumeClaim {
    let mut claim = claim(of, index, fills);
    if let Some(spec) = &mut claim.spec {
        // One that was taken over by its name may be of another class and another mode, which stay.
        if let Some(modes) = live.spec.as_ref().and_then(|it| it.access_modes.clone()) {
            spec.access_modes = Some(modes);
        }
        if spec.storage_class_name.is_some() {
            let class = live.spec.as_ref().map(|it| &it.storage_class_name);
            spec.storage_class_name = class.cloned().flatten();
        }
        let requests = [("storage".to_owned(), Quantity(size))];
        if let Some(resources) = &mut spec.resources {
            resources.requests = Some(requests.into());
        }
    }
    claim
}

/// The pod of a tablet; `fills`: from what it gets its rows first.
#[must_use]
pub fn pod(of: &Source<'_>, index: u32, fills: Option<Fills>) -> Pod {
    let names = &of.wanted.names;
    let mut spec = template(of, index);
    let configuration = configuration(&of.pool.spec.template);
    // A spec of plain values is always JSON. That it was filled once does not make it another one.
    let template = serde_json::to_string(&spec).unwrap_or_default();
    let template = digest::short(&format!("{template}{configuration}"));
    if let Some(fills) = fills {
        gets_rows(of, index, fills, &mut spec);
    }
    let owner = workload::owner(of.pool);
    let meta = workload::meta(&owner, &names.namespace, of.name(index), of.labels(index));
    let annotations = [
        (TEMPLATE.to_owned(), template),
        (MY_CNF.to_owned(), configuration),
    ];
    Pod {
        metadata: ObjectMeta {
            annotations: Some(annotations.into()),
            ..meta
        },
        spec: Some(spec),
        status: None,
    }
}

fn template(of: &Source<'_>, index: u32) -> PodSpec {
    let (wanted, pool) = (of.wanted, &of.pool.spec);
    let images = &wanted.spec.images;
    let mut volumes = vec![
        Volume {
            name: "data".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: of.name(index),
                ..PersistentVolumeClaimVolumeSource::default()
            }),
            ..Volume::default()
        },
        workload::scratch("programs"),
        workload::scratch("sockets"),
        workload::scratch("tmp"),
        workload::secret("tls", &wanted.names.certificate(VTTABLET)),
        workload::secret("users", &wanted.names.mysql_users()),
        annotation("my-cnf", MY_CNF, "extra.cnf"),
    ];
    let mut mounts = mounts();
    topology(wanted, &mut volumes, &mut mounts);
    let mut spec = PodSpec {
        hostname: Some(of.name(index)),
        subdomain: Some(wanted.names.tablets()),
        init_containers: Some(vec![brings(wanted, "mysqlctld"), mysqld(of, index)]),
        containers: vec![vttablet(of, index, mounts)],
        restart_policy: Some("Always".to_owned()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        image_pull_secrets: workload::pull_secrets(&images.pull_secrets),
        volumes: Some(volumes),
        ..workload::restricted(USER)
    };
    let peers = wanted.names.shard_selector(&pool.keyspace, &pool.key_range);
    let zone = wanted.zone(&pool.cell);
    workload::place(&mut spec, &pool.template.placement, zone, &peers);
    spec
}

/// What every program that reaches mysqld's data finds.
pub(crate) fn mounts() -> Vec<VolumeMount> {
    vec![
        workload::mount("data", DATA),
        workload::mount("sockets", SOCKETS),
        workload::mount("tmp", "/tmp"),
        workload::read_only("tls", TLS),
        workload::read_only("users", USERS),
    ]
}

/// Brings a program of Vitess into MySQL's container: its image has MySQL alone.
pub(crate) fn brings(wanted: &Wanted, program: &str) -> Container {
    let policy = wanted.spec.images.pull_policy.name();
    Container {
        command: Some(vec!["cp".to_owned()]),
        args: Some(vec![
            format!("/vt/bin/{program}"),
            format!("/programs/{program}"),
        ]),
        volume_mounts: Some(vec![workload::mount("programs", "/programs")]),
        ..workload::confined("programs", &wanted.vitess_image(), policy)
    }
}

/// What whoever starts mysqld is told by its environment.
pub(crate) fn mysqld_environment() -> Vec<EnvVar> {
    environment([
        ("VTROOT", "/vt"),
        ("VTDATAROOT", DATA),
        ("VT_MYSQL_ROOT", "/usr"),
        ("EXTRA_MY_CNF", &format!("{CONFIGURATION}/extra.cnf")),
        // Fewer arenas: a third less memory.
        ("MALLOC_ARENA_MAX", "2"),
        ("HOME", "/tmp"),
    ])
}

/// mysqld below mysqlctld, as a sidecar: it starts before vttablet and ends after it.
fn mysqld(of: &Source<'_>, index: u32) -> Container {
    let template = &of.pool.spec.template;
    let images = &of.wanted.spec.images;
    let uid = uid(&of.key(), index);
    let args = vec![
        "--config-file-not-found-handling=ignore".to_owned(),
        "--log-format=json".to_owned(),
        format!("--tablet-uid={uid}"),
        format!("--mysql-port={MYSQL_PORT}"),
        format!("--mysql-socket={SOCKETS}/mysql.sock"),
        format!("--socket-file={SOCKETS}/mysqlctl.sock"),
        "--db-dba-user=vt_dba".to_owned(),
        format!("--db-credentials-file={USERS}/{CREDENTIALS}"),
        format!("--init-db-sql-file={USERS}/{INIT}"),
        format!("--wait-time={STARTUP_SECONDS}s"),
        // Its pages are for nobody.
        "--bind-address=127.0.0.1".to_owned(),
    ];
    // mysqlctld's socket is there once mysqld is initialized and runs; one of an earlier start says nothing by itself.
    let is_up = format!(
        "test -S {SOCKETS}/mysqlctl.sock && mysqladmin --no-defaults --socket={SOCKETS}/mysql.sock --user=nobody ping"
    );
    // A restore has it down for as long as files are copied.
    let restores = format!("test -e {}/{RESTORES} || {is_up}", folder(uid));
    let asks = |period_seconds: i32, failures: i32, what: &str| Probe {
        exec: Some(ExecAction {
            command: Some(vec!["sh".to_owned(), "-c".to_owned(), what.to_owned()]),
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    };
    Container {
        command: Some(vec![format!("{PROGRAMS}/mysqlctld")]),
        args: Some(args),
        env: Some(mysqld_environment()),
        ports: Some(vec![workload::port("mysql", MYSQL_PORT)]),
        resources: Some(workload::requirements(&template.mysqld)),
        restart_policy: Some("Always".to_owned()),
        startup_probe: Some(asks(1, STARTUP_SECONDS, &is_up)),
        liveness_probe: Some(asks(10, 6, &restores)),
        volume_mounts: Some(vec![
            workload::mount("data", DATA),
            workload::mount("sockets", SOCKETS),
            workload::mount("tmp", "/tmp"),
            workload::read_only("programs", PROGRAMS),
            workload::read_only("users", USERS),
            workload::read_only("my-cnf", CONFIGURATION),
        ]),
        ..workload::confined("mysqld", &images.mysqld, images.pull_policy.name())
    }
}

fn vttablet(of: &Source<'_>, index: u32, mounts: Vec<VolumeMount>) -> Container {
    let (wanted, pool) = (of.wanted, &of.pool.spec);
    let (uid, kind) = (uid(&of.key(), index), pool.kind.vitess_name());
    let own = vec![
        "--service-map=grpc-queryservice,grpc-tabletmanager,grpc-updatestream".to_owned(),
        format!("--tablet-path={}-{uid:010}", pool.cell),
        format!("--tablet-hostname={}", wanted.names.tablet_host(uid)),
        format!("--init-keyspace={}", pool.keyspace),
        format!("--init-shard={}", pool.key_range),
        format!("--init-tablet-type={kind}"),
        format!("--init-db-name-override={}", of.shard.spec.database_name),
        format!("--mysqlctl-socket={SOCKETS}/mysqlctl.sock"),
        format!("{SOCKET}{SOCKETS}/mysql.sock"),
        format!("--db-credentials-file={USERS}/{CREDENTIALS}"),
        // Between tablets as well: replicas log in to their primary with a password.
        "--db-ssl-mode=required".to_owned(),
        "--health-check-interval=5s".to_owned(),
        "--heartbeat-on-demand-duration=5s".to_owned(),
        "--enable-replication-reporter".to_owned(),
        "--shutdown-grace-period=3s".to_owned(),
    ];
    let args = [
        flags::common(),
        flags::topology(wanted),
        flags::serves_grpc(),
        flags::manages_tablets(),
        flags::asks_tablets(),
        own,
    ];
    let policy = wanted.spec.images.pull_policy.name();
    Container {
        command: Some(vec!["/vt/bin/vttablet".to_owned()]),
        args: Some(args.concat()),
        env: Some(environment([
            ("VTROOT", "/vt"),
            ("VTDATAROOT", DATA),
            ("HOME", "/tmp"),
        ])),
        ports: Some(vec![
            workload::port("web", WEB_PORT),
            workload::port("grpc", GRPC_PORT),
        ]),
        resources: Some(workload::requirements(&pool.template.vttablet)),
        startup_probe: Some(workload::probe("/debug/liveness", "web", 1, 300)),
        liveness_probe: Some(workload::probe("/debug/liveness", "web", 10, 6)),
        // Healthy is what serves: a tablet of a shard without a primary is not ready.
        readiness_probe: Some(workload::probe("/healthz", "web", 2, 3)),
        volume_mounts: Some(mounts),
        ..workload::confined("vttablet", &wanted.vitess_image(), policy)
    }
}

/// A file in a tablet's folder while files of a backup are copied there (`RestoreState` in Vitess's `mysqlctl`).
const RESTORES: &str = "restore_in_progress";

/// A tablet's folder, as Vitess names it.
fn folder(uid: u32) -> String {
    format!("{DATA}/vt_{uid:010}")
}

/// By which vttablet restores the newest backup where mysqld has no tables yet.
const RESTORE: &str = "--restore-from-backup";

/// By which vttablet copies a tablet where mysqld has no tables yet (`vttablet --help`, and the release notes of 24.0.0).
const CLONES: &str = "--restore-with-clone";

/// How vttablet is told where mysqld is.
const SOCKET: &str = "--db-socket=";

/// Whether a pod gets its rows before it serves.
#[must_use]
pub fn copies(pod: &Pod) -> bool {
    restores(pod) || args(pod).any(|it| it == CLONES)
}

/// Whether a pod gets its rows from a backup.
#[must_use]
pub fn restores(pod: &Pod) -> bool {
    args(pod).any(|it| it == RESTORE)
}

fn args(pod: &Pod) -> impl Iterator<Item = &String> {
    let spec = pod.spec.as_ref();
    let containers = spec.into_iter().flat_map(|it| &it.containers);
    containers.flat_map(|it| it.args.iter().flatten())
}

/// Has a tablet get its rows before it serves.
fn gets_rows(of: &Source<'_>, index: u32, fills: Fills, spec: &mut PodSpec) {
    match fills {
        Fills::Clone => clones(of.wanted, spec),
        Fills::Backup => restore(spec, of.wanted.store(), None),
        Fills::Restore => {
            let from = of.shard.spec.restore_from.as_ref();
            let store = from.and_then(|it| of.wanted.store_of(&it.path));
            restore(spec, store, Some(fill::taken_before(of.shard)));
        }
    }
    // What a restore left that was broken off opens in no mysqld: it begins with nothing once more.
    let mysqld = spec.init_containers.iter_mut().flatten();
    for container in mysqld.filter(|it| it.name == "mysqld") {
        let folder = folder(uid(&of.key(), index));
        let begin = format!(
            "if test -e {folder}/{RESTORES}; then rm -rf {folder}; fi; exec {PROGRAMS}/mysqlctld \"$@\""
        );
        let command = ["sh", "-c", &begin, "mysqlctld"];
        container.command = Some(command.map(str::to_owned).into());
    }
}

/// Has vttablet restore a backup.
fn restore(spec: &mut PodSpec, store: Option<Store<'_>>, taken_before: Option<String>) {
    let Some(store) = store else {
        return;
    };
    if let Some(vttablet) = spec.containers.first_mut() {
        let args = vttablet.args.get_or_insert_default();
        // It restores only by mysqld's own configuration, which names the socket as well, and reads that unless told otherwise.
        args.retain(|it| !it.starts_with(SOCKET));
        args.push(RESTORE.to_owned());
        // Without a backup it would serve nothing at all as if that were all there is.
        args.push("--wait-for-backup-interval=10s".to_owned());
        args.extend(taken_before.map(|it| format!("--restore-from-backup-ts={it}")));
    }
    store.attach(spec, VTTABLET, Access::Reads);
}

/// By which a program copies the primary by MySQL's CLONE, but for the password: Vitess takes that as a flag only.
pub(crate) fn clone_flags() -> [String; 6] {
    [
        "--mysql-clone-enabled".to_owned(),
        CLONES.to_owned(),
        "--clone-from-primary".to_owned(),
        format!("--db-clone-user={CLONE_USER}"),
        "--db-clone-use-ssl".to_owned(),
        // mysqld starts again on what it copied.
        format!("--clone-restart-wait-timeout={STARTUP_SECONDS}s"),
    ]
}

/// Has the pod's program copy the primary.
fn clones(wanted: &Wanted, spec: &mut PodSpec) {
    let Some(vttablet) = spec.containers.first_mut() else {
        return;
    };
    let args = vttablet.args.get_or_insert_default();
    // It restores only by mysqld's own configuration, which names the socket as well, and reads that unless told otherwise.
    args.retain(|it| !it.starts_with(SOCKET));
    args.extend(clone_flags());
    args.push("--db-clone-password=$(CLONE_PASSWORD)".to_owned());
    vttablet.env.get_or_insert_default().push(EnvVar {
        name: "CLONE_PASSWORD".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: wanted.names.mysql_users(),
                key: CLONE_PASSWORD.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    });
}

/// What makes a tablet one to be copied, lines that follow from memory, and then the user's, which count more.
pub(crate) fn configuration(template: &TabletTemplate) -> String {
    let mut lines = vec![
        "plugin-load-add = mysql_clone.so".to_owned(),
        // CLONE copies their tables without rows, and without a word.
        "disabled_storage_engines = MyISAM,BLACKHOLE,FEDERATED,ARCHIVE,MEMORY".to_owned(),
    ];
    if let Some(mebibytes) = buffer_pool_mebibytes(&template.mysqld) {
        lines.push(format!("innodb_buffer_pool_size = {mebibytes}M"));
    }
    lines.extend(template.mysqld_config.clone());
    format!("{}\n", lines.join("\n"))
}

/// Half of what MySQL may use, a quarter where that is little: the rest of it takes half a GiB by itself.
fn buffer_pool_mebibytes(resources: &Resources) -> Option<u64> {
    let limits = resources.limits.as_ref().or(resources.requests.as_ref())?;
    let mebibytes = bytes::parse(limits.memory.as_deref()?)? >> 20;
    let share = if mebibytes < 4096 { 4 } else { 2 };
    Some((mebibytes / share).max(32))
}

/// An annotation as a file.
pub(crate) fn annotation(volume: &str, key: &str, file: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        downward_api: Some(DownwardAPIVolumeSource {
            items: Some(vec![DownwardAPIVolumeFile {
                path: file.to_owned(),
                field_ref: Some(ObjectFieldSelector {
                    field_path: format!("metadata.annotations['{key}']"),
                    api_version: None,
                }),
                ..DownwardAPIVolumeFile::default()
            }]),
            default_mode: Some(0o440),
        }),
        ..Volume::default()
    }
}

fn environment<const N: usize>(all: [(&str, &str); N]) -> Vec<EnvVar> {
    let all: BTreeMap<&str, &str> = all.into();
    all.into_iter()
        .map(|(name, value)| EnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::compute::Amounts;

    use super::*;

    #[test]
    fn the_buffer_pool_follows_from_memory() {
        let of = |memory: &str| {
            buffer_pool_mebibytes(&Resources {
                limits: Some(Amounts {
                    cpu: None,
                    memory: Some(memory.to_owned()),
                }),
                requests: None,
            })
        };
        assert_eq!(of("1Gi"), Some(256));
        assert_eq!(of("8Gi"), Some(4096));
        assert_eq!(of("64Mi"), Some(32));
        assert_eq!(buffer_pool_mebibytes(&Resources::default()), None);
    }
}
