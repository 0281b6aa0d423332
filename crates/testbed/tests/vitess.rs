//! A real Vitess comes up, keeps every write while primaries are moved and crash, and leaves nothing behind.
//!
//! Left out, and says so, where it is not built: `cargo xtask testbed build vitess`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod machine;

use std::time::{Duration, Instant};

use foreshard_testbed::load::{Kind, Rate};
use foreshard_testbed::{Load, LoadSpec, Shape, Vitess, or_left_out, truth};
use foreshard_vtctld::{Reparent, TabletAlias};
use machine::{Snapshot, eventually};

const KEYSPACE: &str = "commerce";
const SHARDS: &[&str] = &["-80", "80-"];
const CUSTOMERS: u32 = 5_000;
/// What a contributor is promised.
const READY_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_cluster_keeps_every_write_and_leaves_nothing_behind() {
    let before = Snapshot::take();
    let begun = Instant::now();
    let started = Vitess::start(&Shape::of_shards(SHARDS));
    let Some(mut vitess) = or_left_out("a cluster of Vitess", started) else {
        return;
    };
    let took = begun.elapsed();
    println!("ready after {:.1} s", took.as_secs_f64());
    assert!(took < READY_LIMIT, "{took:?}");
    let folder = vitess.bed().folder().to_owned();
    let open = machine::listening(&folder);
    // Two of etcd, two of vtctld, one of vtorc, three of vtgate, and of each of six tablets four.
    assert_eq!(open.len(), 32, "{open:?}");
    assert!(open.iter().all(|it| it.ip().is_loopback()), "{open:?}");

    let spec = LoadSpec {
        rate: Rate::constant(60.0),
        ..LoadSpec::new(vitess.gate().unwrap(), KEYSPACE, CUSTOMERS)
    };
    Load::seed(&spec).unwrap();
    let quiet = Load::start(spec.clone()).unwrap();
    await_writes(&quiet, 100);
    move_primary(&vitess);
    await_writes(&quiet, 300);
    let (mut ledger, summary) = quiet.stop().unwrap();
    for kind in Kind::ALL {
        assert_eq!(summary.failed_attempts(kind), 0, "{}", summary.to_json());
    }

    // Of what is under way at a crash nobody knows; the rest is kept.
    let rough = Load::resume(spec, ledger).unwrap();
    await_writes(&rough, 100);
    let crashed = crash_primary(&mut vitess);
    await_writes(&rough, 300);
    vitess.revive(&crashed).unwrap();
    await_writes(&rough, 300);
    let summary;
    (ledger, summary) = rough.stop().unwrap();
    println!("{:#?}", summary.errors);
    let verdict = truth::check(&ledger, &vitess.primaries(SHARDS).unwrap()).unwrap();
    assert!(verdict.is_exact(), "{}", verdict.to_json());
    println!("{:?}, {} rows", ledger.fates(), verdict.rows());

    vitess.into_bed().down().unwrap();
    assert!(!folder.exists());
    assert_eq!(machine::processes_of(&folder), Vec::<u32>::new());
    before.assert_nothing_added();
}

fn primary(vitess: &Vitess, shard: &str) -> TabletAlias {
    let record = vitess.block_on(vitess.vtctld().shard(KEYSPACE, shard));
    record.unwrap().primary.unwrap()
}

/// Moves a primary, as before its node is taken away.
fn move_primary(vitess: &Vitess) {
    let old = primary(vitess, "-80");
    let reparent = Reparent {
        avoid_primary: Some(old.clone()),
        ..Reparent::new(KEYSPACE, "-80")
    };
    let new = vitess
        .block_on(vitess.vtctld().reparent(&reparent))
        .unwrap();
    assert_ne!(new, old);
    assert_eq!(primary(vitess, "-80"), new);
}

/// Has a primary's host crash, and waits until vtorc has made another tablet primary.
fn crash_primary(vitess: &mut Vitess) -> TabletAlias {
    let old = primary(vitess, "80-");
    vitess.crash(&old).unwrap();
    eventually("another primary", || {
        let now = primary(vitess, "80-");
        (now != old).then_some(()).ok_or_else(|| now.to_string())
    });
    old
}

/// Waits until so many more writes were acknowledged.
fn await_writes(load: &Load, more: u64) {
    let before = load.fates()[0];
    eventually("writes being acknowledged", || {
        let now = load.fates()[0];
        (now >= before + more)
            .then_some(())
            .ok_or_else(|| format!("{} of {more}", now - before))
    });
}
