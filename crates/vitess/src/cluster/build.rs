//! The objects of a whole cluster, from what is wanted. Nothing is asked here.

use foreshard_api::v1alpha1::key_range::KeyRange;
use foreshard_api::v1alpha1::topo_server::TopoServerSpec;
use foreshard_api::v1alpha1::vitess::Cell;
use foreshard_api::v1alpha1::vitess::keyspace::{Keyspace, Sharding};
use foreshard_api::v1alpha1::{
    KeyspaceShard, KeyspaceShardSpec, TopoServer, VTGatePool, VTGatePoolSpec,
};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::flags;
use crate::cluster::names::{
    CELL, GRPC_PORT, KEYSPACE, MYSQL_PORT, SHARD, VTADMIN, VTCTLD, VTGATE, VTORC, VTTABLET,
};
use crate::cluster::program::Program;
use crate::cluster::reach::CLIENT;
use crate::cluster::wanted::Wanted;
use crate::pki::Subject;
use crate::workload;

/// The TopoServer of the cluster's name; none where the topology is elsewhere.
#[must_use]
pub fn topo_server(wanted: &Wanted, owner: &OwnerReference) -> Option<TopoServer> {
    let etcd = wanted.spec.topology.etcd.as_ref()?;
    let images = &wanted.spec.images;
    let names = &wanted.names;
    let spec = TopoServerSpec {
        members: etcd.members,
        image: images.etcd.clone(),
        image_pull_policy: images.pull_policy,
        image_pull_secrets: images.pull_secrets.clone(),
        resources: etcd.resources.clone(),
        storage: etcd.storage.clone(),
        quota_mebibytes: etcd.quota_mebibytes,
        placement: etcd.placement.clone(),
    };
    let mut object = TopoServer::new(&names.name, spec);
    object.metadata = workload::meta(owner, &names.namespace, names.name.clone(), names.labels());
    Some(object)
}

/// Services of vtctld, of tablets, and in front of the gateways.
#[must_use]
pub fn services(wanted: &Wanted, owner: &OwnerReference) -> Vec<Service> {
    let service = |name: String, component: &str, ports: Vec<ServicePort>| {
        let labels = wanted.names.component(component);
        Service {
            metadata: workload::meta(owner, &wanted.names.namespace, name, labels),
            spec: Some(ServiceSpec {
                selector: Some(wanted.names.selector(component)),
                type_: Some("ClusterIP".to_owned()),
                ports: Some(ports),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    };
    let grpc = || port("grpc", GRPC_PORT);
    let mysql = || port("mysql", MYSQL_PORT);
    let mut tablets = service(wanted.names.tablets(), VTTABLET, vec![grpc(), mysql()]);
    if let Some(spec) = &mut tablets.spec {
        spec.cluster_ip = Some("None".to_owned());
        // A tablet is not ready before its shard has a primary, and none is elected among tablets without names.
        spec.publish_not_ready_addresses = Some(true);
    }
    vec![
        service(wanted.names.vtctld(), VTCTLD, vec![grpc()]),
        tablets,
        service(wanted.names.gateway(), VTGATE, vec![mysql(), grpc()]),
    ]
}

fn port(name: &str, port: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    }
}

/// vtctld.
pub(crate) fn vtctld(wanted: &Wanted) -> Program<'_> {
    let component = &wanted.spec.vtctld;
    // It belongs to no cell; which one it says only matters for its own record.
    let cell = wanted.spec.cells.first().map_or("", |it| &it.name);
    let args = [
        flags::common(),
        flags::topology(wanted),
        flags::serves_grpc(),
        flags::manages_tablets(),
        flags::asks_tablets(),
        vec![
            "--service-map=grpc-vtctld".to_owned(),
            format!("--cell={cell}"),
        ],
    ];
    Program {
        program: VTCTLD,
        name: wanted.names.vtctld(),
        selector: wanted.names.selector(VTCTLD),
        labels: [].into(),
        args: args.concat(),
        ports: vec![workload::port("grpc", GRPC_PORT)],
        replicas: component.replicas,
        resources: &component.resources,
        placement: &component.placement,
        zone: None,
        secrets: Vec::new(),
        store: wanted.store(),
        grace_seconds: 15,
    }
}

/// The vtorc of a keyspace, which elects primaries and replaces those that die.
pub(crate) fn vtorc<'a>(wanted: &'a Wanted, keyspace: &Keyspace) -> Program<'a> {
    let component = &wanted.spec.vtorc;
    let cell = wanted.spec.cells.first().map_or("", |it| &it.name);
    let args = [
        flags::common(),
        flags::topology(wanted),
        flags::manages_tablets(),
        vec![
            format!("--cell={cell}"),
            format!("--clusters-to-watch={}", keyspace.name),
            // A dead primary is seen after one to two of these.
            "--instance-poll-time=1s".to_owned(),
            "--recovery-poll-duration=1s".to_owned(),
            // New tablets are known after this.
            "--topo-information-refresh-duration=5s".to_owned(),
        ],
    ];
    let mut selector = wanted.names.selector(VTORC);
    selector.insert(KEYSPACE.to_owned(), keyspace.name.clone());
    Program {
        program: VTORC,
        name: wanted.names.vtorc(&keyspace.name),
        selector,
        labels: [(KEYSPACE.to_owned(), keyspace.name.clone())].into(),
        args: args.concat(),
        ports: Vec::new(),
        replicas: component.replicas,
        resources: &component.resources,
        placement: &component.placement,
        zone: None,
        secrets: Vec::new(),
        store: None,
        grace_seconds: 30,
    }
}

/// Ranges that a keyspace begins with.
#[must_use]
pub fn first_ranges(keyspace: &Keyspace) -> Vec<KeyRange> {
    let whole = || vec![KeyRange::default()];
    keyspace
        .sharding
        .as_ref()
        .map_or_else(whole, Sharding::ranges)
}

/// The shard of a range, as its keyspace says.
#[must_use]
pub fn shard(
    wanted: &Wanted,
    keyspace: &Keyspace,
    range: &KeyRange,
    owner: &OwnerReference,
) -> KeyspaceShard {
    let names = &wanted.names;
    let spec = KeyspaceShardSpec {
        vitess_name: names.name.clone(),
        keyspace: keyspace.name.clone(),
        key_range: range.clone(),
        durability: keyspace.durability,
        tablet_pools: keyspace.tablet_pools.clone(),
        turndown_policy: keyspace.turndown_policy,
        database_name: Wanted::database(keyspace),
        restore_from: keyspace.restore_from.clone(),
    };
    let name = names.shard(&keyspace.name, range);
    let mut labels = names.labels();
    labels.insert(KEYSPACE.to_owned(), keyspace.name.clone());
    labels.insert(SHARD.to_owned(), range.label());
    let mut object = KeyspaceShard::new(&name, spec);
    object.metadata = workload::meta(owner, &names.namespace, name, labels);
    object
}

/// The pool of a cell's gateways, without its replicas.
#[must_use]
pub fn gate_pool(wanted: &Wanted, cell: &Cell, owner: &OwnerReference) -> VTGatePool {
    let names = &wanted.names;
    let spec = VTGatePoolSpec {
        vitess_name: names.name.clone(),
        cell: cell.name.clone(),
        replicas: None,
        template: cell.vtgate.gateway.clone(),
    };
    let name = names.gate_pool(&cell.name);
    let mut labels = names.labels();
    labels.insert(CELL.to_owned(), cell.name.clone());
    let mut object = VTGatePool::new(&name, spec);
    object.metadata = workload::meta(owner, &names.namespace, name, labels);
    object
}

/// For whom certificates are: by program, and one for us.
#[must_use]
pub fn subjects(wanted: &Wanted) -> Vec<(String, Subject)> {
    let names = &wanted.names;
    let service = |service: String| {
        let namespace = &names.namespace;
        vec![
            names.host(&service),
            format!("{service}.{namespace}"),
            service,
        ]
    };
    let tablets = vec![format!("*.{}", names.host(&names.tablets()))];
    let all = [
        (VTCTLD, service(names.vtctld())),
        (VTTABLET, tablets),
        (VTGATE, service(names.gateway())),
        (VTORC, Vec::new()),
        (CLIENT, Vec::new()),
    ];
    let subject = |(of, serves): (&str, Vec<String>)| {
        let subject = Subject {
            common_name: of.to_owned(),
            serves,
        };
        (names.certificate(of), subject)
    };
    let page = wanted
        .spec
        .vtadmin
        .is_some()
        .then_some((VTADMIN, Vec::new()));
    all.into_iter().chain(page).map(subject).collect()
}
