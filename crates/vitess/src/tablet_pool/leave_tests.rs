//! Cases of leaving, and what must never happen while somebody is killed in between.

use proptest::prelude::*;

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
const FOLLOWS: Replication = Replication {
    is_running: true,
    lag_seconds: Some(0),
    backs_up: false,
};

fn alias(cell: &str, uid: u32) -> TabletAlias {
    TabletAlias {
        cell: cell.to_owned(),
        uid,
    }
}

/// A tablet of pool `a` in cell `zone1`.
fn tablet(index: u32, is_wanted: bool) -> TabletSeen {
    TabletSeen {
        alias: alias("zone1", index),
        pool: "a".to_owned(),
        index,
        kind: TabletType::Replica,
        is_wanted,
        pod: Some(RUNS),
        claim: Some(ClaimSeen::default()),
        record: Some(Recorded::Replica),
        replication: Some(FOLLOWS),
    }
}

/// `wanted` of `all` tablets of pool `a`, with the primary at `primary`.
fn shard(wanted: u32, all: u32, primary: u32) -> ShardSeen {
    let mut shard = ShardSeen {
        durability: Durability::SemiSync,
        primary: Some(alias("zone1", primary)),
        tablets: (0..all).map(|it| tablet(it, it < wanted)).collect(),
        workflows: Vec::new(),
        is_dropped: false,
    };
    shard.tablets[primary as usize].record = Some(Recorded::Primary);
    shard.tablets[primary as usize].replication = None;
    shard
}

fn next(shard: &ShardSeen, settled: Option<u32>) -> Option<Step> {
    step("a", Retention::Retain, shard, settled)
}

fn reason(step: Option<Step>) -> &'static str {
    match step {
        Some(Step::Wait(held) | Step::Refuse(held)) => held.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_a_keyspace_that_goes_the_primary_is_the_last_and_records_stay() {
    let mut now = shard(0, 3, 2);
    assert_eq!(reason(next(&now, None)), "DurabilityNeedsTablets");
    now.is_dropped = true;
    for index in [1, 0, 2] {
        let at = index as usize;
        assert_eq!(next(&now, None), Some(Step::Mark(index)));
        now.workflows = vec!["commerce.moves".to_owned()];
        assert_eq!(reason(next(&now, None)), "WorkflowRuns");
        now.tablets[at].claim = Some(ClaimSeen {
            leaves: Some(Retention::Delete),
            ..ClaimSeen::default()
        });
        assert_eq!(
            next(&now, None),
            Some(Step::DeletePod(index)),
            "it was begun"
        );
        now.workflows.clear();
        now.tablets[at].pod.as_mut().unwrap().ends = true;
        assert_eq!(reason(next(&now, None)), "TabletEnds");
        now.tablets[at].pod = None;
        assert_eq!(next(&now, None), Some(Step::Unmark(index)));
        let deleted = step("a", Retention::Delete, &now, None);
        assert_eq!(deleted, Some(Step::DeleteClaim(index)));
        now.tablets[at].claim = None;
        assert!(now.tablets[at].record.is_some());
    }
    assert_eq!(next(&now, None), None);
    // One of another pool runs still.
    now.tablets[2].pod = Some(PodSeen {
        is_ready: true,
        ..PodSeen::default()
    });
    now.tablets[0].pod = now.tablets[2].pod;
    now.tablets[0].pool = "b".to_owned();
    assert_eq!(reason(next(&now, None)), "PrimaryGoesLast");
}

#[test]
fn the_highest_leaves_step_by_step() {
    let mut now = shard(3, 5, 0);
    assert_eq!(next(&now, None), Some(Step::Mark(4)));
    let marked = ClaimSeen {
        fills: false,
        leaves: Some(Retention::Retain),
        ends: false,
    };
    now.tablets[4].claim = Some(marked);
    assert_eq!(next(&now, None), Some(Step::Drain(4)));
    now.tablets[4].record = Some(Recorded::Drained);
    now.tablets[4].replication = None;
    assert_eq!(next(&now, None), Some(Step::Settle(4)));
    assert_eq!(next(&now, Some(3)), Some(Step::Settle(4)));
    assert_eq!(next(&now, Some(4)), Some(Step::DeletePod(4)));
    now.tablets[4].pod = Some(PodSeen { ends: true, ..RUNS });
    assert_eq!(reason(next(&now, None)), "TabletEnds");
    now.tablets[4].pod = None;
    assert_eq!(next(&now, None), Some(Step::Forget(4)));
    now.tablets[4].record = None;
    assert_eq!(next(&now, None), Some(Step::Unmark(4)));
    now.tablets[4].claim = Some(ClaimSeen::default());
    assert_eq!(next(&now, None), Some(Step::Mark(3)));
    now.tablets.truncate(3);
    assert_eq!(next(&now, None), None);
}

#[test]
fn a_volume_goes_only_where_that_was_said_then_and_is_said_now() {
    let all = [Retention::Retain, Retention::Delete];
    for (then, now) in all.iter().flat_map(|then| all.map(|now| (*then, now))) {
        let mut left = shard(3, 4, 0);
        left.tablets[3].pod = None;
        left.tablets[3].record = None;
        left.tablets[3].claim = Some(ClaimSeen {
            fills: false,
            ends: false,
            leaves: Some(then),
        });
        let expected = if (then, now) == (Retention::Delete, Retention::Delete) {
            Step::DeleteClaim(3)
        } else {
            Step::Unmark(3)
        };
        assert_eq!(step("a", now, &left, None), Some(expected));
        // Kept by an earlier one, or taken over by its name: never.
        left.tablets[3].claim = Some(ClaimSeen::default());
        assert_eq!(step("a", now, &left, None), None);
    }
}

#[test]
fn a_primary_hands_over_to_the_nearest_that_is_least_behind() {
    let mut now = shard(4, 5, 4);
    now.tablets[4].claim = Some(ClaimSeen {
        fills: false,
        ends: false,
        leaves: Some(Retention::Retain),
    });
    for (index, lag) in [(0, 0), (1, 7), (2, 3), (3, 5)] {
        now.tablets[index].replication = Some(Replication {
            lag_seconds: Some(lag),
            ..FOLLOWS
        });
    }
    now.tablets[0].alias.cell = "zone2".to_owned();
    let to = now.tablets[2].alias.clone();
    assert_eq!(next(&now, None), Some(Step::Reparent(4, to)));
    for it in &mut now.tablets[1..4] {
        it.alias.cell = "zone2".to_owned();
    }
    let to = now.tablets[0].alias.clone();
    assert_eq!(next(&now, None), Some(Step::Reparent(4, to)));
}

#[test]
fn nobody_leaves_a_shard_that_would_be_the_worse_for_it() {
    type Change = fn(&mut ShardSeen);
    let table: [(&str, Change); 16] = [
        ("NoPrimary", |it| it.primary = None),
        ("NoPrimary", |it| it.tablets[0].pod = None),
        ("NoPrimary", |it| {
            it.tablets[0].pod = Some(PodSeen {
                is_ready: false,
                ..RUNS
            });
        }),
        ("DurabilityNeedsTablets", |it| {
            it.tablets[1].is_wanted = false;
        }),
        ("DurabilityNeedsTablets", |it| {
            it.tablets[1].kind = TabletType::Rdonly;
        }),
        ("DurabilityNeedsTablets", |it| it.tablets[1].claim = None),
        ("DurabilityNeedsTablets", |it| {
            it.durability = Durability::CrossCell;
        }),
        ("ShardNotHealthy", |it| it.tablets[1].pod = None),
        ("ShardNotHealthy", |it| it.tablets[1].record = None),
        ("ShardNotHealthy", |it| {
            it.tablets[1].record = Some(Recorded::Drained);
        }),
        ("ShardNotHealthy", |it| it.tablets[1].replication = None),
        ("ShardNotHealthy", |it| {
            it.tablets[1].replication = Some(Replication {
                lag_seconds: Some(31),
                ..FOLLOWS
            });
        }),
        ("ShardNotHealthy", |it| {
            it.tablets[1].replication = Some(Replication {
                lag_seconds: None,
                ..FOLLOWS
            });
        }),
        ("BackupRuns", |it| {
            it.tablets[3].replication = Some(Replication {
                backs_up: true,
                ..FOLLOWS
            });
        }),
        ("WorkflowRuns", |it| it.workflows.push("split".to_owned())),
        ("AnotherTabletLeaves", |it| {
            let leaves = Some(Retention::Retain);
            let mut other = tablet(9, false);
            other.pool = "b".to_owned();
            other.claim = Some(ClaimSeen {
                fills: false,
                ends: false,
                leaves,
            });
            it.tablets.push(other);
        }),
    ];
    for (expected, change) in table {
        let mut now = shard(3, 4, 0);
        change(&mut now);
        assert_eq!(reason(next(&now, None)), expected, "{now:#?}");
    }
}

#[test]
fn without_durability_one_is_enough_and_the_last_stays() {
    let mut now = shard(1, 2, 0);
    now.durability = Durability::None;
    assert_eq!(next(&now, None), Some(Step::Mark(1)));
    now.tablets[0].is_wanted = false;
    assert_eq!(reason(next(&now, None)), "DurabilityNeedsTablets");
}

#[test]
fn one_that_is_broken_leaves_without_being_asked() {
    let mut now = shard(3, 4, 0);
    now.tablets[3].pod = Some(PodSeen {
        is_ready: false,
        ..RUNS
    });
    now.tablets[3].replication = None;
    now.tablets[3].claim = Some(ClaimSeen {
        fills: false,
        ends: false,
        leaves: Some(Retention::Retain),
    });
    assert_eq!(next(&now, None), Some(Step::DeletePod(3)));
    // One that runs and is not to be seen in a topology that lacks a cell is none of these.
    now.tablets[3].pod = Some(RUNS);
    now.tablets[3].record = None;
    assert_eq!(reason(next(&now, None)), "RecordUnsettled");
}

#[test]
fn one_that_has_no_rows_yet_leaves_whatever_the_shard_lacks_and_counts_for_nothing() {
    let mut now = shard(3, 4, 0);
    let fills = |leaves: Option<Retention>| {
        Some(ClaimSeen {
            fills: true,
            ends: false,
            leaves,
        })
    };
    now.tablets[3].pod = Some(PodSeen {
        is_ready: false,
        ..RUNS
    });
    now.tablets[3].record = Some(Recorded::Restore);
    now.tablets[3].claim = fills(None);
    now.primary = None;
    assert_eq!(next(&now, None), Some(Step::Mark(3)));
    now.tablets[3].claim = fills(Some(Retention::Delete));
    assert_eq!(next(&now, None), Some(Step::DeletePod(3)));
    // Not a copy of anything.
    let mut now = shard(3, 4, 0);
    now.tablets[2].claim = fills(None);
    assert_eq!(reason(next(&now, None)), "DurabilityNeedsTablets");
}

#[test]
fn one_that_is_wanted_again_serves_again_and_one_that_people_drained_does_not() {
    let mut now = shard(4, 4, 0);
    now.tablets[3].record = Some(Recorded::Drained);
    assert_eq!(next(&now, None), None);
    now.tablets[3].claim = Some(ClaimSeen {
        fills: false,
        ends: false,
        leaves: Some(Retention::Delete),
    });
    assert_eq!(next(&now, None), Some(Step::Serve(3)));
    let pod = now.tablets[3].pod.take();
    assert_eq!(reason(next(&now, None)), "TabletReturns");
    now.tablets[3].pod = pod;
    now.tablets[3].record = Some(Recorded::Replica);
    assert_eq!(next(&now, None), Some(Step::Unmark(3)));
}

fn anything() -> impl Strategy<Value = ShardSeen> {
    let pod = proptest::option::of((any::<bool>(), any::<bool>()));
    let claim = proptest::option::of((any::<bool>(), 0..3_u8));
    let record = proptest::option::of(1..9_i32);
    let lag = proptest::option::of((any::<bool>(), 0..60_u32, any::<bool>()));
    let one = (any::<bool>(), any::<bool>(), pod, claim, record, lag);
    let tablets = proptest::collection::vec(one, 0..7);
    (tablets, 0..8_u32, 0..3_u8).prop_map(|(all, primary, durability)| {
        type Drawn = (
            bool,
            bool,
            Option<(bool, bool)>,
            Option<(bool, u8)>,
            Option<i32>,
            Option<(bool, u32, bool)>,
        );
        let tablet = |(index, it): (u32, Drawn)| {
            let (is_wanted, is_replica, pod, claim, record, replication) = it;
            TabletSeen {
                alias: alias("zone1", index),
                pool: "a".to_owned(),
                index,
                kind: if is_replica {
                    TabletType::Replica
                } else {
                    TabletType::Rdonly
                },
                is_wanted,
                pod: pod.map(|(is_ready, ends)| PodSeen {
                    is_placed: true,
                    copies: false,
                    restores: false,
                    breaks: false,
                    is_ready,
                    ends,
                    is_over: false,
                }),
                claim: claim.map(|(ends, leaves)| ClaimSeen {
                    fills: false,
                    ends,
                    leaves: [None, Some(Retention::Retain), Some(Retention::Delete)]
                        [usize::from(leaves)],
                }),
                record: record.map(|it| {
                    [
                        Recorded::Primary,
                        Recorded::Replica,
                        Recorded::Rdonly,
                        Recorded::Spare,
                        Recorded::Experimental,
                        Recorded::Backup,
                        Recorded::Restore,
                        Recorded::Drained,
                    ][usize::try_from(it - 1).unwrap()]
                }),
                replication: replication.map(|(is_running, lag, backs_up)| Replication {
                    is_running,
                    lag_seconds: Some(lag),
                    backs_up,
                }),
            }
        };
        let all = all.into_iter().enumerate();
        let all = all.map(|(index, it)| (u32::try_from(index).unwrap(), it));
        ShardSeen {
            durability: [
                Durability::None,
                Durability::SemiSync,
                Durability::CrossCell,
            ][usize::from(durability)],
            primary: Some(alias("zone1", primary)),
            tablets: all.map(tablet).collect(),
            workflows: Vec::new(),
            is_dropped: false,
        }
    })
}

proptest! {
    #[test]
    fn whatever_is_seen_nothing_that_serves_is_taken_away(shard in anything(), settled in 0..7_u32) {
        let step = step("a", Retention::Delete, &shard, Some(settled));
        let at = |index: u32| &shard.tablets[index as usize];
        let stay = |it: &&TabletSeen| it.is_wanted && it.pod.is_some_and(|pod| pod.is_ready);
        match step {
            Some(Step::DeletePod(index)) => {
                let it = at(index);
                prop_assert!(!it.is_wanted);
                prop_assert!(shard.primary.as_ref() != Some(&it.alias));
                let out = it.record == Some(Recorded::Drained) && settled == index;
                prop_assert!(out || !it.pod.unwrap().is_ready);
                let replicas = shard.tablets.iter().filter(stay);
                let replicas = replicas.filter(|it| it.kind == TabletType::Replica).count();
                prop_assert!(it.kind != TabletType::Replica || replicas >= 1);
                let semi_sync = shard.durability != Durability::None;
                prop_assert!(!semi_sync || it.kind != TabletType::Replica || replicas >= 3);
            }
            Some(Step::Drain(index) | Step::Mark(index)) => {
                prop_assert!(!at(index).is_wanted && at(index).pod.is_some());
            }
            Some(Step::Reparent(index, to)) => {
                prop_assert_eq!(shard.primary.as_ref(), Some(&at(index).alias));
                let to = shard.tablets.iter().find(|it| it.alias == to).unwrap();
                prop_assert!(stay(&to) && to.kind == TabletType::Replica);
            }
            Some(Step::DeleteClaim(index)) => {
                let it = at(index);
                prop_assert!(!it.is_wanted && it.pod.is_none() && it.record.is_none());
                prop_assert_eq!(it.claim.unwrap().leaves, Some(Retention::Delete));
            }
            Some(Step::Forget(index)) => {
                prop_assert!(!at(index).is_wanted && at(index).pod.is_none());
            }
            _ => {}
        }
    }
}

fn marked(leaves: Retention) -> Option<ClaimSeen> {
    Some(ClaimSeen {
        fills: false,
        ends: false,
        leaves: Some(leaves),
    })
}

#[test]
fn no_volume_goes_while_those_that_stay_are_not_well() {
    let mut left = shard(1, 2, 0);
    left.durability = Durability::None;
    left.tablets[1].pod = None;
    left.tablets[1].record = None;
    left.tablets[1].claim = marked(Retention::Delete);
    let next = |shard: &ShardSeen| step("a", Retention::Delete, shard, None);
    assert_eq!(next(&left), Some(Step::DeleteClaim(1)));
    left.tablets[0].pod = None;
    assert_eq!(reason(next(&left)), "NoPrimary");
    left.tablets[0].claim = None;
    assert_eq!(reason(next(&left)), "DurabilityNeedsTablets");
}

#[test]
fn a_primary_whose_pod_is_lost_runs_again() {
    let mut now = shard(3, 4, 3);
    now.tablets[3].pod = None;
    assert_eq!(next(&now, None), Some(Step::MakePod(3)));
    now.tablets[3].claim = None;
    assert_eq!(reason(next(&now, None)), "StillPrimary");
}

#[test]
fn one_that_is_down_goes_before_the_primary_moves() {
    let mut now = shard(3, 5, 4);
    now.tablets[4].claim = marked(Retention::Retain);
    now.tablets[3].pod = Some(PodSeen {
        is_ready: false,
        ..RUNS
    });
    assert_eq!(next(&now, None), Some(Step::Mark(3)));
    now.tablets[3].claim = marked(Retention::Retain);
    assert_eq!(next(&now, None), Some(Step::DeletePod(3)));
    now.tablets[3].record = Some(Recorded::Backup);
    assert_eq!(reason(next(&now, None)), "BackupRuns");
}

#[test]
fn one_that_is_out_of_service_serves_again_where_it_is_needed() {
    let mut now = shard(3, 4, 0);
    now.tablets[3].claim = marked(Retention::Retain);
    now.tablets[3].record = Some(Recorded::Drained);
    now.tablets[3].replication = None;
    now.tablets[1].replication = Some(Replication {
        lag_seconds: Some(LAG_MAX_SECONDS + 1),
        ..FOLLOWS
    });
    assert_eq!(next(&now, None), Some(Step::Serve(3)));
    now.tablets[3].record = Some(Recorded::Replica);
    assert_eq!(reason(next(&now, None)), "ShardNotHealthy");
}
