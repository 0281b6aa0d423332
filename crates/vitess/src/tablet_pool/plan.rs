//! Which of a pool's tablets are made, from what is wanted and what there is. Nothing is asked here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use crate::tablet_pool::build::{copies, restores};
use crate::tablet_pool::fill::Fills;

/// Starts of a container after which something else is tried.
const BREAKS: i32 = 5;

/// A pod as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Whether every container answers its probe.
    pub is_ready: bool,
    /// Whether it is being deleted.
    pub ends: bool,
    /// Whether it ran to an end, so that it never runs again.
    pub is_over: bool,
    /// Whether it has a node. One that has none, and whose volume is gone, never gets one.
    pub is_placed: bool,
    /// Whether it gets its rows before it serves.
    pub copies: bool,
    /// Whether it gets them from a backup.
    pub restores: bool,
    /// Whether it ends again and again.
    pub breaks: bool,
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
    /// Volumes of these that were not filled yet.
    pub fills: BTreeMap<u32, Fills>,
    /// The tablet of another pool of the shard that is being filled.
    pub fills_elsewhere: Option<String>,
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
    /// A volume to be made and filled with the rows that the shard has.
    pub fill: Option<u32>,
    /// Pods to be made.
    pub pods: BTreeSet<u32>,
    /// Pods to be deleted, which run no more.
    pub over: BTreeSet<u32>,
    /// What is not done.
    pub held: Option<Held>,
    /// What is done later.
    pub waits: Option<Held>,
}

/// Decides, for so many tablets.
#[must_use]
pub fn plan(replicas: u32, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    let missing = (0..replicas).filter(|index| !seen.claims.contains_key(index));
    let missing: BTreeSet<u32> = missing.collect();
    if seen.has_data {
        match (missing.first(), seen.filling(replicas)) {
            (Some(index), Some(other)) => plan.waits = Some(fills_another(*index, &other)),
            // What still runs without one is gone soon.
            (Some(index), None) if seen.pods.contains_key(index) => {}
            (index, _) => plan.fill = index.copied(),
        }
    } else {
        plan.claims = missing.clone();
    }
    // All volumes are there before the first pod: once a primary is elected, none is made any more.
    if plan.claims.is_empty() {
        let pods = (0..replicas).filter(|index| !missing.contains(index));
        let pods =
            pods.filter(|index| !seen.pods.contains_key(index) && seen.claims[index].eq(&false));
        let takes_turns = |index: &u32| seen.fills.get(index).is_some_and(|it| it.takes_turns());
        let (fills, full): (Vec<_>, Vec<_>) = pods.partition(takes_turns);
        let copies = |index: &u32| seen.pods.contains_key(index);
        let is_busy = seen.fills.keys().any(copies) || seen.fills_elsewhere.is_some();
        plan.pods = full.into_iter().collect();
        plan.pods.extend(fills.first().filter(|_| !is_busy));
    }
    // Those beyond leave in their own way.
    let over = seen.pods.range(..replicas);
    let over = over.filter(|(index, pod)| !pod.ends && seen.is_lost(**index, pod));
    plan.over = over.map(|(index, _)| *index).collect();
    plan
}

/// Why a tablet is not made yet.
pub(crate) fn fills_another(index: u32, other: &str) -> Held {
    Held {
        reason: "AnotherTabletFills",
        message: format!(
            "Tablet {index} is made once {other} has its rows: one of a shard gets them at a time."
        ),
    }
}

impl Seen {
    /// Whether a pod will never serve: it ran to its end, its volume is gone, or it was made for rows that are not there.
    fn is_lost(&self, index: u32, pod: &PodSeen) -> bool {
        let has_no_volume = !self.claims.contains_key(&index) && !pod.is_placed;
        let fills = self.fills.get(&index);
        let gets_none = fills.is_some() && !pod.copies;
        // It was given up: the primary is copied instead.
        let gets_others = fills == Some(&Fills::Clone) && pod.restores && !pod.is_ready;
        pod.is_over || has_no_volume || gets_none || gets_others
    }

    /// Who is being filled. What was begun with one that is not wanted any more, and has no pod, goes on when it is.
    fn filling(&self, replicas: u32) -> Option<String> {
        let is_on = |index: &&u32| **index < replicas || self.pods.contains_key(*index);
        let own = self.fills.keys().find(is_on);
        own.map(|index| format!("tablet {index}"))
            .or_else(|| self.fills_elsewhere.clone())
    }
}

impl PodSeen {
    /// Whether it has its rows: it was made to get them first, and serves.
    #[must_use]
    pub fn has_copied(&self) -> bool {
        self.copies && self.is_ready && !self.ends
    }

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
        let containers = status.and_then(|it| it.container_statuses.as_ref());
        let starts = containers.into_iter().flatten().map(|it| it.restart_count);
        Self {
            is_ready,
            ends: pod.metadata.deletion_timestamp.is_some(),
            is_over: matches!(phase, Some("Failed" | "Succeeded")),
            is_placed: pod.spec.as_ref().is_some_and(|it| it.node_name.is_some()),
            copies: copies(pod),
            restores: restores(pod),
            breaks: starts.max() >= Some(BREAKS),
        }
    }
}

/// Whether a volume is being deleted, or is about to be: it goes with a cluster of the same name that was deleted.
#[must_use]
pub fn ends(claim: &PersistentVolumeClaim, cluster_uid: &str) -> bool {
    let owners = claim.metadata.owner_references.iter().flatten();
    let mut clusters = owners.filter(|it| it.kind == "Vitess");
    claim.metadata.deletion_timestamp.is_some() || clusters.any(|it| it.uid != cluster_uid)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    const RUNS: PodSeen = PodSeen {
        is_ready: true,
        ends: false,
        is_over: false,
        is_placed: true,
        copies: false,
        restores: false,
        breaks: false,
    };

    fn seen(pods: &[u32], claims: &[u32], has_data: bool) -> Seen {
        Seen {
            pods: pods.iter().map(|it| (*it, RUNS)).collect(),
            claims: claims.iter().map(|it| (*it, false)).collect(),
            has_data,
            ..Seen::default()
        }
    }

    fn numbers(all: &BTreeSet<u32>) -> Vec<u32> {
        all.iter().copied().collect()
    }

    #[test]
    fn volumes_come_before_pods_and_only_while_there_is_no_data() {
        type Case<'a> = (Seen, &'a [u32], &'a [u32], Option<u32>);
        let table: [Case<'_>; 6] = [
            (seen(&[], &[], false), &[0, 1, 2], &[], None),
            (seen(&[], &[0], false), &[1, 2], &[], None),
            (seen(&[0], &[0, 1, 2], false), &[], &[1, 2], None),
            (seen(&[0, 1, 2], &[0, 1, 2], true), &[], &[], None),
            (seen(&[0], &[0, 1, 2], true), &[], &[1, 2], None),
            (seen(&[0], &[0, 1], true), &[], &[1], Some(2)),
        ];
        for (seen, claims, pods, fill) in table {
            let plan = plan(3, &seen);
            assert_eq!(numbers(&plan.claims), claims, "{seen:?}");
            assert_eq!(numbers(&plan.pods), pods, "{seen:?}");
            assert_eq!(plan.fill, fill, "{seen:?}");
            assert_eq!(plan.waits, None, "{seen:?}");
        }
    }

    #[test]
    fn one_of_a_shard_is_filled_at_a_time() {
        let begun = |fills: &[u32], pods: &[u32]| Seen {
            fills: fills.iter().map(|it| (*it, Fills::Clone)).collect(),
            ..seen(pods, &[0, 1, 2, 5], true)
        };
        let waits = |seen: &Seen| {
            let plan = plan(5, seen);
            (plan.fill, plan.waits.map(|it| it.reason))
        };
        let another = (None, Some("AnotherTabletFills"));
        let table = [
            (begun(&[], &[0, 1, 2]), (Some(3), None)),
            (begun(&[2], &[0, 1, 2]), another),
            (begun(&[2], &[0, 1]), another),
            // Beyond: one that leaves, and one that left.
            (begun(&[5], &[0, 1, 2, 5]), another),
            (begun(&[5], &[0, 1, 2]), (Some(3), None)),
            (begun(&[], &[0, 1, 2, 3]), (None, None)),
            (
                Seen {
                    fills_elsewhere: Some("other-0".to_owned()),
                    ..begun(&[], &[0, 1, 2])
                },
                another,
            ),
        ];
        for (seen, expected) in table {
            assert_eq!(waits(&seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn volumes_that_wait_to_be_filled_get_pods_one_after_another() {
        let begun = |pods: &[u32]| Seen {
            fills: [(3, Fills::Clone), (4, Fills::Backup)].into(),
            ..seen(pods, &[0, 1, 2, 3, 4], true)
        };
        let pods = |seen: &Seen| numbers(&plan(5, seen).pods);
        assert_eq!(pods(&begun(&[0, 1])), [2, 3]);
        assert_eq!(pods(&begun(&[0, 1, 3])), [2]);
        let mut elsewhere = begun(&[0, 1]);
        elsewhere.fills_elsewhere = Some("other-0".to_owned());
        assert_eq!(pods(&elsewhere), [2]);
        // With what a shard begins, all begin.
        let mut first = begun(&[]);
        first.has_data = false;
        first.fills = (0..5).map(|index| (index, Fills::Restore)).collect();
        assert_eq!(pods(&first), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_volume_that_goes_with_an_earlier_cluster_is_not_taken_over() {
        let mut claim = PersistentVolumeClaim::default();
        assert!(!ends(&claim, "new"));
        let owner = |uid: &str| OwnerReference {
            kind: "Vitess".to_owned(),
            uid: uid.to_owned(),
            ..OwnerReference::default()
        };
        claim.metadata.owner_references = Some(vec![owner("new")]);
        assert!(!ends(&claim, "new"));
        claim.metadata.owner_references = Some(vec![owner("old")]);
        assert!(ends(&claim, "new"));
    }

    #[test]
    fn only_a_pod_that_was_made_to_copy_has_copied() {
        let copies = PodSeen {
            copies: true,
            ..RUNS
        };
        assert!(copies.has_copied());
        let others = [
            RUNS,
            PodSeen {
                is_ready: false,
                ..copies
            },
            PodSeen {
                ends: true,
                ..copies
            },
        ];
        assert!(!others.iter().any(PodSeen::has_copied));
    }

    #[test]
    fn a_pod_that_can_never_serve_is_made_anew() {
        let over = |seen: &Seen| numbers(&plan(3, seen).over);
        // On a volume that was filled as it began, or that is to be.
        let mut all = seen(&[0, 1, 2], &[0, 1, 2], true);
        all.fills.insert(2, Fills::Clone);
        assert_eq!(over(&all), [2]);
        all.pods.insert(
            2,
            PodSeen {
                copies: true,
                ..RUNS
            },
        );
        assert_eq!(over(&all), [0; 0]);
        // It was made for a backup that cannot be restored, and was given up.
        let restores = PodSeen {
            copies: true,
            restores: true,
            is_ready: false,
            ..RUNS
        };
        all.pods.insert(2, restores);
        assert_eq!(over(&all), [2]);
        all.fills.insert(2, Fills::Backup);
        assert_eq!(over(&all), [0; 0]);
        // Its volume is gone: one that has a node is protected from that.
        all.claims.remove(&1);
        assert_eq!(over(&all), [0; 0]);
        all.pods.insert(
            1,
            PodSeen {
                is_placed: false,
                is_ready: false,
                ..RUNS
            },
        );
        assert_eq!(over(&all), [1]);
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
