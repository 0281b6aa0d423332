//! Help, completion, exit codes and pipes.

use std::io::Read as _;
use std::process::Stdio;

use crate::support::{Place, command, trace};

#[test]
fn help_teaches_by_examples_and_names_the_exit_codes() {
    let place = Place::new();
    let help = place.run(&["--help"]);
    assert_eq!(help.code, 0);
    for part in [
        "First steps:",
        "foreshard backtest --trace",
        "Exit codes:",
        "RUST_LOG",
        "completion",
    ] {
        assert!(
            help.stdout.contains(part),
            "{part} is missing:\n{}",
            help.stdout
        );
    }
    for name in [
        "demo",
        "backtest",
        "forecast",
        "evaluate",
        "policy",
        "completion",
    ] {
        let help = place.run(&[name, "--help"]);
        assert_eq!(help.code, 0, "{name}");
        assert!(help.stdout.contains("Usage:"), "{name}");
        assert!(!help.stdout.contains("(in the making)"), "{name}");
    }
}

#[test]
fn completion_scripts_are_printed_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = place.run(&["completion", shell]);
        assert_eq!(ended.code, 0);
        assert!(ended.stdout.contains("backtest"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    // A document far larger than any pipe's buffer, of which one byte is read.
    let input = trace("1min/crane_01.csv.gz");
    let args = [
        "forecast",
        "--input",
        &input,
        "--horizon",
        "7d",
        "--output",
        "json",
    ];
    let mut child = command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success(), "{}", output.status);
}
