//! A service of the cluster behind a port of this machine, by kubectl, which has brought us here anyway.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::service::ServiceUrl;
use foreshard_cli::text::short;

/// The local port in commands that are only printed.
pub(super) const PRINTED_PORT: u16 = 9090;
/// How long it may take until something is forwarded.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Most bytes of an error that are read.
const ERROR_BYTES_MAX: u64 = 4096;

/// Ends with the value.
pub(super) struct Forwarding {
    pub(super) port: u16,
    _child: Child,
    /// Kept open: kubectl writes a line for each connection.
    _output: BufReader<ChildStdout>,
}

/// Starts it, and waits until a port is open.
pub(super) async fn start(
    service: &ServiceUrl,
    cluster_args: &[String],
) -> anyhow::Result<Forwarding> {
    let by_hand = || {
        format!(
            "forward a port yourself and name it with --prometheus {}:\n  {}",
            service.local(PRINTED_PORT),
            shell(service, cluster_args)
        )
    };
    let mut child = Command::new("kubectl")
        .args(cluster_args)
        .args(args(service, 0))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("running kubectl port-forward; {}", by_hand()))?;
    let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("kubectl port-forward has no output");
    };
    let mut output = BufReader::new(stdout);
    let mut line = String::new();
    let read = tokio::time::timeout(READY_WITHIN, output.read_line(&mut line)).await;
    if let (Ok(Ok(_)), Some(port)) = (&read, port_of(&line)) {
        // What it says later is nobody's; a closed pipe would end it with the first connection that fails.
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        return Ok(Forwarding {
            port,
            _child: child,
            _output: output,
        });
    }
    // It has ended, or it is ended here, so that the end of its errors comes.
    let _ = child.start_kill();
    let mut said = String::new();
    let _ = stderr.take(ERROR_BYTES_MAX).read_to_string(&mut said).await;
    let said = match said.trim() {
        "" => format!("nothing was forwarded within {} s", READY_WITHIN.as_secs()),
        said => short(said),
    };
    bail!("kubectl port-forward: {said}; {}", by_hand())
}

/// The command for a person.
pub(super) fn shell(service: &ServiceUrl, cluster_args: &[String]) -> String {
    let args = cluster_args
        .iter()
        .cloned()
        .chain(args(service, PRINTED_PORT));
    let args: Vec<String> = args.map(|it| super::command::quoted(&it)).collect();
    format!("kubectl {} &", args.join(" "))
}

/// Local port 0: any that is free.
fn args(service: &ServiceUrl, local_port: u16) -> Vec<String> {
    let local = match local_port {
        0 => String::new(),
        port => port.to_string(),
    };
    vec![
        "port-forward".to_owned(),
        format!("--namespace={}", service.namespace),
        "--address=127.0.0.1".to_owned(),
        format!("service/{}", service.name),
        format!("{local}:{}", service.port),
    ]
}

/// Of `Forwarding from 127.0.0.1:40123 -> 9090`.
fn port_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("Forwarding from 127.0.0.1:")?;
    rest.split_once(' ')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_what_kubectl_says() {
        assert_eq!(
            port_of("Forwarding from 127.0.0.1:40123 -> 9090\n"),
            Some(40123)
        );
        assert_eq!(port_of("error: something"), None);
        assert_eq!(port_of(""), None);
    }
}
