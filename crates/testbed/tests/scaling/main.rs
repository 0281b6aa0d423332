//! Ahead of a real load: the operator's image on a real node, installed as its users do, beside a real
//! HorizontalPodAutoscaler.
//!
//! Prometheus has 28 days of a recorded load, moved in time so that one of its rises is nine minutes ahead; then fifteen
//! minutes are lived through. Four Deployments are under the same load: one policy observes, one waits for approvals,
//! one acts, and an autoscaler of Kubernetes steers to the same load per replica. What is asserted is order and safety.
//! Figures of one rise on a machine that is busy otherwise are shown, and those that can be compared come from the
//! replay model.
//!
//! Needs root, the parts of beds `node` and `prometheus`, and the image: `sudo -E cargo xtask e2e scaling` has all.
//! With `FORESHARD_E2E_SMOKE=1` it ends once everybody has learned.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod adapter;
mod course;
mod picture;
mod replay;
mod scene;
mod stage;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foreshard_testbed::{Exporter, Node, Prometheus, or_left_out};
use serde_json::{Value, json};

use course::{Course, Figures};
use scene::Scene;
use stage::{ALL, APPROVE, AUTO, HPA, OBSERVE, QUERY, Stage};

/// Until the rise, once everything runs: time to learn, to start replicas, and to live through before it.
const AHEAD_SECONDS: i64 = 540;
/// How long before and after the rise is looked at.
const BEFORE_SECONDS: i64 = 360;
const AFTER_SECONDS: i64 = 510;
/// Between two looks.
const LOOK_SECONDS: i64 = 5;
/// How long a person takes to approve.
const APPROVAL_SECONDS: i64 = 45;
/// An approval is carried out within this.
const CARRIED_OUT_SECONDS: i64 = 60;

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Who is at which place.
fn place(name: &str) -> usize {
    ALL.iter().position(|it| *it == name).unwrap()
}

fn now() -> i64 {
    precise().floor() as i64
}

fn precise() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// What a person does: reads a recommendation, and approves it a while later.
#[derive(Default)]
struct Approver {
    /// When, and to how many replicas.
    given: Vec<(i64, u32)>,
    seen: Vec<(String, i64)>,
}

impl Approver {
    fn look(&mut self, stage: &Stage) {
        for made in stage.recommendations(APPROVE) {
            let name = made["metadata"]["name"].as_str().unwrap().to_owned();
            match self.seen.iter_mut().find(|(seen, _)| *seen == name) {
                None => self.seen.push((name, now())),
                Some((_, since)) if *since + APPROVAL_SECONDS <= now() => {
                    // Once.
                    *since = i64::MAX - APPROVAL_SECONDS;
                    let (from, to) = step(&made);
                    self.given.push((now(), to));
                    stage.approve(&made);
                    stage.say(&format!("approved {name}: {from} to {to}"));
                }
                Some(_) => {}
            }
        }
    }
}

/// Replicas from and to in a recommendation's plan.
fn step(recommendation: &Value) -> (u32, u32) {
    let count = |name: &str| recommendation["spec"]["plan"][0][name].as_u64().unwrap() as u32;
    (count("from"), count("to"))
}

#[test]
fn capacity_is_there_before_the_load_and_only_as_far_as_allowed() {
    let Some(node) = or_left_out("a real node", Node::start()) else {
        return;
    };
    let root = root();
    let stage = Stage::new(node, &root);
    let host = stage.node().network().host();
    let scene = Scene::rising_from(&root, now() + AHEAD_SECONDS);
    let read = scene.clone();
    let exporter = Exporter::counter("requests_total", move || Some(read.requests(precise())));
    let exporter = exporter.unwrap();
    // What a scrape adds, so that history and present are one series.
    let labels = [
        ("instance", exporter.address().to_string()),
        ("job", "testbed".to_owned()),
    ];
    let labels = labels
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
    let history = [scene.history(labels, now())];
    let remembered = Prometheus::with_history_at(host, &history);
    let Some(mut prometheus) = or_left_out("prometheus", remembered) else {
        return;
    };
    prometheus
        .scrape(&[exporter.address()], Duration::from_secs(5))
        .unwrap();
    stage.say("Prometheus has 28 days and scrapes");
    stage.policies(prometheus.url());
    let skills = stage.learned();
    stage.say(&format!("all policies are ready, with skills {skills:?}"));
    let api = prometheus.api().clone();
    stage.autoscaler(adapter::serve(host, api, QUERY));
    stage.say("the autoscaler follows the same load");
    assert_eq!(stage.operator_restarts(), 0);
    if std::env::var_os("FORESHARD_E2E_SMOKE").is_some() {
        return;
    }
    let course = live(&stage, &scene);
    finish(&stage, &scene, &course.0, &course.1, &root);
}

/// Lives through the rise.
fn live(stage: &Stage, scene: &Scene) -> (Course, Approver) {
    let (mut course, mut approver) = (Course::default(), Approver::default());
    stage.started();
    let late = now() - (scene.rise() - BEFORE_SECONDS);
    assert!(
        late < 180,
        "this machine is too busy: ready {late} s too late"
    );
    let mut told = 0;
    while now() < scene.rise() + AFTER_SECONDS {
        let counts = stage.counts();
        course.look(now(), scene, counts);
        approver.look(stage);
        if now() - told >= 30 {
            told = now();
            let shown = ALL
                .iter()
                .zip(counts)
                .map(|(name, (wanted, ready))| format!("{name} {ready}/{wanted}"));
            stage.say(&format!(
                "{:+4} s: {:4.0} requests/s need {:.1}; ready/wanted: {}",
                told - scene.rise(),
                scene.load(precise()),
                scene.load(precise()) / scene::CAPACITY,
                shown.collect::<Vec<_>>().join(", ")
            ));
        }
        thread::sleep(Duration::from_secs(LOOK_SECONDS as u64));
    }
    (course, approver)
}

fn finish(stage: &Stage, scene: &Scene, course: &Course, approver: &Approver, root: &Path) {
    let (from, to) = (scene.rise() - BEFORE_SECONDS, scene.rise() + AFTER_SECONDS);
    let figures: Vec<Figures> = (0..ALL.len())
        .map(|place| course.figures(place, scene, from))
        .collect();
    let folder = stage::results(root);
    let replay = replay::replay(root, &folder, scene.in_trace(from), scene.in_trace(to));
    let at = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H-%M-%SZ")
        .to_string();
    let looks: Vec<Value> = course
        .looks
        .iter()
        .map(|look| json!({"seconds_after_rise": look.at - scene.rise(), "load": look.load, "wanted_and_ready": look.counts}))
        .collect();
    let decided: Vec<Value> = stage
        .recommendations(AUTO)
        .iter()
        .map(|it| {
            let explained = &it["spec"]["explanation"];
            json!({"issued": it["spec"]["issuedTime"], "plan": it["spec"]["plan"], "explanation": explained})
        })
        .collect();
    let result = json!({
        "at": at, "trace": scene::TRACE, "history_days": scene::HISTORY_DAYS, "rise_in_trace": scene.in_trace(scene.rise()),
        "target": scene::TARGET, "capacity": scene::CAPACITY, "start_up_seconds": stage::START_UP_SECONDS,
        "approval_seconds": APPROVAL_SECONDS, "order": ALL,
        "decided": decided, "figures": figures.iter().map(Figures::json).collect::<Vec<_>>(), "replay": replay, "looks": looks,
    });
    let path = folder.join(format!("{at}-scaling.json"));
    std::fs::write(&path, serde_json::to_string_pretty(&result).unwrap()).unwrap();
    picture::write(&path.with_extension("svg"), scene, course);
    println!(
        "\nThe load rose from {:.0} to {:.0} requests/s; a replica serves {:.0} and takes {} s to start. Times are after the rise.",
        scene.load(from as f64),
        scene.peak(from, to),
        scene::CAPACITY,
        stage::START_UP_SECONDS
    );
    println!("{}", Figures::heading());
    figures.iter().for_each(|row| println!("{}", row.row()));
    replay::lines(&replay)
        .iter()
        .for_each(|line| println!("{line}"));
    println!("{} and .svg\n", path.display());
    check(stage, scene, course, approver, &figures);
}

/// Order and safety.
fn check(stage: &Stage, scene: &Scene, course: &Course, approver: &Approver, figures: &[Figures]) {
    course.assert_within_limits();
    for name in [APPROVE, AUTO, HPA] {
        course.assert_never_below_need(place(name), scene);
    }
    // Observe recommends and does nothing.
    assert_eq!(course.changes(place(OBSERVE)), []);
    let recommended = stage.recommendations(OBSERVE);
    assert!(
        recommended.iter().map(step).any(|(from, to)| to > from),
        "{recommended:#?}"
    );
    // Approve does what was approved, soon, and nothing else.
    let done = course.changes(place(APPROVE));
    assert!(
        !done.is_empty(),
        "nothing was approved: {:?}",
        approver.seen
    );
    for (at, from, to) in &done {
        let allowed = approver
            .given
            .iter()
            .any(|(given, count)| count == to && (0..=CARRIED_OUT_SECONDS).contains(&(at - given)));
        assert!(
            allowed,
            "{from} to {to} at {at}, and approved were {:?}",
            approver.given
        );
    }
    // Auto had capacity before the load, and before the autoscaler.
    let (auto, hpa) = (&figures[place(AUTO)], &figures[place(HPA)]);
    let or_never = |at: Option<i64>| at.unwrap_or(i64::MAX);
    assert!(auto.first_step.is_some_and(|at| at < 0), "{}", auto.row());
    assert!(or_never(auto.first_step) < or_never(hpa.first_step));
    assert!(or_never(auto.ready_for_peak) < or_never(hpa.ready_for_peak));
    assert!(auto.under_need_seconds <= hpa.under_need_seconds);
    assert_eq!(stage.operator_restarts(), 0, "{}", stage.operator_log());
}
