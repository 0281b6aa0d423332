//! What three thousand signals cost, measured against a real Prometheus with 28 days of history.
//!
//! It takes minutes and prints figures rather than judging them, so it runs only when asked for:
//! `cargo test --release -p foreshard-testbed --test prometheus_scale -- --ignored --nocapture`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foreshard_history::collector::{Collector, CollectorStats, SourceConfig, Watch};
use foreshard_testbed::{HistorySeries, Prometheus, or_left_out};
use tokio::time::{Instant, sleep};

const APPS: usize = 100;
const METRICS: [&str; 3] = ["requests", "busy", "queue"];
/// Different expressions over each series: with apps and metrics they are 3,000 signals.
const FACTORS: usize = 10;
const URL_VARIABLE: &str = "PROMETHEUS_SCALE_URL";
const UNGROUPED_VARIABLE: &str = "PROMETHEUS_SCALE_UNGROUPED";
const STEADY: Duration = Duration::from_secs(60);

fn value(app: usize, metric: usize, time: i64) -> f64 {
    let day = (time % 86_400) as f64 / 86_400.0 * std::f64::consts::TAU;
    (100.0 + app as f64) * (1.5 + day.sin())
        + metric as f64
        + (time / 300 * 7919 % 1000) as f64 / 1000.0
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

/// 28 days at five minutes.
fn history() -> Vec<HistorySeries> {
    let end = now() / 300 * 300;
    let mut history = Vec::new();
    for (m, metric) in METRICS.iter().enumerate() {
        for app in 0..APPS {
            let times = (0..28 * 288).rev().map(|i| end - i * 300);
            history.push(HistorySeries {
                name: (*metric).to_owned(),
                labels: vec![("app".to_owned(), format!("app-{app:04}"))],
                samples: times.map(|time| (time, value(app, m, time))).collect(),
            });
        }
    }
    history
}

/// The same series live. It ends with the process.
fn export() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).find(String::is_empty);
            let mut body = String::new();
            for (m, metric) in METRICS.iter().enumerate() {
                for app in 0..APPS {
                    let value = value(app, m, now());
                    writeln!(body, "{metric}{{app=\"app-{app:04}\"}} {value}").unwrap();
                }
            }
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // A scraper that went away asks again.
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    address
}

/// Resident bytes and processor seconds of a process.
fn used(process: &str) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    let kib: f64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    (kib / 1024.0, ticks / 100.0)
}

fn queries(stats: &CollectorStats) -> u64 {
    stats.live_queries + stats.refresh_queries + stats.backfill_queries
}

#[test]
#[ignore = "takes minutes and prints figures"]
fn three_thousand_signals() {
    let server = Prometheus::with_history(&history());
    let Some(mut server) = or_left_out("real Prometheus", server) else {
        return;
    };
    server.scrape(&[export()], Duration::from_secs(5)).unwrap();
    for ungrouped in [false, true] {
        // In a process of its own, so that nothing else is counted.
        let mut collect = Command::new(env::current_exe().unwrap());
        collect.args(["--ignored", "--exact", "collects", "--nocapture"]);
        collect.env(URL_VARIABLE, server.url());
        if ungrouped {
            collect.env(UNGROUPED_VARIABLE, "1");
        }
        assert!(collect.status().unwrap().success());
    }
}

#[test]
#[ignore = "is run by the other"]
fn collects() {
    let Ok(url) = env::var(URL_VARIABLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(collect(&url, env::var(UNGROUPED_VARIABLE).is_ok()));
}

async fn collect(url: &str, ungrouped: bool) {
    let (before_mib, before_cpu) = used("self");
    let collector = Collector::new(SourceConfig::new(url)).unwrap();
    let begun = Instant::now();
    let mut watches: Vec<Watch> = Vec::new();
    for metric in METRICS {
        for app in 0..APPS {
            for factor in 0..FACTORS {
                // A comparison is never grouped.
                let end = if ungrouped { " > -1" } else { "" };
                let promql = format!(
                    "sum({metric}{{app=\"app-{app:04}\"}}) * {}{end}",
                    factor + 1
                );
                watches.push(collector.watch(&promql).unwrap());
            }
        }
    }
    let live = wait(&watches, |watch| watch.latest().is_some(), begun).await;
    let stats = collector.stats();
    println!(
        "{} signals in {} queries (ungrouped: {ungrouped}); poll interval {:.1} s, refresh interval {:.0} s",
        watches.len(),
        stats.queries_distinct,
        stats.poll_interval.as_secs_f64(),
        stats.refresh_interval.as_secs_f64()
    );
    println!("first live sample of all after {live:.1} s");
    if !ungrouped {
        let fresh = |watch: &Watch| watch.state() == foreshard_history::collector::State::Fresh;
        let all = wait(&watches, fresh, begun).await;
        let (mib, cpu) = used("self");
        let stats = collector.stats();
        println!(
            "backfilled after {all:.1} s by {} queries, {:.1} million samples, {:.0} MiB of answers, {:.1} CPU-s; resident {mib:.1} MiB, before {before_mib:.1}; stored {:.1} MiB, {:.1} KiB resident a signal",
            stats.backfill_queries,
            stats.samples as f64 / 1e6,
            stats.answer_bytes as f64 / (1 << 20) as f64,
            cpu - before_cpu,
            stats.stored_bytes as f64 / (1 << 20) as f64,
            (mib - before_mib) * 1024.0 / watches.len() as f64
        );
        let known = watches[0]
            .seen()
            .history
            .values
            .iter()
            .filter(|value| value.is_finite())
            .count();
        println!("history of the first: {known} known bins");
    }
    let (_, cpu) = used("self");
    let (sent, since) = (queries(&collector.stats()), Instant::now());
    sleep(STEADY).await;
    let seconds = since.elapsed().as_secs_f64();
    let (mib, cpu_end) = used("self");
    let per_minute = (queries(&collector.stats()) - sent) as f64 / seconds * 60.0;
    println!(
        "{} over {seconds:.0} s: {:.3} core, {per_minute:.0} queries a minute, resident {mib:.1} MiB; {:?}",
        if ungrouped {
            "while backfilling"
        } else {
            "steady"
        },
        (cpu_end - cpu) / seconds,
        collector.stats().signals
    );
}

async fn wait(watches: &[Watch], done: impl Fn(&Watch) -> bool, begun: Instant) -> f64 {
    while !watches.iter().all(&done) {
        assert!(begun.elapsed() < Duration::from_secs(600));
        sleep(Duration::from_millis(100)).await;
    }
    begun.elapsed().as_secs_f64()
}
