//! A real node: what pods need of one, and that nothing of it is left behind. Needs root, and the parts of bed `node`.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use foreshard_testbed::{BUSYBOX, Error, NODE, Node, or_left_out};

/// What one pod may take to do its work on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Mounts, namespaces, control groups, routes and devices of this machine, as lines.
fn surroundings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut list = |kind: &str, text: String| {
        all.extend(text.lines().map(|line| format!("{kind}: {}", line.trim())));
    };
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let point = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
    list(
        "mount",
        mounts.lines().map(point).collect::<Vec<_>>().join("\n"),
    );
    for (kind, command) in [
        ("namespace", "ip -o netns list"),
        ("device", "ls /sys/class/net"),
        ("route", "ip route show table all"),
        (
            "control group",
            "find /sys/fs/cgroup -type d -path *foreshard*",
        ),
        ("folder", "find /run -maxdepth 1 -name foreshard*"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let output = Command::new(words[0])
            .args(&words[1..])
            .stderr(Stdio::null())
            .output();
        list(
            kind,
            String::from_utf8_lossy(&output.unwrap().stdout).into_owned(),
        );
    }
    all
}

fn kubectl(node: &Node, words: &str) -> Result<String, String> {
    let output = node.plane().kubectl(words.split(' ')).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

fn apply(node: &Node, manifest: &str) {
    let path = node.plane().bed().unwrap().folder().join("test.yaml");
    fs::write(&path, manifest).unwrap();
    kubectl(node, &format!("apply --filename {}", path.display())).unwrap();
}

fn pods_do_their_work(node: &Node) {
    apply(
        node,
        &format!(
            r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data, namespace: default}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Mi}}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: default, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: {BUSYBOX}
    imagePullPolicy: Never
    command: [sh, -c, "echo kept > /data/index.html; exec httpd -f -p 8080 -h /data"]
    readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: default}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client, namespace: default}}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
  - name: client
    image: {BUSYBOX}
    imagePullPolicy: Never
    # Without wget's own -T, which brings a static busybox down.
    command: [sh, -c, "until timeout 3 wget -q -O - http://web.default.svc.cluster.local/; do sleep 1; done"]
"#
        ),
    );
    let deadline = Instant::now() + LIMIT;
    loop {
        let phase = kubectl(node, "get pod client --output jsonpath={.status.phase}");
        match phase.as_deref() {
            Ok("Succeeded") => break,
            Ok("Failed") | Err(_) => panic!("{phase:?}"),
            Ok(_) => {}
        }
        assert!(
            Instant::now() < deadline,
            "{}",
            kubectl(node, "describe pods").unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    // Logs come through the kubelet; before the last line are tries that came before the service's endpoint.
    let logs = kubectl(node, "logs client").unwrap();
    assert_eq!(logs.lines().last(), Some("kept"), "{logs}");
    assert_eq!(
        kubectl(node, "exec web -- cat /data/index.html").unwrap(),
        "kept"
    );
}

/// A packet for a pod that is gone, or for the world, has nowhere to go.
fn nothing_leaves(node: &Node) {
    let network = node.network();
    let forwarding = format!("/proc/sys/net/ipv4/conf/{}/forwarding", network.link());
    assert_eq!(fs::read_to_string(forwarding).unwrap().trim(), "0");
    let routes = Command::new("ip")
        .args(["route", "show", "type", "blackhole"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&routes.stdout).lines().count() % 3,
        0
    );
    assert!(!routes.stdout.is_empty());
}

/// Whether the kubelet takes a connection.
fn reached(node: &Node) -> bool {
    let kubelet = SocketAddr::from((node.network().node(), 10250));
    TcpStream::connect_timeout(&kubelet, Duration::from_secs(1)).is_ok()
}

fn a_cut_node_is_out_of_reach_until_it_is_mended(node: &Node) {
    assert!(reached(node));
    let cut = node.cut_off().unwrap();
    assert!(!reached(node));
    drop(cut);
    assert!(reached(node));
    match node.delay(Duration::from_millis(200)) {
        Ok(delayed) => {
            let begun = Instant::now();
            assert!(reached(node));
            assert!(begun.elapsed() >= Duration::from_millis(200));
            drop(delayed);
        }
        // Not every kernel has it.
        Err(error) => assert!(error.to_string().contains("netem"), "{error}"),
    }
}

#[test]
fn a_node_runs_pods_with_dns_and_storage_and_leaves_nothing() {
    let before = surroundings();
    let begun = Instant::now();
    let Some(node) = or_left_out("a real node", Node::start()) else {
        return;
    };
    println!("{NODE} ready after {:.1} s", begun.elapsed().as_secs_f64());
    pods_do_their_work(&node);
    nothing_leaves(&node);
    a_cut_node_is_out_of_reach_until_it_is_mended(&node);
    let done: Result<(), Error> = node.down();
    done.unwrap();
    let after = surroundings();
    let left: Vec<_> = after.difference(&before).collect();
    assert!(left.is_empty(), "{left:#?}");
}
