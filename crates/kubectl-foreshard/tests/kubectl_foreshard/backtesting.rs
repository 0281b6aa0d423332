//! `backtest`: the command, the port, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cluster::Cluster;
use crate::run::{command, ended};

/// A program that is a few lines of shell.
fn script(folder: &Path, name: &str, lines: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_command_is_of_the_policy_and_its_source() {
    let Some(cluster) = Cluster::new("backtest") else {
        return;
    };
    cluster.policy("web", "sum(rate(requests_total[2m]))", "Observe");
    let args = [
        "backtest",
        "web",
        "--print",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-15",
    ];
    cluster
        .run(&args)
        .failed(1, "prometheussources \"main\" not found");
    cluster.source("main", "http://prometheus.monitoring.svc:9090/prom");
    let text = cluster.run(&args).ok();
    let expected = "\
kubectl port-forward --namespace=monitoring --address=127.0.0.1 service/prometheus 9090:9090 &
foreshard backtest --prometheus http://127.0.0.1:9090/prom \\
  --query 'sum(rate(requests_total[2m]))' \\
  --from 2026-01-01T00:00:00Z \\
  --to 2026-01-15T00:00:00Z \\
  --step 60s \\
  --lag 120s \\
  --capacity 142.8571428571 \\
  --budget 0.01 \\
  --timezone UTC \\
  --policy builtin:forecast-headroom
";
    assert_eq!(text, expected);
    let direct = cluster
        .run(&[&args[..], &["--prometheus", "http://127.0.0.1:1"]].concat())
        .ok();
    assert!(
        direct.starts_with("foreshard backtest --prometheus http://127.0.0.1:1 "),
        "{direct}"
    );
}

#[test]
fn it_is_run_while_a_port_is_forwarded() {
    let Some(cluster) = Cluster::new("backtest-run") else {
        return;
    };
    cluster.policy("web", "up", "Observe");
    cluster.source("main", "http://prometheus.monitoring.svc:9090");
    // A copy, beside which there is no other program.
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-foreshard");
    fs::copy(env!("CARGO_BIN_EXE_kubectl-foreshard"), &plugin).unwrap();
    let run = || {
        let mut command = command(&plugin, cluster.plane.kubeconfig());
        ended(
            command
                .env("PATH", folder.path())
                .args(["backtest", "web", "-n", cluster.name()]),
        )
    };
    run().failed(
        1,
        "there is no program `foreshard` beside this one or on the PATH",
    );
    script(folder.path(), "foreshard", "echo \"$@\"; exit 3");
    run().failed(1, "running kubectl port-forward");
    script(
        folder.path(),
        "kubectl",
        "echo 'service not found' >&2; exit 1",
    );
    let failed = run();
    failed.failed(1, "kubectl port-forward: service not found");
    failed.failed(1, "--prometheus http://127.0.0.1:9090");
    script(
        folder.path(),
        "kubectl",
        "echo \"$$\" > \"$0.pid\"; echo 'Forwarding from 127.0.0.1:40123 -> 9090'; exec /bin/sleep 600",
    );
    let ran = run();
    assert_eq!(ran.code, 3, "its exit code is ours: {ran:#?}");
    assert!(
        ran.stdout
            .starts_with("backtest --prometheus=http://127.0.0.1:40123 --query=up "),
        "{ran:#?}"
    );
    let pid = fs::read_to_string(folder.path().join("kubectl.pid")).unwrap();
    let process = format!("/proc/{}/stat", pid.trim());
    crate::cluster::eventually("the port is closed", || {
        match fs::read_to_string(&process) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    });
}
