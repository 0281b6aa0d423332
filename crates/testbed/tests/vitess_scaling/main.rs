//! Pools of a real Vitess ahead of a real load: everything on a real node by `kubectl`, as users have it.
//!
//! Both operators run from their image, with the rights that are deployed. A Vitess with a Prometheus of its own comes up;
//! what that Prometheus would have scraped in the 28 days before is written beside what it scrapes, and then the load is
//! real: queries through a gateway, as many as the recorded load says, with one of its rises minutes ahead. Policies
//! of a pool of gateways and of a pool of tablets read the metrics of Vitess itself and scale both.
//!
//! Needs root, the parts of beds `node` and `prometheus`, and the image: `sudo -E cargo xtask e2e vitess` has all.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod queries;
#[path = "../scaling/scene.rs"]
#[allow(dead_code, reason = "the other test uses more of it")]
mod scene;
mod stage;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foreshard_testbed::{Node, Prometheus, or_left_out};
use serde_json::{Value, json};

use queries::Queries;
use scene::{CAPACITY, REPLICAS, Scene, TARGET};
use stage::Stage;

/// Until the rise, once everything runs.
const AHEAD_SECONDS: i64 = 480;
/// How long the load is kept up after it.
const AFTER_SECONDS: i64 = 90;
/// A request of the scene stands for this many queries: a machine has two cores.
const SHARE: f64 = 0.06;

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn precise() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs_f64()
}

fn now() -> i64 {
    precise().floor() as i64
}

/// Policies: name, kind and name of the target, metric, queries a second for each replica, fewest and most.
const POLICIES: [(&str, &str, &str, &str, f64, u32, u32); 2] = [
    (
        "gateways",
        "VTGatePool",
        "example-zone1",
        "vtgate_api_count",
        TARGET * SHARE,
        1,
        10,
    ),
    // A primary takes all of these: what is shown is that its shard's pool is scaled by them.
    (
        "tablets",
        "TabletPool",
        "example-commerce-x-x-zone1-replica-main",
        "vttablet_queries_count",
        TARGET * SHARE,
        3,
        4,
    ),
];

#[test]
fn pools_of_a_real_vitess_are_ahead_of_a_real_load() {
    let Some(node) = or_left_out("a real node", Node::start()) else {
        return;
    };
    let root = root();
    let stage = Stage::new(node, &root);
    stage.vitess();
    let scene = Scene::rising_from(&root, now() + AHEAD_SECONDS);
    let queries = Queries::start(stage.gateway(), {
        let scene = scene.clone();
        move || scene.requests(precise()) * SHARE
    });
    let folder = stage.samples();
    Prometheus::write_history(&[history(&scene, 0), history(&scene, 1)], &folder).unwrap();
    stage.owned_by_prometheus(&folder);
    stage.say("its Prometheus has 28 days");
    stage.sees_history(POLICIES[0].3);
    for (name, kind, target, metric, each, fewest, most) in POLICIES {
        stage.post(
            "scalingpolicies",
            &policy(name, (kind, target), metric, each, (fewest, most)),
        );
    }
    let skills = POLICIES.map(|(name, ..)| stage.learned(name));
    stage.say(&format!("both policies are ready, with skills {skills:?}"));

    let first = live(&stage, &scene);
    let (asked, failed) = queries.end();
    stage.say(&format!("{asked} queries, {failed} of them not answered"));
    for (at, (name, ..)) in first.iter().zip(POLICIES) {
        let at = at.unwrap_or_else(|| panic!("{name} never scaled out: {}", stage.operator_log()));
        let ahead = scene.rise() - at;
        stage.say(&format!("{name}: first step {ahead} s before the rise"));
        assert!(ahead > 0, "{name}: {ahead} s");
    }
    assert!(failed * 100 <= asked, "{failed} of {asked}");
    stage.deletion_is_refused_and_then_allowed();
}

/// Lives through the rise; answers when each pool was first asked for more than the load took before.
fn live(stage: &Stage, scene: &Scene) -> [Option<i64>; 2] {
    let mut first = [None, None];
    let mut told = 0;
    while now() < scene.rise() + AFTER_SECONDS {
        let counts = POLICIES.map(|(_, kind, target, ..)| stage.counts(kind, target));
        for (first, (wanted, _)) in first.iter_mut().zip(counts) {
            if wanted > REPLICAS && first.is_none() {
                *first = Some(now());
            }
        }
        if now() - told >= 30 {
            told = now();
            let load = scene.load(precise());
            stage.say(&format!(
                "{:+4} s: {:3.0} queries/s need {:.1}; wanted and ready: gateways {:?}, tablets {:?}",
                told - scene.rise(),
                load * SHARE,
                load / CAPACITY,
                counts[0],
                counts[1]
            ));
        }
        thread::sleep(Duration::from_secs(2));
    }
    let needed = scene.peak(scene.rise(), now()) / CAPACITY;
    let (_, ready) = stage.counts(POLICIES[0].1, POLICIES[0].2);
    assert!(
        f64::from(ready) >= needed,
        "{ready} gateways, and {needed:.1} are needed"
    );
    first
}

/// What the Prometheus would have scraped of a metric.
fn history(scene: &Scene, of: usize) -> foreshard_testbed::HistorySeries {
    let labels = [("vitess", "example"), ("job", "vitess")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut series = scene.history(labels.to_vec(), now());
    POLICIES[of].3.clone_into(&mut series.name);
    for (_, value) in &mut series.samples {
        *value *= SHARE;
    }
    series
}

fn policy(
    name: &str,
    (kind, target): (&str, &str),
    metric: &str,
    each: f64,
    (fewest, most): (u32, u32),
) -> Value {
    json!({
        "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
        "spec": {
            "targetRef": {"apiVersion": "foreshard.dev/v1alpha1", "kind": kind, "name": target},
            "signals": [{
                "name": "queries", "query": format!("sum(rate({metric}{{vitess=\"example\"}}[1m]))"),
                "unit": "queries/s", "sourceRef": {"name": "example"}, "targetAverageValue": format!("{each:.3}"),
            }],
            "actions": [{"type": "Replicas", "mode": "Auto", "min": fewest, "max": most, "leadTimeSeconds": 120}],
        },
    })
}
