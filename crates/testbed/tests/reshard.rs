//! A reshard of a real Vitess under load, driven by nothing but `foreshard-vtctld`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use foreshard_history::trace;
use foreshard_testbed::load::{Kind, Ledger, Rate, Summary};
use foreshard_testbed::truth::{self, Verdict};
use foreshard_testbed::{Load, LoadSpec, Shape, Vitess, or_left_out};
use foreshard_vtctld::{Reshard, SwitchTraffic, TabletType, Vdiff, VdiffRequest, VdiffState};

const KEYSPACE: &str = "commerce";
const WORKFLOW: &str = "split";
const BEFORE: &[&str] = &["-"];
const AFTER: &[&str] = &["-80", "80-"];

const CUSTOMERS: u32 = 50_000;
/// The highest rate of the load.
const PEAK_PER_SECOND: f64 = 150.0;
/// A day of the trace in 72 s.
const TRACE_STEP: Duration = Duration::from_millis(250);

/// How long the copy, or a comparison, may take.
const LIMIT: Duration = Duration::from_secs(240);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What Vitess 24 answers to a write in autocommit mode that it buffered during the switch of writes. The write is
/// not applied; a good client makes it again.
const BUFFERED_AUTOCOMMIT: &str = "1815 VT13001";

#[test]
fn a_reshard_under_load_keeps_every_row() {
    let started = Vitess::start(&Shape::of_shards(BEFORE));
    let Some(mut vitess) = or_left_out("a reshard of Vitess", started) else {
        return;
    };
    let vtctld = vitess.vtctld().clone();
    let mut clock = Clock::start();

    let spec = load(&mut vitess);
    Load::seed(&spec).unwrap();
    clock.done("seed");
    let load = Load::start(spec).unwrap();

    vitess.add_shards(AFTER).unwrap();
    clock.done("new tablets");

    let reshard = Reshard::new(KEYSPACE, WORKFLOW, BEFORE, AFTER);
    vitess.block_on(vtctld.create_reshard(&reshard)).unwrap();
    await_running(&vitess);
    clock.done("copy");

    let vdiff = compare(&vitess);
    assert!(!vdiff.has_mismatch(), "{vdiff:#?}");
    assert!(vdiff.rows_compared() >= u64::from(CUSTOMERS), "{vdiff:#?}");
    clock.done("comparison");

    switch(&vitess, &[TabletType::Rdonly, TabletType::Replica]);
    clock.done("switch of reads");
    switch(&vitess, &[TabletType::Primary]);
    clock.done("switch of writes");
    vitess.await_serving(AFTER).unwrap();
    let frozen = vitess
        .block_on(vtctld.workflow(KEYSPACE, WORKFLOW))
        .unwrap();
    assert!(frozen.unwrap().is_frozen());
    await_writes(&load, 1_000);

    vitess
        .block_on(vtctld.complete_reshard(KEYSPACE, WORKFLOW))
        .unwrap();
    clock.done("completion, after some more load");
    let gone = vitess
        .block_on(vtctld.shard(KEYSPACE, BEFORE[0]))
        .unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    vitess.stop_shard(BEFORE[0]).unwrap();
    await_writes(&load, 500);

    let (ledger, summary) = load.stop().unwrap();
    let primaries = vitess.primaries(AFTER).unwrap();
    let verdict = truth::check(&ledger, &primaries).unwrap();
    clock.done("check of all rows");
    clock.report(&summary, &verdict);
    judge(&ledger, &summary, &verdict);
}

/// Load by a trace of a real service, with all kinds of requests.
fn load(vitess: &mut Vitess) -> LoadSpec {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces/ms_ingress-01.csv.gz");
    let series = trace::read(&path, &trace::ReadOptions::default(), &mut |_| {}).unwrap();
    LoadSpec {
        rate: Rate::of_trace(&series.values, TRACE_STEP, PEAK_PER_SECOND),
        ..LoadSpec::new(vitess.gate().unwrap(), KEYSPACE, CUSTOMERS)
    }
}

fn await_running(vitess: &Vitess) {
    let vtctld = vitess.vtctld();
    until("the workflow's streams run", || {
        let workflow = vitess
            .block_on(vtctld.workflow(KEYSPACE, WORKFLOW))
            .unwrap();
        let workflow = workflow.ok_or("it is not there")?;
        workflow
            .is_running()
            .then_some(())
            .ok_or_else(|| format!("{workflow:#?}"))
    });
}

/// Compares source and target. A mismatch counts only if a second comparison finds one as well: the first may have
/// read rows that were on their way.
fn compare(vitess: &Vitess) -> Vdiff {
    let first = compare_once(vitess);
    if first.has_mismatch() {
        compare_once(vitess)
    } else {
        first
    }
}

fn compare_once(vitess: &Vitess) -> Vdiff {
    let vtctld = vitess.vtctld();
    let request = VdiffRequest::new(KEYSPACE, WORKFLOW);
    let uuid = vitess.block_on(vtctld.create_vdiff(&request)).unwrap();
    until("the comparison is done", || {
        let vdiff = vitess
            .block_on(vtctld.vdiff(KEYSPACE, WORKFLOW, &uuid))
            .unwrap();
        match vdiff.state() {
            VdiffState::Completed => Ok(vdiff),
            VdiffState::Pending | VdiffState::Started => Err(format!("{vdiff:#?}")),
            _ => panic!("{vdiff:#?}"),
        }
    })
}

fn switch(vitess: &Vitess, tablet_types: &[TabletType]) {
    let switch = SwitchTraffic::forward(KEYSPACE, WORKFLOW, tablet_types);
    vitess
        .block_on(vitess.vtctld().switch_traffic(&switch))
        .unwrap();
}

/// Waits until so many more writes were acknowledged.
fn await_writes(load: &Load, more: u64) {
    let before = load.fates()[0];
    until("writes are acknowledged", || {
        let now = load.fates()[0];
        (now >= before + more)
            .then_some(())
            .ok_or_else(|| format!("{} of {more}", now - before))
    });
}

/// Rows exact; no read and no transaction failed; writes in autocommit mode failed only as is known of this version,
/// and each was made again.
fn judge(ledger: &Ledger, summary: &Summary, verdict: &Verdict) {
    assert!(verdict.is_exact(), "{}", verdict.to_json());
    let [acknowledged, _, unknown] = ledger.fates();
    assert!(acknowledged > 1_500, "{acknowledged}");
    assert_eq!(unknown, 0, "{}", summary.to_json());
    assert_eq!(summary.missed, 0);
    for kind in Kind::ALL {
        let total = &summary.totals[&kind];
        assert_eq!(total.failed_requests, 0, "{kind:?}: {}", summary.to_json());
        if !kind.is_autocommit_write() {
            assert_eq!(total.failed_attempts, 0, "{kind:?}: {}", summary.to_json());
        }
    }
    for line in &summary.errors {
        assert_eq!(line.error, BUFFERED_AUTOCOMMIT, "{line:#?}");
    }
    for shard in AFTER {
        assert!(verdict.shards[*shard].customers > u64::from(CUSTOMERS / 3));
    }
}

/// Looks until there is no objection any more.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if begun.elapsed() > LIMIT => panic!("not within {LIMIT:?}: {what}: {seen}"),
            Err(_) => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

/// How long each step took.
struct Clock {
    last: Instant,
    steps: Vec<String>,
}

impl Clock {
    fn start() -> Self {
        Self {
            last: Instant::now(),
            steps: Vec::new(),
        }
    }

    fn done(&mut self, step: &str) {
        let took = self.last.elapsed();
        self.steps
            .push(format!("{step} {:.1} s", took.as_secs_f64()));
        self.last = Instant::now();
    }

    fn report(&self, summary: &Summary, verdict: &Verdict) {
        println!("{}", self.steps.join(", "));
        for (kind, total) in &summary.totals {
            println!("{kind:?}: {total:?}");
        }
        for line in &summary.errors {
            println!("{line:?}");
        }
        println!("{} rows: {:?}", verdict.rows(), verdict.shards);
    }
}
