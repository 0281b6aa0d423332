//! `foreshard demo`: it ends with the figures, and while it runs an uploaded policy acts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Place, command, wave};

#[test]
fn once_gives_harm_and_cost_of_each_kind_beside_its_peers() {
    let place = Place::new();
    let trace = place.write("wave.csv", wave(1));
    let document = place
        .run(&["demo", "--once", "--trace", &trace, "--output", "json"])
        .json();
    let parts = document["parts"].as_array().unwrap();
    let kinds: Vec<_> = parts
        .iter()
        .map(|part| {
            (
                part["kind"].as_str().unwrap(),
                part["lag_seconds"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("vtgate-pool", 120),
            ("keyspace", 3600),
            ("tablet-pool", 600)
        ]
    );
    for part in parts {
        let policies = part["policies"].as_array().unwrap();
        assert_eq!(policies[0]["policy"], "forecast-headroom");
        assert!(
            policies
                .iter()
                .any(|it| it["policy"] == "reactive at equal cost")
        );
        assert!(
            policies
                .iter()
                .all(|it| it["over_capacity_share"].is_number())
        );
    }
}

#[test]
fn a_port_in_use_is_said_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Place::new().run(&["demo", "--listen", &address]);
    assert_eq!(
        ended.failure(),
        format!(
            "[1] error: {address} is in use by another program; stop it, or choose another address\n"
        )
    );
}

#[test]
fn a_backtest_over_http_gives_what_the_command_line_gives() {
    let place = Place::new();
    let csv = wave(1);
    let trace = place.write("trace.csv", &csv);
    let printed = place
        .run(&["backtest", "--trace", &trace, "--output", "json"])
        .json();
    let path = place.path(&trace);
    let demo = Running::start(&["demo", "--trace", &path, "--listen", "127.0.0.1:0"]);
    let order = |body: Value| {
        let body = body.to_string();
        let (status, answer) = demo.ask("POST", "/backtests", "application/json", body.as_bytes());
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 202, "{text}");
        let made: Value = serde_json::from_str(&text).unwrap();
        format!("/backtests/{}", made["id"].as_str().unwrap())
    };
    let first = order(json!({"trace": csv}));
    let done = demo.wait(&first, |it| {
        it["state"] == "done" || it["state"] == "failed"
    });
    assert_eq!(done["error"], Value::Null, "{done}");
    assert_eq!(done["result"], printed);
    let named = order(json!({"trace": csv, "module": "target-tracking"}));
    let done = demo.wait(&named, |it| {
        it["state"] == "done" || it["state"] == "failed"
    });
    let policies = done["result"]["policies"].as_array().unwrap();
    assert!(
        policies.iter().any(|it| it["policy"] == "target-tracking"),
        "{done}"
    );
    let refused = order(json!({"trace": csv, "module": "target-tracking", "config": {"wrong": 1}}));
    let failed = demo.wait(&refused, |it| it["state"] == "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("configuration"),
        "{failed}"
    );
}

/// A demo that runs until the end of the test.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut command = command(args);
        let mut child = command
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                let line = line.unwrap();
                let (_, rest) = line.split_once("http://")?;
                rest.split('/').next()?.parse().ok()
            })
            .expect("it says where it serves");
        // Nobody may close the pipe that it writes to.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn ask(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut socket = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} /api/v1/namespaces/demo{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(body).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12])
            .unwrap()
            .parse()
            .unwrap();
        (status, answer.split_off(end + 4))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "text/plain", b"");
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Asks until the answer is good.
    fn wait(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let answer = self.get(path);
            if good(&answer) {
                return answer;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "{path}: {answer}"
            );
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_uploaded_policy_acts_from_the_next_minute_on() {
    let place = Place::new();
    let trace = place.write("wave.csv", wave(28));
    let path = place.path(&trace);
    let demo = Running::start(&[
        "demo",
        "--trace",
        &path,
        "--listen",
        "127.0.0.1:0",
        "--speed",
        "30m",
    ]);
    demo.wait("/targets", |list| list["items"][0]["name"] == "commerce");
    let first = demo.wait("/targets/commerce/policy", |state| {
        state["in_force"].is_object()
    });
    assert_eq!(first["in_force"]["module"], "forecast-headroom");

    let (status, problem) = demo.ask(
        "PUT",
        "/policymodules/mine",
        "application/wasm",
        b"a text file",
    );
    assert_eq!(status, 422, "{}", String::from_utf8_lossy(&problem));
    // What ships is what users can write: a built-in component does for one of the user's.
    let (_, component) = demo.ask(
        "GET",
        "/policymodules/target-tracking/component",
        "text/plain",
        b"",
    );
    let (status, module) = demo.ask("PUT", "/policymodules/mine", "application/wasm", &component);
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&module));
    let body = br#"{"module": "mine", "config": {}}"#;
    let (status, state) = demo.ask("PUT", "/targets/commerce/policy", "application/json", body);
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&state));

    let state = demo.wait("/targets/commerce/policy", |state| {
        state["in_force"]["module"] == "mine"
    });
    let since = state["in_force"]["since"].as_f64().unwrap();
    let page = demo.wait(
        &format!("/recommendations?since={since}&limit=200"),
        |page| {
            page["items"]
                .as_array()
                .is_some_and(|items| items.len() > 3)
        },
    );
    for item in page["items"].as_array().unwrap() {
        assert_eq!(item["policy"], "mine", "{item}");
        let id = item["id"].as_str().unwrap();
        let detail = demo.get(&format!("/recommendations/{id}?record=false"));
        assert_eq!(detail["explanation"]["verdicts"][0]["policy"], "mine");
    }
}
