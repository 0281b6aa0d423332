//! What becomes of members, case by case, and what must never become of them.

use foreshard_api::v1alpha1::{TopoServer, TopoServerSpec};
use foreshard_etcd::{Id, Member, Members, Status};
use proptest::prelude::*;

use super::observed::{Claim, Observed, PodSeen, Stamp};
use super::plan::{Change, Plan, Start, plan};
use super::validate::Validated;
use crate::names::{Addresses as _, Dns};

const CLUSTER: Id = Id(0xc1);

fn wanted(members: i32) -> Validated {
    let mut object = TopoServer::new("example", TopoServerSpec::new(members));
    object.metadata.namespace = Some("shop".to_owned());
    Validated::parse(&object).unwrap()
}

fn id(index: u32) -> Id {
    Id(0xa0 + u64::from(index))
}

fn member(index: u32) -> Member {
    let names = wanted(1).names;
    Member {
        id: id(index),
        name: names.member(index),
        peer_urls: vec![Dns.peer_url(&names, index)],
        is_learner: false,
    }
}

fn status(index: u32) -> Status {
    Status {
        cluster: CLUSTER,
        member: id(index),
        version: "3.7.3".to_owned(),
        leader: Some(id(0)),
        is_learner: false,
        database_bytes: 1 << 20,
        in_use_bytes: 1 << 20,
    }
}

fn stamped(index: u32) -> Claim {
    Claim {
        stamp: Some(Stamp {
            cluster: CLUSTER,
            member: id(index),
        }),
        ..Claim::default()
    }
}

/// A healthy cluster of so many, as it is after its bootstrap.
fn healthy(members: u32) -> Observed {
    let all = || 0..members;
    Observed {
        latched: Some(CLUSTER),
        pods: all().map(|index| (index, PodSeen::default())).collect(),
        claims: all().map(|index| (index, stamped(index))).collect(),
        members: Some(Members {
            cluster: CLUSTER,
            all: all().map(member).collect(),
        }),
        statuses: all().map(|index| (index, status(index))).collect(),
        ..Observed::default()
    }
}

fn plan_of(members: i32, seen: &Observed) -> Plan {
    plan(&wanted(members), seen, &Dns)
}

fn members_of(seen: &mut Observed) -> &mut Vec<Member> {
    &mut seen.members.as_mut().unwrap().all
}

fn silence(seen: &mut Observed, index: u32) {
    seen.statuses.remove(&index);
}

#[test]
fn a_first_cluster_is_bootstrapped_once_and_latched_after_its_volumes_say_whose_they_are() {
    let mut seen = Observed::default();
    let first = plan_of(3, &seen);
    assert_eq!(first.pods.len(), 3);
    assert!(
        first
            .pods
            .values()
            .all(|it| *it == Start::New { members: 3 })
    );
    assert!(
        first
            .claims
            .values()
            .all(|it| it.bootstrap == Some(3) && it.stamp.is_none())
    );
    // Changed half way: it goes on as it was begun.
    seen.claims = first.claims.clone();
    assert!(
        plan_of(5, &seen)
            .pods
            .values()
            .all(|it| *it == Start::New { members: 3 })
    );
    // A majority answers.
    let known = healthy(3);
    seen = Observed {
        latched: None,
        claims: first.claims,
        ..known
    };
    let second = plan_of(3, &seen);
    assert_eq!(second.latch, None);
    assert_eq!(second.claims[&2].stamp, stamped(2).stamp);
    seen.claims = second.claims;
    let third = plan_of(3, &seen);
    assert_eq!((third.latch, third.change), (Some(CLUSTER), None));
}

#[test]
fn a_healthy_cluster_is_left_alone() {
    let plan = plan_of(3, &healthy(3));
    assert!(
        !plan.takes_away() && plan.change.is_none() && plan.waits.is_none() && plan.held.is_none()
    );
    assert_eq!(plan.claims, healthy(3).claims);
}

#[test]
fn a_lost_volume_has_its_member_removed_then_learn_then_vote() {
    let mut seen = healthy(3);
    seen.claims.remove(&1);
    silence(&mut seen, 1);
    let change = plan_of(3, &seen).change.unwrap();
    assert!(
        matches!(change, Change::Remove { index: 1, .. }),
        "{change:?}"
    );
    // Removed: its pod goes, then a new volume comes.
    members_of(&mut seen).remove(1);
    let plan = plan_of(3, &seen);
    assert!(plan.pods_end.contains_key(&1) && plan.change.is_none());
    seen.pods.remove(&1);
    let plan = plan_of(3, &seen);
    assert_eq!(plan.claims.get(&1), Some(&Claim::default()));
    assert!(!plan.pods.contains_key(&1));
    // Only then it is added, and its volume is told whose it is.
    seen.claims.insert(1, Claim::default());
    assert_eq!(plan_of(3, &seen).change, Some(Change::Add { index: 1 }));
    let learner = Member {
        id: Id(0xb1),
        name: String::new(),
        is_learner: true,
        ..member(1)
    };
    members_of(&mut seen).push(learner);
    let plan = plan_of(3, &seen);
    let stamp = Stamp {
        cluster: CLUSTER,
        member: Id(0xb1),
    };
    assert_eq!(plan.claims[&1].stamp, Some(stamp));
    assert!(!plan.pods.contains_key(&1));
    seen.claims.insert(1, plan.claims[&1].clone());
    let Start::Existing(roll) = &plan_of(3, &seen).pods[&1] else {
        panic!("it must not bootstrap");
    };
    assert_eq!(roll.len(), 3);
    // It has started and catches up.
    members_of(&mut seen)[2].name = "example-etcd-1".to_owned();
    let promote = Change::Promote {
        index: 1,
        id: Id(0xb1),
    };
    assert_eq!(plan_of(3, &seen).change, Some(promote));
}

#[test]
fn a_volume_that_is_being_deleted_is_replaced_while_its_member_still_runs() {
    let mut seen = healthy(3);
    seen.claims.get_mut(&2).unwrap().lost = Some("is being deleted");
    let plan = plan_of(3, &seen);
    assert!(matches!(plan.change, Some(Change::Remove { index: 2, .. })));
    assert!(plan.pods_end.is_empty());
}

#[test]
fn no_member_is_removed_without_a_majority_of_the_others() {
    let mut seen = healthy(3);
    seen.claims.remove(&1);
    silence(&mut seen, 1);
    silence(&mut seen, 2);
    let plan = plan_of(3, &seen);
    assert_eq!(plan.change, None);
    let held = plan.held.unwrap();
    assert_eq!(held.reason, "NoMajorityWithout");
    insta::assert_snapshot!(held.message, @"example-etcd-1 cannot be replaced, although its volume is gone: without it fewer than 2 of 3 voters answer. Bring the other members back first; if there are none, restore the topology from a snapshot.");
}

#[test]
fn one_becomes_three_one_after_the_other() {
    let mut seen = healthy(1);
    assert_eq!(plan_of(3, &seen).claims.get(&1), Some(&Claim::default()));
    assert!(!plan_of(3, &seen).claims.contains_key(&2));
    seen.claims.insert(1, Claim::default());
    assert_eq!(plan_of(3, &seen).change, Some(Change::Add { index: 1 }));
    // While one learns, no other one comes.
    let learner = Member {
        is_learner: true,
        ..member(1)
    };
    members_of(&mut seen).push(learner);
    seen.claims.insert(1, stamped(1));
    let plan = plan_of(3, &seen);
    assert!(matches!(
        plan.change,
        Some(Change::Promote { index: 1, .. })
    ));
    assert!(!plan.claims.contains_key(&2));
    // Nor while somebody is ill.
    members_of(&mut seen)[1].is_learner = false;
    seen.claims.insert(2, Claim::default());
    let plan = plan_of(3, &seen);
    assert_eq!(plan.change, None);
    insta::assert_snapshot!(plan.waits.unwrap(), @"example-etcd-2 is added once every member answers; example-etcd-1 does not.");
}

#[test]
fn a_topology_that_is_gone_is_held_and_not_bootstrapped() {
    let seen = Observed {
        latched: Some(CLUSTER),
        ..Observed::default()
    };
    let plan = plan_of(3, &seen);
    assert!(plan.pods.is_empty() && plan.claims.is_empty());
    let held = plan.held.unwrap();
    assert_eq!(held.reason, "TopologyLost");
    insta::assert_snapshot!(held.message, @"The etcd cluster c1 was bootstrapped here and none of its volumes is left. It is not bootstrapped again: the data would be lost for good. Bring the volumes example-etcd-0 to example-etcd-2 back; or, if the topology is to begin anew, delete this TopoServer and make it again.");
}

#[test]
fn a_cluster_of_another_identity_is_not_touched() {
    let mut seen = healthy(3);
    seen.members.as_mut().unwrap().cluster = Id(0xff);
    let plan = plan_of(3, &seen);
    assert_eq!(plan.held.as_ref().unwrap().reason, "TopologyLost");
    assert!(plan.pods.is_empty() && plan.change.is_none() && !plan.takes_away());
}

#[test]
fn volumes_of_a_deleted_object_are_taken_over_by_name() {
    let mut seen = Observed {
        claims: healthy(3).claims,
        ..Observed::default()
    };
    let plan = plan_of(3, &seen);
    assert!(
        plan.pods
            .values()
            .all(|it| *it == Start::Existing(Vec::new()))
    );
    assert_eq!((plan.pods.len(), plan.latch), (3, None));
    seen.members = healthy(3).members;
    assert_eq!(plan_of(3, &seen).latch, Some(CLUSTER));
    // Two of three are enough; the third is replaced once the cluster is known.
    seen.claims.remove(&2);
    assert_eq!(plan_of(3, &seen).latch, Some(CLUSTER));
    seen.claims
        .get_mut(&1)
        .unwrap()
        .stamp
        .as_mut()
        .unwrap()
        .cluster = Id(7);
    assert_eq!(
        plan_of(3, &seen).held.unwrap().reason,
        "VolumesOfSeveralClusters"
    );
}

#[test]
fn a_pod_that_is_gone_is_made_again_also_without_a_majority() {
    let mut seen = healthy(3);
    seen.members = None;
    seen.statuses.clear();
    seen.pods.clear();
    let plan = plan_of(3, &seen);
    assert_eq!(plan.pods.len(), 3);
    assert!(
        plan.pods
            .values()
            .all(|it| matches!(it, Start::Existing(_)))
    );
    assert!(plan.change.is_none() && !plan.takes_away());
}

#[test]
fn a_stranger_among_the_members_stops_changes() {
    let mut seen = healthy(3);
    members_of(&mut seen).push(Member {
        id: Id(9),
        peer_urls: vec!["https://elsewhere:2380".to_owned()],
        ..member(0)
    });
    seen.claims.remove(&1);
    let plan = plan_of(3, &seen);
    assert_eq!(plan.held.unwrap().reason, "UnknownMember");
    assert_eq!(plan.change, None);
}

/// Whatever can be seen, sensible or not.
fn anything() -> impl Strategy<Value = Observed> {
    let claim = (0..4_u8, any::<bool>(), 0..4_u32).prop_map(|(stamp, lost, of)| Claim {
        stamp: match stamp {
            0 => None,
            1 => Some(Stamp {
                cluster: Id(7),
                member: id(of),
            }),
            _ => Some(Stamp {
                cluster: CLUSTER,
                member: id(of),
            }),
        },
        bootstrap: (stamp == 0 && of == 3).then_some(3),
        lost: lost.then_some("is being deleted"),
    });
    let pod = any::<[bool; 2]>().prop_map(|[ends, over]| PodSeen {
        ends,
        over,
        ..PodSeen::default()
    });
    let members = prop::collection::btree_map(0..5_u32, any::<[bool; 2]>(), 1..5);
    (
        prop::option::of(Just(CLUSTER)),
        prop::collection::btree_map(0..5_u32, claim, 0..5),
        prop::collection::btree_map(0..5_u32, pod, 0..5),
        prop::option::of((members, prop::bool::weighted(0.9))),
        prop::collection::btree_set(0..5_u32, 0..5),
    )
        .prop_map(|(latched, claims, pods, members, answering)| Observed {
            latched,
            claims,
            pods,
            members: members.map(|(all, is_ours)| Members {
                cluster: if is_ours { CLUSTER } else { Id(7) },
                all: all
                    .into_iter()
                    .map(|(index, [is_learner, is_new])| Member {
                        is_learner,
                        name: if is_new {
                            String::new()
                        } else {
                            member(index).name
                        },
                        ..member(index)
                    })
                    .collect(),
            }),
            statuses: answering
                .into_iter()
                .map(|index| (index, status(index)))
                .collect(),
            ..Observed::default()
        })
}

proptest! {
    #[test]
    fn whatever_is_seen_nothing_is_lost(seen in anything(), size in prop::sample::select(vec![1, 3, 5])) {
        let plan = plan_of(size, &seen);
        let starts_new = plan.pods.values().any(|it| matches!(it, Start::New { .. }));
        if seen.latched.is_some() {
            prop_assert!(!starts_new, "bootstrapped twice");
            prop_assert_eq!(plan.latch, None);
        }
        if starts_new && seen.members.is_none() {
            prop_assert!(seen.claims.values().all(|it| it.stamp.is_none()), "bootstrapped over data");
        }
        if seen.members.is_none() {
            prop_assert!(plan.change.is_none() && plan.claims_end.is_empty(), "changed what nobody knows");
        }
        // What a pod runs on is the volume of its member.
        for index in plan.pods.keys() {
            prop_assert!(plan.claims.contains_key(index));
            prop_assert!(seen.claims.get(index).is_none_or(|it| it.lost.is_none()));
        }
        let members = || seen.members.iter().flat_map(|it| &it.all);
        let voters = members().filter(|it| !it.is_learner).count();
        if let Some(Change::Remove { id, .. }) = &plan.change {
            let left = members().filter(|it| !it.is_learner && it.id != *id && seen.is_healthy(it.id, CLUSTER));
            prop_assert!(left.count() > voters / 2, "removed the majority");
        }
        for index in plan.claims_end.keys() {
            prop_assert!(members().all(|it| it.id != id(*index)), "wiped a member's volume");
        }
        if plan.held.as_ref().is_some_and(|it| it.reason == "TopologyLost") {
            prop_assert!(plan.change.is_none() && !plan.takes_away() && plan.pods.is_empty());
        }
    }
}
