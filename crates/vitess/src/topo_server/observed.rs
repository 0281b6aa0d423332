//! What Kubernetes and etcd say at one moment.

use std::collections::BTreeMap;

use foreshard_etcd::{Alarm, AlarmKind, Id, Members, Status};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;

use crate::names::Names;

/// On a volume: the etcd cluster that its data belongs to.
pub(crate) const CLUSTER: &str = "foreshard.dev/etcd-cluster-id";
/// On a volume: the member of that cluster. A member whose volume does not say so has lost it.
pub(crate) const MEMBER: &str = "foreshard.dev/etcd-member-id";
/// On a volume that a bootstrap made: how many members it has.
pub(crate) const BOOTSTRAP: &str = "foreshard.dev/etcd-bootstrap-members";
/// On a pod: digest of what it was made of.
pub(crate) const TEMPLATE: &str = "foreshard.dev/template";
/// On a pod: the generation of the object that it was made for.
pub(crate) const GENERATION: &str = "foreshard.dev/generation";

/// Whose data a volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The etcd cluster.
    pub cluster: Id,
    /// The member.
    pub member: Id,
}

/// A volume of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Whose data it holds; none: it is new, or part of a bootstrap.
    pub stamp: Option<Stamp>,
    /// How many members the bootstrap has that made it.
    pub bootstrap: Option<u32>,
    /// Why it cannot be relied on any more: it is being deleted, or its disk is gone.
    pub lost: Option<&'static str>,
}

impl Claim {
    /// As it is in the cluster.
    #[must_use]
    pub fn read(claim: &PersistentVolumeClaim) -> Self {
        let annotations = claim.annotations();
        let id = |key: &str| annotations.get(key)?.parse::<Id>().ok();
        let phase = claim.status.as_ref().and_then(|it| it.phase.as_deref());
        Self {
            stamp: id(CLUSTER)
                .zip(id(MEMBER))
                .map(|(cluster, member)| Stamp { cluster, member }),
            bootstrap: annotations.get(BOOTSTRAP).and_then(|it| it.parse().ok()),
            lost: if claim.metadata.deletion_timestamp.is_some() {
                Some("is being deleted")
            } else if phase == Some("Lost") {
                Some("has lost its disk")
            } else {
                None
            },
        }
    }
}

/// What a pod of a member is up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// It is being deleted.
    pub ends: bool,
    /// It will never run again by itself: evicted, or ended.
    pub over: bool,
    /// Kubelet finds it ready.
    pub ready: bool,
    /// Why its container does not run, in Kubernetes' words.
    pub trouble: Option<String>,
    /// Digest of what it was made of.
    pub template: Option<String>,
    /// The generation of the object that it was made for.
    pub generation: Option<i64>,
}

impl PodSeen {
    /// As it is in the cluster.
    #[must_use]
    pub fn read(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let phase = status
            .and_then(|it| it.phase.as_deref())
            .unwrap_or_default();
        let conditions = status.and_then(|it| it.conditions.as_ref());
        let condition = |kind: &str| conditions?.iter().find(|it| it.type_ == kind);
        Self {
            ends: pod.metadata.deletion_timestamp.is_some(),
            over: matches!(phase, "Failed" | "Succeeded"),
            ready: condition("Ready").is_some_and(|it| it.status == "True"),
            trouble: waits(pod).or_else(|| {
                let scheduled = condition("PodScheduled").filter(|it| it.status == "False")?;
                Some(format!("it has no node: {}", scheduled.message.as_deref()?))
            }),
            template: pod.annotations().get(TEMPLATE).cloned(),
            generation: pod
                .annotations()
                .get(GENERATION)
                .and_then(|it| it.parse().ok()),
        }
    }
}

fn waits(pod: &Pod) -> Option<String> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let waiting = containers
        .iter()
        .find_map(|it| it.state.as_ref()?.waiting.as_ref())?;
    // This one passes by itself.
    let reason = waiting
        .reason
        .as_deref()
        .filter(|it| *it != "ContainerCreating")?;
    let message = waiting.message.as_deref().unwrap_or("no message");
    Some(format!("its container waits: {reason}: {message}"))
}

/// What was observed at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Identity of the etcd cluster, from the status: from then on nothing is bootstrapped.
    pub latched: Option<Id>,
    /// Pods of members by number.
    pub pods: BTreeMap<u32, PodSeen>,
    /// Volumes of members by number.
    pub claims: BTreeMap<u32, Claim>,
    /// Members as a majority agrees; else why nobody could tell.
    pub members: Option<Members>,
    /// Why nobody could tell the members.
    pub members_unknown: Option<String>,
    /// What each member says of itself.
    pub statuses: BTreeMap<u32, Status>,
    /// Alarms.
    pub alarms: Vec<Alarm>,
}

impl Observed {
    /// Takes in the objects of a cluster.
    pub(crate) fn objects<'a>(
        names: &Names,
        pods: impl Iterator<Item = &'a Pod>,
        claims: impl Iterator<Item = &'a PersistentVolumeClaim>,
    ) -> Self {
        let pods = pods.filter_map(|it| Some((names.index_of(&it.name_any())?, PodSeen::read(it))));
        let claims =
            claims.filter_map(|it| Some((names.index_of(&it.name_any())?, Claim::read(it))));
        Self {
            pods: pods.collect(),
            claims: claims.collect(),
            ..Self::default()
        }
    }

    /// Whether the member answers, belongs to this cluster, and knows a leader.
    #[must_use]
    pub(crate) fn is_healthy(&self, id: Id, cluster: Id) -> bool {
        self.statuses
            .values()
            .any(|it| it.member == id && it.cluster == cluster && it.leader.is_some())
    }

    /// Whether the cluster takes no writes for want of space.
    #[must_use]
    pub(crate) fn has_no_space(&self) -> bool {
        self.alarms.iter().any(|it| it.kind == AlarmKind::NoSpace)
    }
}
