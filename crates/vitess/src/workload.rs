//! What pods of all kinds are made of.

use std::collections::BTreeMap;

use foreshard_api::v1alpha1::compute::{Amounts, Placement, Resources};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction,
    LocalObjectReference, PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile,
    SecretVolumeSource, SecurityContext, Toleration, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt as _};

/// That an object goes with its owner.
pub(crate) fn owner<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.name_any(),
        uid: owner.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Name and labels of an object that goes with its owner.
pub(crate) fn meta(
    owner: &OwnerReference,
    namespace: &str,
    name: String,
    labels: BTreeMap<String, String>,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        owner_references: Some(vec![owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// A pod that may do nothing but run as this user: no token, no rights, nobody else's environment.
pub(crate) fn restricted(user: i64) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(user),
            run_as_group: Some(user),
            fs_group: Some(user),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        ..PodSpec::default()
    }
}

/// Has the pod run where it may.
pub(crate) fn place(
    spec: &mut PodSpec,
    placement: &Placement,
    zone: Option<&str>,
    peers: &BTreeMap<String, String>,
) {
    let mut nodes = placement.node_selector.clone();
    if let Some(zone) = zone {
        nodes.insert(ZONE.to_owned(), zone.to_owned());
    }
    spec.node_selector = (!nodes.is_empty()).then_some(nodes);
    spec.tolerations = tolerations(placement);
    spec.priority_class_name
        .clone_from(&placement.priority_class_name);
    spec.topology_spread_constraints = Some(spread(placement, peers));
}

/// Secrets by which images are pulled.
pub(crate) fn pull_secrets(names: &[String]) -> Option<Vec<LocalObjectReference>> {
    let all = names
        .iter()
        .map(|name| LocalObjectReference { name: name.clone() });
    (!names.is_empty()).then(|| all.collect())
}

const ZONE: &str = "topology.kubernetes.io/zone";

fn tolerations(placement: &Placement) -> Option<Vec<Toleration>> {
    let all = placement.tolerations.iter().map(|it| Toleration {
        key: it.key.clone(),
        operator: Some(format!("{:?}", it.operator)),
        value: it.value.clone(),
        effect: it.effect.map(|effect| format!("{effect:?}")),
        toleration_seconds: it.toleration_seconds,
    });
    (!placement.tolerations.is_empty()).then(|| all.collect())
}

/// Over zones and over nodes.
fn spread(
    placement: &Placement,
    peers: &BTreeMap<String, String>,
) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        topology_key: key.to_owned(),
        max_skew: 1,
        when_unsatisfiable: placement.when_uneven.name().to_owned(),
        label_selector: Some(selects(peers)),
        ..TopologySpreadConstraint::default()
    };
    vec![over(ZONE), over("kubernetes.io/hostname")]
}

/// What has these labels.
pub(crate) fn selects(labels: &BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels.clone()),
        ..LabelSelector::default()
    }
}

/// A container that may write to its volumes only.
pub(crate) fn confined(name: &str, image: &str, pull_policy: &str) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(pull_policy.to_owned()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// A port by its name.
pub(crate) fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// Where a volume is in a container.
pub(crate) fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

/// The same for what is only read.
pub(crate) fn read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount {
        read_only: Some(true),
        ..mount(volume, path)
    }
}

/// A folder that goes with the pod.
pub(crate) fn scratch(volume: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }
}

/// A Secret as files.
pub(crate) fn secret(volume: &str, name: &str) -> Volume {
    Volume {
        name: volume.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(name.to_owned()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Asks a page every few seconds; so many failures in a row count.
pub(crate) fn probe(path: &str, port: &str, period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

/// What a container asks for and may use.
pub(crate) fn requirements(resources: &Resources) -> ResourceRequirements {
    let amounts = |amounts: &Option<Amounts>| {
        let amounts = amounts.as_ref()?;
        let all: BTreeMap<String, Quantity> = [("cpu", &amounts.cpu), ("memory", &amounts.memory)]
            .into_iter()
            .filter_map(|(key, amount)| Some((key.to_owned(), Quantity(amount.clone()?))))
            .collect();
        (!all.is_empty()).then_some(all)
    };
    ResourceRequirements {
        requests: amounts(&resources.requests),
        limits: amounts(&resources.limits),
        claims: None,
    }
}
