use foreshard_forecast::Series;

use super::*;
use crate::replay::{Scaler, View, play};
use crate::replay_testing::daily;

fn trace() -> Series {
    Series {
        start: 0,
        step: 300,
        values: daily(300, 576, 2),
    }
}

fn cluster() -> Cluster {
    Cluster::new(&trace(), ClusterOptions::default()).unwrap()
}

/// As many as the sample takes at 80 %.
fn simple(seen: Option<f64>, capacity: f64) -> Option<u32> {
    Some((seen? / (0.8 * capacity)).ceil() as u32)
}

struct Simple;

impl Scaler for Simple {
    fn decide(&mut self, view: &View<'_>) -> Option<u32> {
        simple(view.seen.map(|sample| sample.value), view.capacity)
    }
}

fn live(cluster: &mut Cluster) {
    loop {
        let counts: Vec<(String, Option<u32>)> = cluster
            .parts()
            .iter()
            .map(|part| {
                let view = part.view();
                (
                    part.id().to_owned(),
                    simple(view.seen.map(|sample| sample.value), view.capacity),
                )
            })
            .collect();
        for (id, count) in counts {
            if let Some(count) = count {
                cluster.apply(&id, count).unwrap();
            }
        }
        if !cluster.tick() {
            break;
        }
    }
}

#[test]
fn it_has_the_parts_of_a_vitess() {
    let cluster = cluster();
    let parts: Vec<_> = cluster
        .parts()
        .iter()
        .map(|part| {
            (
                part.id(),
                part.parent(),
                part.kind().name(),
                part.view().lag_seconds,
            )
        })
        .collect();
    assert_eq!(
        parts,
        [
            ("zone1/vtgate", "", "vtgate-pool", 120),
            ("commerce", "", "keyspace", 3600),
            ("commerce/zone1/replica", "commerce", "tablet-pool", 600),
        ]
    );
    assert_eq!(cluster.now(), 86_400, "the second half begins");
    let [vtgate, shard, replica] = cluster.parts() else {
        panic!("three parts")
    };
    assert!((replica.demand() / vtgate.demand() - 0.7).abs() < 1e-12);
    assert!((shard.demand() / vtgate.demand() - 0.3).abs() < 1e-12);
    let shown = cluster.observe(0);
    assert_eq!(shown.parts[1].offers[0].action, "replicas");
    assert_eq!(shown.signals[2].part, "commerce/zone1/replica");
    assert!(
        shown
            .signals
            .iter()
            .all(|signal| signal.history.end() <= cluster.now() - 60)
    );
    assert_eq!(cluster.shards().len() as u32, shard.view().ready);
}

#[test]
fn changes_take_the_time_of_their_kind() {
    let mut cluster = cluster();
    let ready = |cluster: &Cluster| [0, 1, 2].map(|part: usize| cluster.parts()[part].view().ready);
    let before = ready(&cluster);
    for id in ["zone1/vtgate", "commerce", "commerce/zone1/replica"] {
        assert_eq!(cluster.apply(id, 1000).unwrap(), 80);
    }
    let mut ready_after = [0; 3];
    for minute in 0..=60 {
        for (part, after) in ready_after.iter_mut().enumerate() {
            let now = ready(&cluster)[part];
            assert!(now == before[part] || now == 80);
            if now == 80 && *after == 0 {
                *after = minute;
            }
        }
        assert!(cluster.tick());
    }
    assert_eq!(ready_after, [2, 60, 10]);
    let recent = cluster.observe(2).recent;
    assert_eq!(
        (recent.len(), recent[0].part.as_str()),
        (2, "commerce/zone1/replica")
    );
    assert_eq!(cluster.observe(9).parts[0].last_change, Some(86_400.0));
}

#[test]
fn each_kind_is_judged_as_the_replay_judges_it() {
    let mut cluster = cluster();
    assert_eq!(
        cluster.reports("trace", "simple"),
        None,
        "not before the end"
    );
    live(&mut cluster);
    assert!(cluster.is_over() && !cluster.tick());
    assert_eq!(cluster.now(), 2 * 86_400);
    let reports = cluster.reports("trace", "simple").unwrap();
    for (report, (share, lag)) in reports.iter().zip([(1.0, 120), (0.3, 3600), (0.7, 600)]) {
        let mut load = trace();
        load.values.iter_mut().for_each(|value| *value *= share);
        let options = Options {
            lag_seconds: lag,
            capacity: None,
            seed: 1,
        };
        let world = World::new(&load, &options).unwrap();
        let run = play(&world, &mut Simple);
        assert_eq!(
            cluster.lived(&report.part).unwrap().1,
            &run,
            "{}",
            report.part
        );
        let alone = Report::new("trace", "simple", &world, &run, &Peers::new(&world));
        assert_eq!(report.report, alone);
    }
    assert!(reports[0].report.policies.len() == 10);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut cluster = cluster();
    let error = cluster.apply("commerce/-80", 3).unwrap_err().to_string();
    assert!(
        error.contains("commerce/-80") && error.contains("zone1/vtgate"),
        "{error}"
    );
    for factor in [0.0, -1.0, f64::NAN] {
        let options = ClusterOptions {
            load_factor: factor,
            ..ClusterOptions::default()
        };
        let error = Cluster::new(&trace(), options).err().expect("refused");
        assert!(error.to_string().contains("load factor"), "{error}");
    }
    let short = Series {
        values: vec![1.0; 12],
        ..trace()
    };
    let error = Cluster::new(&short, ClusterOptions::default())
        .err()
        .expect("refused");
    assert!(error.to_string().contains("more than 4 hours"), "{error}");
}
