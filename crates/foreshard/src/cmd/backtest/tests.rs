use std::sync::Arc;

use clap::Parser as _;
use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::{Context, Needs, Verdict};
use foreshard_engine::{Binding, Policies};
use foreshard_forecast::Series;

use super::*;

#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &str) -> Result<Args, clap::Error> {
    Cli::try_parse_from(std::iter::once("backtest").chain(line.split_whitespace()))
        .map(|cli| cli.args)
}

/// A policy that has no opinion, so that the reactive rule at 70 % decides.
#[derive(Clone)]
struct Silent([Binding; 1]);

impl Silent {
    fn user(budget: f64) -> UserPolicy<Self> {
        let needs = Needs {
            signals: vec![],
            forecasts: vec![],
            part_kinds: vec![],
            recent_changes: 0,
        };
        let binding = Binding {
            name: "silent".to_owned(),
            digest: String::new(),
            config: "{}".to_owned(),
            memory_version: 0,
            needs,
        };
        UserPolicy {
            name: "silent".to_owned(),
            policies: Self([binding]),
            budget,
            zone: "UTC".to_owned(),
        }
    }
}

impl Policies for Silent {
    fn bindings(&self) -> &[Binding] {
        &self.0
    }

    fn evaluate(&mut self, _: usize, _: &Arc<Context>) -> PolicyAnswer {
        PolicyAnswer {
            policy: "silent".to_owned(),
            digest: String::new(),
            uses_forecast: false,
            verdict: Verdict::Abstain("no opinion".to_owned()),
            findings: vec![],
        }
    }
}

fn prepared(name: &str) -> Prepared {
    let wave = |bin: i32| 100.0 - 60.0 * (f64::from(bin) / 288.0 * std::f64::consts::TAU).cos();
    let series = Series {
        start: 0,
        step: 300,
        values: (0..3 * 288).map(wave).collect(),
    };
    let world = World::new(
        &series,
        &Options {
            lag_seconds: 600,
            capacity: None,
            seed: 1,
        },
    )
    .unwrap();
    Prepared {
        name: name.to_owned(),
        peers: Peers::new(&world),
        world,
        calendar: Calendar::default(),
    }
}

#[test]
fn options_are_understood() {
    let args =
        parse("--trace a.csv --trace b.csv.gz --lag 1h --budget 0.5% --capacity 12.5 --seed 7")
            .unwrap();
    assert_eq!((args.trace.len(), args.lag, args.seed), (2, 3600, 7));
    assert_eq!((args.budget, args.capacity), (0.005, Some(12.5)));
    assert_eq!(args.policy, "builtin:forecast-headroom");
    let args = parse("--prometheus http://localhost --query up --from 2026-03-01 --to 2026-03-15")
        .unwrap();
    assert_eq!(
        (args.step, args.to.unwrap() - args.from.unwrap()),
        (60, 14 * 86_400)
    );
}

#[test]
fn a_wrong_line_is_refused_with_the_option_named() {
    for (line, named) in [
        ("", "--trace"),
        (
            "--trace a.csv --prometheus http://x --query up --from 2026-03-01 --to 2026-03-02",
            "--prometheus",
        ),
        ("--prometheus http://x --query up", "--from"),
        ("--trace a.csv --from 2026-03-01", "--prometheus"),
        ("--trace a.csv --lag 600", "--lag"),
        ("--trace a.csv --budget 0", "--budget"),
        ("--trace a.csv --capacity=-1", "--capacity"),
        ("--trace a.csv --policy-config {", "--policy-config"),
        ("--trace a.csv --svg out.svg", "--sweep-budget"),
        (
            "--trace a.csv --sweep-budget --timeline out.csv",
            "--timeline",
        ),
    ] {
        let error = parse(line).expect_err(line).to_string();
        assert!(error.contains(named), "{line}: {error}");
    }
}

#[test]
fn the_timeline_is_written_and_its_failure_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.csv");
    let one = prepared("wave");
    let judged = |path: &Path| {
        judge(
            &one,
            &Silent::user(0.01),
            Some(path),
            &ProgressBar::hidden(),
        )
    };
    let result = judged(&path).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        written.lines().count(),
        1 + one.world.end() - one.world.run_start()
    );
    assert_eq!(
        written.lines().nth(1).unwrap().split(',').next(),
        Some("1970-01-02T12:00:00Z")
    );
    assert_eq!(result.report.yours().policy, "silent");
    let error = judged(&directory.path().join("none").join("run.csv"))
        .err()
        .expect("no such directory");
    assert!(format!("{error:#}").contains("none"), "{error:#}");
}

#[test]
fn a_silent_policy_is_about_as_good_as_hpa() {
    let silent = Silent::user(0.01);
    let result = judge(&prepared("wave"), &silent, None, &ProgressBar::hidden()).unwrap();
    let hpa = result.report.peer("hpa").unwrap().figures.cost;
    assert!((result.report.yours().figures.cost / hpa - 1.0).abs() < 0.05);
    assert_eq!(result.acted_share, 0.0);
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(
        (&json["model"], &json["lag_seconds"]),
        (&"replay/1".into(), &600.into())
    );
    assert_eq!(json["policies"].as_array().unwrap().len(), 10);
    assert_eq!(json["forecast_acted_share"], 0.0);
}

#[test]
fn a_sweep_has_a_curve_for_each_policy_and_a_picture() {
    let sweep = sweep::sweep(&[prepared("one"), prepared("other")], &Silent::user(0.01));
    let curves: Vec<(&str, &str, usize)> = sweep
        .curves
        .iter()
        .map(|curve| (curve.policy.as_str(), curve.knob, curve.points.len()))
        .collect();
    assert_eq!(curves[0], ("silent", "budget", sweep::BUDGETS.len()));
    assert_eq!((curves[1].0, curves[2].0), ("hpa", "hpa-hold"));
    for curve in &sweep.curves[1..] {
        let costs = curve.points.iter().map(|point| point.figures.cost);
        assert!(costs.is_sorted(), "more head-room costs more");
    }
    let text = sweep::text(&sweep);
    assert!(
        text.contains("▶ silent") && text.contains("head-room +10 %"),
        "{text}"
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pareto.svg");
    picture::write(&path, &sweep).unwrap();
    let svg = std::fs::read_to_string(&path).unwrap();
    for part in [
        "<svg",
        "silent over budgets",
        "hpa-hold over head-rooms",
        "mean of 2 traces, lag 10 min",
    ] {
        assert!(svg.contains(part), "{part} is missing");
    }
}
