//! The source against a real Prometheus, filled by promtool with a shipped trace.
//!
//! Needs `prometheus` and `promtool` on the PATH, or their folder in `FORESHARD_PROMETHEUS_DIR`; is left out, and says
//! so, where they are missing, unless `FORESHARD_REQUIRE_PROMETHEUS` is set.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use foreshard_history::prometheus::{RangeQuery, Source, SourceError};
use foreshard_history::trace::{self, ReadOptions};

/// Where a program is: the folder that was named, or else the PATH.
fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("FORESHARD_PROMETHEUS_DIR")
        .or_else(|| std::env::var_os("PATH"))
        .unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Ends the server with the test, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes the trace twice, as two shards, in the text form that promtool reads.
fn open_metrics(series: &foreshard_forecast::Series) -> String {
    let mut text = String::from("# TYPE load gauge\n");
    for shard in ["-80", "80-"] {
        for (i, value) in series.values.iter().enumerate() {
            // A sample stands at the end of its bin.
            let time = series.start + series.step * (i as i64 + 1);
            writeln!(text, "load{{shard=\"{shard}\"}} {value} {time}").unwrap();
        }
    }
    text.push_str("# EOF\n");
    text
}

fn start(prometheus: &Path, data: &Path, folder: &Path) -> (Server, String) {
    let config = folder.join("prometheus.yml");
    fs::write(&config, "global: {}\n").unwrap();
    let mut child = Command::new(prometheus)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .args([
            "--storage.tsdb.retention.time=100y",
            "--web.listen-address=127.0.0.1:0",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let server = Server(child);
    let mut port = None;
    let mut lines = log.lines().map_while(Result::ok);
    for line in &mut lines {
        if line.contains("Listening on") {
            port = line.split("127.0.0.1:").nth(1).map(|rest| {
                rest.chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
            });
        }
        if line.contains("Server is ready") {
            break;
        }
    }
    // The pipe must be read on, or the server would block on it.
    std::thread::spawn(move || lines.for_each(drop));
    let port = port.expect("prometheus says where it listens before it is ready");
    (server, format!("http://127.0.0.1:{port}"))
}

#[tokio::test]
async fn a_backfilled_trace_comes_back_as_it_was() {
    let (Some(prometheus), Some(promtool)) = (program("prometheus"), program("promtool")) else {
        assert!(
            std::env::var_os("FORESHARD_REQUIRE_PROMETHEUS").is_none(),
            "prometheus and promtool are required and not found"
        );
        // Past the test harness, which keeps to itself what a passing test prints.
        let note = "LEFT OUT: real Prometheus: `prometheus` and `promtool` are not on the PATH\n";
        io::stdout().write_all(note.as_bytes()).unwrap();
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces/1min/crane_01.csv.gz");
    let trace = trace::read(&path, &ReadOptions::default(), &mut |_| {}).unwrap();
    let metrics = folder.path().join("trace.om");
    fs::write(&metrics, open_metrics(&trace)).unwrap();
    let data = folder.path().join("data");
    let filled = Command::new(promtool)
        .args([
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            "--max-block-duration=720h",
        ])
        .args([&metrics, &data])
        .output()
        .unwrap();
    assert!(
        filled.status.success(),
        "{}",
        String::from_utf8_lossy(&filled.stderr)
    );

    let (_server, url) = start(&prometheus, &data, folder.path());
    let source = Source::new(&url, Duration::from_secs(30)).unwrap();
    let ask = |promql: &str| RangeQuery {
        promql: promql.to_owned(),
        from: trace.start - 3600,
        to: trace.end() + 3600,
        step: trace.step,
    };
    let seen = source
        .fetch(&ask("sum(load) / 2"), &mut |_, _| {})
        .await
        .unwrap();
    assert_eq!(
        (seen.start, seen.end()),
        (trace.start - 3600, trace.end() + 3600)
    );
    let (before, rest) = seen.values.split_at(60);
    let (middle, after) = rest.split_at(trace.values.len());
    assert!(before.iter().all(|value| value.is_nan()));
    assert_eq!(middle, trace.values);
    // Prometheus carries the last value on for its look-back of five minutes: 4 more samples, then the gap.
    let carried = after.iter().take_while(|value| value.is_finite()).count();
    assert!((4..=5).contains(&carried), "{carried}");
    assert!(after[carried..].iter().all(|value| value.is_nan()));

    let error = source
        .fetch(&ask("load"), &mut |_, _| {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::TooManySeries { .. }),
        "{error}"
    );
    let error = source
        .fetch(&ask("nothing"), &mut |_, _| {})
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::NoSeries { .. }), "{error}");
    let error = source
        .fetch(&ask("sum(load"), &mut |_, _| {})
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    let error = source
        .fetch(&ask("\"text\""), &mut |_, _| {})
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Refused { .. } | SourceError::NotASeries { .. }
        ),
        "{error}"
    );
}
