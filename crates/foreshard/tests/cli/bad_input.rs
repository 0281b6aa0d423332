//! What can be wrong with what a user gives: each case ends with exit code 1 or 2 and a message with the fix.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Place, command, wave};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn traces_that_are_none() {
    let whole = gzip(wave(9).as_bytes());
    let cases: &[(&str, &[u8])] = &[
        ("empty.csv", b""),
        ("one-row.csv", b"timestamp,value\n2026-01-01 00:00:00,1\n"),
        ("unsorted.csv", b"timestamp,value\n0,1\n120,3\n60,2\n"),
        ("duplicate.csv", b"timestamp,value\n0,1\n60,2\n60,2\n"),
        (
            "zones.csv",
            b"timestamp,value\n2026-01-01T00:00:00Z,1\n2026-01-01T01:05:00+01:00,2\n",
        ),
        ("infinite.csv", b"timestamp,value\n0,1\n60,inf\n"),
        ("only-nan.csv", b"timestamp,value\n0,NaN\n60,NaN\n"),
        ("no-column.csv", b"time,value\n0,1\n60,2\n"),
        ("cut.csv.gz", &whole[..whole.len() / 2]),
        ("binary.csv", &[0, 159, 146, 150, 255, 254, 10, 7]),
    ];
    let place = Place::new();
    let mut report = String::new();
    for (name, bytes) in cases {
        place.write(name, bytes);
        for args in [
            ["forecast", "--input", name, "--horizon", "1h"].as_slice(),
            ["backtest", "--trace", name].as_slice(),
            ["evaluate", name].as_slice(),
        ] {
            let ended = place.run(args);
            assert_eq!(ended.code, 1, "{name}: {} {}", args[0], ended.stderr);
            if args[0] == "forecast" {
                report.push_str(&ended.failure());
            }
        }
    }
    report.push_str(&place.run(&["forecast", "--input", "none.csv"]).failure());
    insta::assert_snapshot!(report);
}

#[test]
fn questions_that_cannot_be_answered() {
    let place = Place::new();
    place.write("load.csv", wave(9));
    let cases: &[&[&str]] = &[
        &["--horizon", "0s"],
        &["--horizon", "365d"],
        &["--horizon", "1y"],
        &["--horizon", "24"],
        &["--at", "2020-01-01"],
        &["--at", "2026-01-05"],
        &["--at", "2030-01-01"],
        &["--at", "2026-01-12T00:02:00Z"],
        &["--at", "noon"],
        &["--quantile", "0"],
        &["--quantile", "1"],
        &["--quantile", "90"],
        &["--quantile", "NaN"],
        &["--peak", "10m"],
        &["--peak", "10m/0s"],
        &["--peak", "7d/1h"],
        &["--timezone", "Mars/Olympus"],
    ];
    let mut report = String::new();
    for case in cases {
        let args = [["forecast", "--input", "load.csv"].as_slice(), case].concat();
        let ended = place.run(&args);
        assert!(matches!(ended.code, 1 | 2), "{case:?}: {}", ended.stderr);
        report.push_str(&ended.failure());
    }
    insta::assert_snapshot!(report);
}

#[test]
fn prometheus_that_is_not_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let range = [
        "--query",
        "up",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-20",
    ];
    let args = [["backtest", "--prometheus", &url].as_slice(), &range].concat();
    let ended = Place::new().run(&args);
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .contains(&format!("failed to reach Prometheus at {url}")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_line_of_commands_that_is_wrong_is_exit_code_two() {
    let place = Place::new();
    for args in [
        ["fly"].as_slice(),
        &["forecast"],
        &["forecast", "--input"],
        &["--output", "xml", "demo"],
        &["operator", "--poll-every", "0s"],
    ] {
        assert_eq!(place.run(args).code, 2, "{args:?}");
    }
}

#[test]
fn files_that_are_no_policies() {
    let place = Place::new();
    // The shortest core module: its magic number and version.
    place.write("core-module.wasm", b"\0asm\x01\0\0\0");
    place.write("empty-component.wasm", b"\0asm\x0d\0\x01\0");
    place.write("text.wasm", "#!/bin/sh\necho policy\n");
    place.write("empty.wasm", "");
    let mut report = String::new();
    for file in [
        "core-module.wasm",
        "empty-component.wasm",
        "text.wasm",
        "empty.wasm",
        "none.wasm",
    ] {
        let ended = place.run(&["policy", "check", file]);
        assert!(
            matches!(ended.code, 1 | 3),
            "{file}: {}{}",
            ended.stdout,
            ended.stderr
        );
        report.push_str(&format!(
            "[{}] {}{}",
            ended.code, ended.stdout, ended.stderr
        ));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn only_a_config_that_is_given_is_judged() {
    let place = Place::new();
    let without = place.run(&["policy", "check", "builtin:schedule"]);
    assert_eq!(without.code, 0, "{}", without.stderr);
    assert!(
        without.stdout.contains("not judged, none was given"),
        "{}",
        without.stdout
    );
    let refused = place.run(&["policy", "check", "builtin:schedule", "--config", "{}"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(
        refused.stdout.contains("and refuses the config"),
        "{}",
        refused.stdout
    );
}

#[test]
fn a_service_account_is_asked_for_although_there_is_a_token_in_the_environment() {
    let place = Place::new();
    let file = place.path(&place.write("policy.wasm", "\0asm"));
    let none = place.path("none");
    let flags = |more: &[&str]| {
        let flags = [
            "policy",
            "push",
            &file,
            "--name",
            "mine",
            "--namespace",
            "shop",
            "--kubeconfig",
            &none,
        ];
        let ran = command(&[&flags[..], more].concat())
            .env("FORESHARD_TOKEN", "secret")
            .output()
            .unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let server = ["--server", "http://127.0.0.1:1"];
    let (code, message) = flags(&[&server[..], &["--service-account", "ci"]].concat());
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("kubeconfig"), "{message}");
    let (code, message) = flags(&[&server[..], &["--token-file", &none]].concat());
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("reading the token"), "{message}");
    let (code, message) = flags(&["--service-account", "ci", "--token", "other"]);
    assert_eq!(code, Some(2), "two flags: {message}");
}
