//! The same load in the replay model: there figures can be compared, because nothing but the policy differs.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::scene::{CAPACITY, TRACE};

/// Start-up, and what a sample and its evaluation take, in whole minutes.
const LAG: &str = "3m";
/// A percent of the trace is ten requests a second.
const CAPACITY_IN_TRACE: f64 = CAPACITY / 10.0;
/// Whose figures are shown.
const SHOWN: [&str; 3] = ["forecast-headroom", "hpa", "reactive at equal cost"];

/// What the model says of the trace's second half, and of the window from `from` to `to` in the trace's time.
pub(crate) fn replay(root: &Path, folder: &Path, from: i64, to: i64) -> Value {
    let timeline = folder.join("scaling-replay.csv");
    let program = root.join("target/debug/foreshard");
    let output = Command::new(&program)
        .args(["backtest", "--output", "json", "--lag", LAG])
        .args(["--capacity", &CAPACITY_IN_TRACE.to_string()])
        .arg("--trace")
        .arg(root.join(TRACE))
        .arg("--timeline")
        .arg(&timeline)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}: run `cargo xtask e2e scaling`",
                program.display()
            )
        });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "foreshard backtest: {said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let window = window(&fs::read_to_string(&timeline).unwrap(), from, to);
    fs::remove_file(&timeline).unwrap();
    let policies = report["policies"].as_array().unwrap();
    let shown: Vec<&Value> = policies
        .iter()
        .filter(|it| SHOWN.iter().any(|name| it["policy"] == *name))
        .collect();
    json!({
        "model": report["model"], "lag_seconds": report["lag_seconds"], "scored_from": report["scored_from"],
        "scored_to": report["scored_to"], "policies": shown, "window": window,
    })
}

/// Minutes of the timeline in the window.
fn window(timeline: &str, from: i64, to: i64) -> Vec<Value> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let at: jiff::Timestamp = fields[0].parse().unwrap();
        let number = |place: usize| fields[place].parse::<f64>().unwrap();
        (from..=to).contains(&at.as_second()).then(
            || json!({"at": fields[0], "load": number(1), "wanted": number(3), "ready": number(4)}),
        )
    };
    timeline.lines().skip(1).filter_map(row).collect()
}

/// For people.
pub(crate) fn lines(replay: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "replay model ({}, lag {} s, {} to {}):",
        replay["model"].as_str().unwrap(),
        replay["lag_seconds"],
        replay["scored_from"].as_str().unwrap(),
        replay["scored_to"].as_str().unwrap()
    )];
    for policy in replay["policies"].as_array().unwrap() {
        let share = |name: &str| 100.0 * policy[name].as_f64().unwrap();
        lines.push(format!(
            "  {:24}  over capacity {:6.3} % of the time, lost load {:6.3} %, cost {:5.2}",
            policy["policy"].as_str().unwrap(),
            share("over_capacity_share"),
            share("lost_share"),
            policy["cost"].as_f64().unwrap()
        ));
    }
    let window = replay["window"].as_array().unwrap();
    let ready: Vec<String> = window.iter().map(|row| row["ready"].to_string()).collect();
    let load = window
        .iter()
        .map(|row| format!("{:.0}", row["load"].as_f64().unwrap()));
    lines.push(format!(
        "  the same minutes, load:  {}",
        load.collect::<Vec<_>>().join(" ")
    ));
    lines.push(format!(
        "  the same minutes, ready: {}",
        ready.join(" ").replace(".0", "")
    ));
    lines
}
