//! Which of a pool's tablets are made, from what is wanted and what there is. Nothing is asked here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

/// A pod as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Whether every container answers its probe.
    pub is_ready: bool,
    /// Whether it is being deleted.
    pub ends: bool,
    /// Whether it ran to an end, so that it never runs again.
    pub is_over: bool,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Pods by number.
    pub pods: BTreeMap<u32, PodSeen>,
    /// Volumes by number, with whether they are being deleted.
    pub claims: BTreeMap<u32, bool>,
    /// Whether the shard has data, so that an empty volume is none of its own.
    pub has_data: bool,
}

/// Why something stays as it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// What is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Volumes to be made; pods wait for them.
    pub claims: BTreeSet<u32>,
    /// Pods to be made.
    pub pods: BTreeSet<u32>,
    /// Pods to be deleted, which run no more.
    pub over: BTreeSet<u32>,
    /// What is not done.
    pub held: Option<Held>,
}

/// Decides, for so many tablets.
#[must_use]
pub fn plan(replicas: u32, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    let missing = (0..replicas).filter(|index| !seen.claims.contains_key(index));
    let missing: BTreeSet<u32> = missing.collect();
    if seen.has_data {
        plan.held = missing.first().map(|index| no_source(*index));
    } else {
        plan.claims = missing.clone();
    }
    // All volumes are there before the first pod: once a primary is elected, none is made any more.
    if plan.claims.is_empty() {
        let pods = (0..replicas).filter(|index| !missing.contains(index));
        plan.pods = pods
            .filter(|index| !seen.pods.contains_key(index) && seen.claims[index].eq(&false))
            .collect();
    }
    // Those beyond leave in their own way.
    let over = seen.pods.range(..replicas);
    let over = over.filter(|(_, pod)| pod.is_over && !pod.ends);
    plan.over = over.map(|(index, _)| *index).collect();
    plan
}

fn no_source(index: u32) -> Held {
    Held {
        reason: "NoProvisioningSource",
        message: format!(
            "Tablet {index} has no volume, and nothing to fill one from: this version restores no backups and clones no \
             tablets. Set replicas to what there is."
        ),
    }
}

impl PodSeen {
    /// Reads one.
    #[must_use]
    pub fn read(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|it| it.conditions.as_ref());
        let is_ready = conditions.is_some_and(|all| {
            all.iter()
                .any(|it| it.type_ == "Ready" && it.status == "True")
        });
        let phase = status.and_then(|it| it.phase.as_deref());
        Self {
            is_ready,
            ends: pod.metadata.deletion_timestamp.is_some(),
            is_over: matches!(phase, Some("Failed" | "Succeeded")),
        }
    }
}

/// Whether a volume is being deleted.
#[must_use]
pub fn ends(claim: &PersistentVolumeClaim) -> bool {
    claim.metadata.deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: PodSeen = PodSeen {
        is_ready: true,
        ends: false,
        is_over: false,
    };

    fn seen(pods: &[u32], claims: &[u32], has_data: bool) -> Seen {
        Seen {
            pods: pods.iter().map(|it| (*it, RUNS)).collect(),
            claims: claims.iter().map(|it| (*it, false)).collect(),
            has_data,
        }
    }

    fn numbers(all: &BTreeSet<u32>) -> Vec<u32> {
        all.iter().copied().collect()
    }

    #[test]
    fn volumes_come_before_pods_and_only_while_there_is_no_data() {
        type Case<'a> = (Seen, &'a [u32], &'a [u32], Option<&'a str>);
        let table: [Case<'_>; 6] = [
            (seen(&[], &[], false), &[0, 1, 2], &[], None),
            (seen(&[], &[0], false), &[1, 2], &[], None),
            (seen(&[0], &[0, 1, 2], false), &[], &[1, 2], None),
            (seen(&[0, 1, 2], &[0, 1, 2], true), &[], &[], None),
            (seen(&[0], &[0, 1, 2], true), &[], &[1, 2], None),
            (
                seen(&[0], &[0, 1], true),
                &[],
                &[1],
                Some("NoProvisioningSource"),
            ),
        ];
        for (seen, claims, pods, reason) in table {
            let plan = plan(3, &seen);
            assert_eq!(numbers(&plan.claims), claims, "{seen:?}");
            assert_eq!(numbers(&plan.pods), pods, "{seen:?}");
            assert_eq!(plan.held.map(|it| it.reason), reason, "{seen:?}");
        }
    }

    #[test]
    fn those_beyond_are_neither_made_nor_made_anew() {
        let mut all = seen(&[0, 1], &[0, 1, 2], true);
        all.pods.insert(
            1,
            PodSeen {
                is_over: true,
                ..RUNS
            },
        );
        assert_eq!(plan(1, &all), Plan::default());
    }

    #[test]
    fn a_pod_that_ran_to_its_end_is_made_anew_and_one_that_ends_is_waited_for() {
        let mut all = seen(&[0, 1], &[0, 1], true);
        let over = PodSeen {
            is_over: true,
            is_ready: false,
            ..RUNS
        };
        all.pods.insert(0, over);
        assert_eq!(numbers(&plan(2, &all).over), [0]);
        all.pods.insert(0, PodSeen { ends: true, ..over });
        let waits = plan(2, &all);
        assert!(waits.over.is_empty() && waits.pods.is_empty());
        all.pods.remove(&0);
        assert_eq!(numbers(&plan(2, &all).pods), [0]);
        // Its volume is being deleted: a pod would keep it from going, and has no place after that.
        all.claims.insert(0, true);
        assert!(plan(2, &all).pods.is_empty());
    }
}
