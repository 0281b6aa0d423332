//! The objects of an etcd cluster, from what is wanted. Nothing is asked here.

use std::collections::BTreeMap;

use foreshard_api::v1alpha1::TopoServer;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, Secret, Service, ServicePort, ServiceSpec,
    VolumeResourceRequirements,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource as _;

use crate::names::{CLIENT_PORT, METRICS_PORT, PEER_PORT};
use crate::pki::{Content, Subject};
use crate::topo_server::observed::{BOOTSTRAP, CLUSTER, Claim, MEMBER};
use crate::topo_server::validate::Validated;

pub mod pod;

/// What does not depend on the members' state.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    /// For clients.
    pub service: Service,
    /// Gives each member a name.
    pub peers: Service,
    /// Keeps a majority while nodes are drained.
    pub budget: PodDisruptionBudget,
}

/// Builds what does not depend on the members' state.
#[must_use]
pub fn objects(wanted: &Validated) -> Objects {
    Objects {
        service: service(wanted),
        peers: peers(wanted),
        budget: budget(wanted),
    }
}

fn service(wanted: &Validated) -> Service {
    Service {
        metadata: owned(wanted, wanted.names.service()),
        spec: Some(ServiceSpec {
            selector: Some(wanted.names.member_selector()),
            ports: Some(vec![port("client", CLIENT_PORT)]),
            type_: Some("ClusterIP".to_owned()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn peers(wanted: &Validated) -> Service {
    Service {
        metadata: owned(wanted, wanted.names.peers()),
        spec: Some(ServiceSpec {
            selector: Some(wanted.names.member_selector()),
            cluster_ip: Some("None".to_owned()),
            // Members find each other before any of them is ready.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![
                port("client", CLIENT_PORT),
                port("peer", PEER_PORT),
                port("metrics", METRICS_PORT),
            ]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
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

/// One may go at a time. A lone member may go whenever a node is drained: nothing would keep it. Said by what stays: of
/// what may go, Kubernetes knows only for kinds with a `/scale`, and lets nothing go else.
fn budget(wanted: &Validated) -> PodDisruptionBudget {
    let stay = i32::try_from(wanted.members).unwrap_or(1) - 1;
    PodDisruptionBudget {
        metadata: owned(wanted, wanted.names.service()),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(stay)),
            selector: Some(LabelSelector {
                match_labels: Some(wanted.names.member_selector()),
                ..LabelSelector::default()
            }),
            // A member that is not ready must not hold up a drain.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

/// The volume of a member, with what stands on it. It has no owner: data outlives the object, and is taken over by name.
#[must_use]
pub fn claim(wanted: &Validated, index: u32, claim: &Claim) -> PersistentVolumeClaim {
    let mut annotations = BTreeMap::new();
    if let Some(stamp) = claim.stamp {
        annotations.insert(CLUSTER.to_owned(), stamp.cluster.to_string());
        annotations.insert(MEMBER.to_owned(), stamp.member.to_string());
    }
    if let Some(members) = claim.bootstrap {
        annotations.insert(BOOTSTRAP.to_owned(), members.to_string());
    }
    let storage = &wanted.spec.storage;
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            annotations: (!annotations.is_empty()).then_some(annotations),
            labels: Some(wanted.names.member_labels(index)),
            ..named(wanted, wanted.names.member(index))
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

/// A Secret with this content; one that outlives the object has no owner.
#[must_use]
pub fn secret(wanted: &Validated, name: String, content: &Content, outlives: bool) -> Secret {
    let metadata = if outlives {
        ObjectMeta {
            labels: Some(wanted.names.labels()),
            ..named(wanted, name)
        }
    } else {
        owned(wanted, name)
    };
    let data = content.data.iter();
    Secret {
        metadata: ObjectMeta {
            annotations: Some(content.annotations.clone()),
            ..metadata
        },
        data: Some(
            data.map(|(key, value)| (key.clone(), ByteString(value.clone().into_bytes())))
                .collect(),
        ),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// Common name of every member; peers are known by it.
pub(crate) const MEMBER_NAME: &str = "etcd-member";

/// For whom the members' certificate is. It names every member that there can ever be, so that growing needs no other.
#[must_use]
pub fn member_subject(wanted: &Validated) -> Subject {
    let names = &wanted.names;
    let (service, namespace) = (names.service(), &names.namespace);
    let members = (0..crate::names::MEMBERS_MAX).map(|index| names.host(index));
    let services = [
        service.clone(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        "localhost".to_owned(),
    ];
    Subject {
        common_name: MEMBER_NAME.to_owned(),
        serves: members.chain(services).collect(),
    }
}

/// For whom the clients' certificate is.
#[must_use]
pub fn client_subject() -> Subject {
    Subject {
        common_name: "etcd-client".to_owned(),
        serves: Vec::new(),
    }
}

fn named(wanted: &Validated, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(wanted.names.namespace.clone()),
        ..ObjectMeta::default()
    }
}

fn owned(wanted: &Validated, name: String) -> ObjectMeta {
    ObjectMeta {
        labels: Some(wanted.names.labels()),
        owner_references: Some(vec![owner(wanted)]),
        ..named(wanted, name)
    }
}

fn owner(wanted: &Validated) -> OwnerReference {
    OwnerReference {
        api_version: TopoServer::api_version(&()).into_owned(),
        kind: TopoServer::kind(&()).into_owned(),
        name: wanted.names.name.clone(),
        uid: wanted.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
