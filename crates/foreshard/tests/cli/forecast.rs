//! `foreshard forecast`: the document and what it may know.

use serde_json::Value;

use crate::support::{Place, trace, wave};

#[test]
fn the_document_has_every_field_and_begins_at_the_moment() {
    let place = Place::new();
    place.write("load.csv", wave(12));
    let at = "2026-01-15T06:00:00Z";
    let question = [
        "forecast",
        "--input",
        "load.csv",
        "--at",
        at,
        "--horizon",
        "2h",
    ];
    let asked = [
        "--quantile",
        "0.9",
        "--quantile",
        "0.5",
        "--peak",
        "10m/5m",
        "--output",
        "json",
    ];
    let document = place.run(&[question.as_slice(), &asked].concat()).json();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    let expected = [
        "issued_at",
        "model",
        "peaks",
        "quantiles",
        "reasons",
        "reliable",
        "skill",
        "start",
        "step_seconds",
    ];
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(
        (&document["issued_at"], &document["start"]),
        (&at.into(), &at.into())
    );
    assert_eq!(document["step_seconds"], 300);
    let quantiles = document["quantiles"].as_array().unwrap();
    assert_eq!(
        quantiles
            .iter()
            .map(|level| level["q"].as_f64().unwrap())
            .collect::<Vec<_>>(),
        [0.5, 0.9]
    );
    for quantile in quantiles {
        assert_eq!(quantile["values"].as_array().unwrap().len(), 24);
    }
    let median = numbers(&quantiles[0]["values"]);
    let upper = numbers(&quantiles[1]["values"]);
    assert!(median.iter().zip(&upper).all(|(low, high)| low <= high));
    // A quarter of a day into the wave: 100, rising.
    assert!((95.0..115.0).contains(&median[0]), "{median:?}");
    let peak = &document["peaks"][0];
    assert_eq!(
        (&peak["lead_seconds"], &peak["window_seconds"]),
        (&600.into(), &300.into())
    );
    assert_eq!(peak["quantiles"].as_array().unwrap().len(), 2);
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

#[test]
fn what_comes_after_the_moment_changes_nothing() {
    let place = Place::new();
    let whole = wave(12);
    let cut = 1 + 10 * 288;
    let known: Vec<&str> = whole.lines().take(cut).collect();
    let altered: Vec<String> = whole
        .lines()
        .enumerate()
        .map(|(i, line)| {
            if i < cut {
                line.to_owned()
            } else {
                format!("{}9", line.replace(",", ",9"))
            }
        })
        .collect();
    place.write("whole.csv", &whole);
    place.write("known.csv", known.join("\n"));
    place.write("altered.csv", altered.join("\n"));
    let forecast = |args: &[&str]| {
        place
            .run(&[["forecast", "--output", "json", "--input"].as_slice(), args].concat())
            .json()
    };
    let at = "2026-01-15T00:00:00Z";
    let expected = forecast(&["known.csv"]);
    assert_eq!(forecast(&["whole.csv", "--at", at]), expected);
    assert_eq!(forecast(&["altered.csv", "--at", at]), expected);
}

#[test]
fn steps_below_a_minute_begin_at_the_moment_too() {
    let place = Place::new();
    let mut text = String::from("timestamp,value\n");
    for i in 0..20_000_i64 {
        text.push_str(&format!("{},{}\n", i * 20, 10 + i % 180));
    }
    place.write("fine.csv", text);
    for at in [
        "1970-01-05T00:00:00Z",
        "1970-01-05T00:00:20Z",
        "1970-01-05T00:00:40Z",
    ] {
        let document = place
            .run(&[
                "forecast",
                "--input",
                "fine.csv",
                "--at",
                at,
                "--horizon",
                "10m",
            ])
            .json();
        assert_eq!(document["start"], at);
    }
}

#[test]
fn odd_loads_are_forecast_and_say_so() {
    let place = Place::new();
    let rows = |value: &dyn Fn(i64) -> f64, bins: i64| {
        let rows: String = (0..bins)
            .map(|i| format!("{},{}\n", i * 300, value(i)))
            .collect();
        format!("timestamp,value\n{rows}")
    };
    place.write("zeros.csv", rows(&|_| 0.0, 9 * 288));
    place.write("short.csv", rows(&|i| i as f64, 100));
    place.write(
        "negative.csv",
        rows(&|i| -50.0 + (i % 288) as f64 / 10.0, 9 * 288),
    );
    for file in ["zeros.csv", "short.csv"] {
        let document = place
            .run(&["forecast", "--input", file, "--horizon", "1h"])
            .json();
        assert_eq!(document["reliable"], false, "{file}");
        assert!(
            !document["reasons"].as_array().unwrap().is_empty(),
            "{file}"
        );
    }
    let zeros = place
        .run(&["forecast", "--input", "zeros.csv", "--horizon", "1h"])
        .json();
    assert!(
        numbers(&zeros["quantiles"][0]["values"])
            .iter()
            .all(|value| *value == 0.0)
    );
    let negative = place
        .run(&["forecast", "--input", "negative.csv", "--horizon", "1h"])
        .json();
    assert!(
        numbers(&negative["quantiles"][0]["values"])
            .iter()
            .all(|value| *value < 0.0)
    );
}

#[test]
fn people_get_a_table() {
    let input = trace("nab_asg_cpu.csv.gz");
    let ended = Place::new().run(&[
        "forecast", "--input", &input, "--peak", "10m/5m", "--output", "table",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for part in [
        "Forecast from 2014-07-15T17:20:00Z",
        "P50",
        "P99",
        "maximum over",
        "600 s to 900 s",
    ] {
        assert!(
            ended.stdout.contains(part),
            "{part} is missing:\n{}",
            ended.stdout
        );
    }
}
