//! Help, completion and exit codes, without a cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::process::{Command, Output, Stdio};

const COMMANDS: [&str; 8] = [
    "status",
    "explain",
    "approve",
    "pause",
    "resume",
    "adopt",
    "backtest",
    "completion",
];

fn run(args: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_kubectl-foreshard"))
        .args(args)
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("COLUMNS", "110")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_teaches_what_there_is() {
    let mut all = text(&run(&["--help"]).stdout);
    for command in COMMANDS {
        let help = run(&[command, "--help"]);
        assert!(help.status.success(), "{command}");
        let help = text(&help.stdout);
        // Options that every command has are shown once.
        let (own, rest) = help.split_once("\nCluster:\n").unwrap_or((&help, ""));
        let examples = rest.split_once("[default: 10s]\n").map_or("", |it| it.1);
        all += &format!("\n===== {command}\n{own}{examples}");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_wrong_command_line_is_code_2() {
    let mut all = String::new();
    for args in [
        &["approve"][..],
        &["pause"],
        &["pause", "web"],
        &["pause", "web", "--for", "soon"],
        &["pause", "--all", "--for", "1h"],
        &["resume", "web", "--all"],
        &["adopt", "vpa", "web"],
        &["status", "web", "-A"],
        &["status", "-w", "-o", "json"],
        &["backtest", "web", "--from", "2026-01-01"],
        &["approve", "web-1", "--dry-run=client"],
        &["approve", "web-1", "-o", "wide"],
    ] {
        let ended = run(args);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {ended:?}");
        assert!(ended.stdout.is_empty(), "{args:?}");
        let said = text(&ended.stderr);
        let message = said.split("\n\n").next().unwrap();
        all += &format!("{}\n  {message}\n", args.join(" "));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_cluster_that_is_not_there_is_code_1() {
    let none = run(&["status"]);
    assert_eq!(none.status.code(), Some(1));
    let said = text(&none.stderr);
    assert!(said.contains("name one with --kubeconfig"), "{said}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "{apiVersion: v1, kind: Config, current-context: a, users: [{name: a, user: {}}],
          contexts: [{name: a, context: {cluster: a, user: a}}],
          clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]}",
    )
    .unwrap();
    let kubeconfig = file.path().to_str().unwrap();
    let refused = run(&["status", "--kubeconfig", kubeconfig]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains("the API server at http://127.0.0.1:1/ cannot be asked"),
        "{said}"
    );
    assert!(said.contains("Connection refused"), "{said}");
    let context = run(&["status", "--kubeconfig", kubeconfig, "--context", "b"]);
    assert_eq!(context.status.code(), Some(1));
    let said = text(&context.stderr);
    assert!(said.contains("its contexts are a"), "{said}");
}

#[test]
fn completion_scripts_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&["completion", shell]);
        assert!(ended.status.success());
        assert!(text(&ended.stdout).contains("backtest"), "{shell}");
    }
}

/// What the script of docs/kubectl-foreshard.md completes, with a kubectl that only repeats what it is asked.
fn completed(words: &[&str]) -> String {
    use std::os::unix::fs::PermissionsExt as _;

    let docs = include_str!("../../../docs/kubectl-foreshard.md");
    let (_, rest) = docs.split_once("```sh\n").unwrap();
    let (script, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kubectl = folder.path().join("kubectl");
    std::fs::write(&kubectl, "#!/bin/sh\necho \"kind/$*\"\n").unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let ended = Command::new("/bin/sh")
        .args(["-c", script, "kubectl_complete-foreshard"])
        .args(words)
        .env_clear()
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        ended.status.success() && ended.stderr.is_empty(),
        "{ended:?}"
    );
    let said = text(&ended.stdout);
    said.strip_suffix(":4\n").unwrap().to_owned()
}

#[test]
fn names_are_completed_in_the_namespace_that_is_given() {
    let policies = "get scalingpolicies -o name";
    for (words, asked) in [
        (&["status", ""][..], policies.to_owned()),
        (
            &["-n", "shop", "status", ""],
            format!("{policies} --namespace=shop"),
        ),
        (
            &["pause", "-n", "shop", "--for", "2h", ""],
            format!("{policies} --namespace=shop"),
        ),
        (
            &["resume", "web", "--namespace=shop", "a"],
            format!("{policies} --namespace=shop"),
        ),
        (
            &["backtest", "--context", "b", ""],
            format!("{policies} --context=b"),
        ),
        (
            &["explain", "-nshop", ""],
            "get scalingpolicies,scalingrecommendations -o name --namespace=shop".to_owned(),
        ),
        (&["adopt", "hpa", ""], "get hpa -o name".to_owned()),
        (&["status", "-n", ""], "get namespaces -o name".to_owned()),
    ] {
        assert_eq!(completed(words), format!("{asked}\n"), "{words:?}");
    }
    assert_eq!(completed(&["status", "web", ""]), "");
    assert_eq!(completed(&["pause", "--for", ""]), "");
    assert!(completed(&["-n", "shop", ""]).starts_with("status\nexplain\n"));
}
