//! The source against a real Prometheus that remembers what the tests say.
//!
//! Left out, and says so, where there is none: `cargo xtask testbed build prometheus` makes one.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use foreshard_forecast::Series;
use foreshard_history::prometheus::{RangeQuery, Source, SourceError};
use foreshard_history::trace::{self, ReadOptions};
use foreshard_testbed::{Exporter, HistorySeries, Prometheus, or_left_out};

const MINUTE: i64 = 60;
const DAY_MINUTES: i64 = 24 * 60;

/// A server with this history and a source for it; `None` where there is no Prometheus.
fn serve(history: &[HistorySeries]) -> Option<(Prometheus, Source)> {
    let server = or_left_out("real Prometheus", Prometheus::with_history(history))?;
    let source = Source::new(server.url(), Duration::from_secs(30)).unwrap();
    Some((server, source))
}

fn series(name: &str, shard: &str, samples: Vec<(i64, f64)>) -> HistorySeries {
    HistorySeries {
        name: name.to_owned(),
        labels: vec![("shard".to_owned(), shard.to_owned())],
        samples,
    }
}

/// A round time in the past, so many days ago.
fn days_ago(days: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now.as_secs() as i64 / 86_400 - days) * 86_400
}

async fn fetch(source: &Source, promql: &str, from: i64, to: i64) -> Result<Series, SourceError> {
    let query = RangeQuery {
        promql: promql.to_owned(),
        from,
        to,
        step: MINUTE,
    };
    source.fetch(&query, &mut |_, _| {}).await
}

/// How many values at the beginning are known.
fn known(values: &[f64]) -> usize {
    values.iter().take_while(|value| value.is_finite()).count()
}

/// A raw value is carried on for a look-back of five minutes, its end included or not by version.
fn assert_carried_then_gap(values: &[f64]) {
    let carried = known(values);
    assert!((4..=5).contains(&carried), "{carried}");
    assert!(values[carried..].iter().all(|value| value.is_nan()));
}

#[tokio::test]
async fn a_backfilled_trace_comes_back_as_it_was() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/traces/1min/crane_01.csv.gz");
    let trace = trace::read(&path, &ReadOptions::default(), &mut |_| {}).unwrap();
    let samples: Vec<(i64, f64)> = (1..)
        .zip(&trace.values)
        // A sample stands at the end of its bin.
        .map(|(i, value)| (trace.start + trace.step * i, *value))
        .collect();
    let shards = ["-80", "80-"].map(|shard| series("load", shard, samples.clone()));
    let Some((_server, source)) = serve(&shards) else {
        return;
    };
    let (from, to) = (trace.start - 3600, trace.end() + 3600);
    let seen = fetch(&source, "sum(load) / 2", from, to).await.unwrap();
    assert_eq!((seen.start, seen.end()), (from, to));
    let (before, rest) = seen.values.split_at(60);
    let (middle, after) = rest.split_at(trace.values.len());
    assert!(before.iter().all(|value| value.is_nan()));
    assert_eq!(middle, trace.values);
    assert_carried_then_gap(after);
}

#[tokio::test]
async fn bins_are_aligned_whatever_is_asked_and_whenever_was_scraped() {
    let start = days_ago(3);
    // Scraped seven seconds after each full minute: the bin that ends at the next one holds it.
    let samples = (0..600)
        .map(|i| (start + i * MINUTE + 7, i as f64))
        .collect();
    let Some((_server, source)) = serve(&[series("load", "0", samples)]) else {
        return;
    };
    let (from, to) = (start + 13, start + 599 * MINUTE + 59);
    let seen = fetch(&source, "load", from, to).await.unwrap();
    assert_eq!((seen.start, seen.end()), (start, start + 599 * MINUTE));
    let expected: Vec<f64> = (0..599).map(f64::from).collect();
    assert_eq!(seen.values, expected);
    // Asked again from within, the same bins have the same values.
    let (from, to) = (start + 100 * MINUTE + 1, start + 200 * MINUTE + 2);
    let again = fetch(&source, "load", from, to).await.unwrap();
    assert_eq!(again.values, expected[100..200]);
}

#[tokio::test]
async fn an_outage_is_a_gap_and_a_rate_knows_it_sooner() {
    let start = days_ago(3);
    let minutes = (1..=240).filter(|i| !(101..=160).contains(i));
    let samples = minutes
        .map(|i| (start + i * MINUTE, (i * MINUTE * 5) as f64))
        .collect();
    let Some((_server, source)) = serve(&[series("requests", "0", samples)]) else {
        return;
    };
    let end = start + 240 * MINUTE;
    let raw = fetch(&source, "requests", start, end).await.unwrap();
    assert_eq!(known(&raw.values[..100]), 100);
    assert_carried_then_gap(&raw.values[100..160]);
    assert_eq!(known(&raw.values[160..]), 80);

    let rate = fetch(&source, "rate(requests[3m])", start, end)
        .await
        .unwrap();
    assert!(
        rate.values[10..100]
            .iter()
            .all(|rate| (rate - 5.0).abs() < 1e-9)
    );
    // Two samples make a rate, so it ends two minutes after the last one, and begins one after the first.
    let carried = known(&rate.values[100..160]);
    assert!((1..=2).contains(&carried), "{carried}");
    assert!(rate.values[160].is_nan());
    assert_eq!(known(&rate.values[162..]), 78);
}

#[tokio::test]
async fn a_server_that_crashed_answers_the_same_afterwards() {
    let start = days_ago(3);
    let samples = (1..=600).map(|i| (start + i * MINUTE, i as f64)).collect();
    let Some((mut server, source)) = serve(&[series("load", "0", samples)]) else {
        return;
    };
    let end = start + 600 * MINUTE;
    let before = fetch(&source, "load", start, end).await.unwrap();
    server.bed_mut().kill("prometheus").unwrap();
    let error = fetch(&source, "load", start, end).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    server.restart().unwrap();
    let after = fetch(&source, "load", start, end).await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn four_weeks_of_twenty_shards_come_in_several_requests() {
    let start = days_ago(29);
    let minutes = 28 * DAY_MINUTES;
    let value = |shard: i64, i: i64| (i % DAY_MINUTES + shard * 7) as f64;
    let history: Vec<HistorySeries> = (0..20)
        .map(|shard| {
            let samples = (1..=minutes)
                .map(|i| (start + i * MINUTE, value(shard, i)))
                .collect();
            series("load", &shard.to_string(), samples)
        })
        .collect();
    let Some((_server, source)) = serve(&history) else {
        return;
    };
    let end = start + minutes * MINUTE;
    let seen = fetch(&source, "sum(load)", start, end).await.unwrap();
    let expected: Vec<f64> = (1..=minutes)
        .map(|i| (0..20).map(|shard| value(shard, i)).sum())
        .collect();
    assert_eq!(seen.values, expected);
    // What cannot be one series is refused, and not guessed.
    let error = fetch(&source, "load", start, end).await.unwrap_err();
    assert!(
        matches!(error, SourceError::TooManySeries { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_series_is_told_apart() {
    let start = days_ago(3);
    let samples = (1..=60).map(|i| (start + i * MINUTE, 1.0)).collect();
    let Some((_server, source)) = serve(&[series("load", "0", samples)]) else {
        return;
    };
    type Expected = fn(&SourceError) -> bool;
    let cases: [(&str, Expected); 3] = [
        ("nothing", |error| {
            matches!(error, SourceError::NoSeries { .. })
        }),
        ("sum(load", |error| {
            matches!(error, SourceError::Refused { .. })
        }),
        ("\"text\"", |error| {
            matches!(
                error,
                SourceError::Refused { .. } | SourceError::NotASeries { .. }
            )
        }),
    ];
    for (promql, expected) in cases {
        let error = fetch(&source, promql, start, start + 60 * MINUTE)
            .await
            .unwrap_err();
        assert!(expected(&error), "{promql}: {error}");
    }
}

#[test]
fn a_trace_is_played_live() {
    let Some((mut server, _)) = serve(&[]) else {
        return;
    };
    let values = (1..=6000).map(f64::from).collect();
    let exporter = Exporter::start("live_load", values, Duration::from_millis(100)).unwrap();
    server
        .scrape(&[exporter.address()], Duration::from_millis(200))
        .unwrap();
    let mut seen: Vec<f64> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while seen.len() < 3 {
        assert!(Instant::now() < deadline, "{seen:?}");
        let answer = server.api().get("/api/v1/query?query=live_load").unwrap();
        let value = answer.pointer("/data/result/0/value/1").cloned();
        let value: Option<f64> = value.and_then(|value| value.as_str()?.parse().ok());
        if value.is_some() && value != seen.last().copied() {
            seen.extend(value);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(seen.is_sorted(), "{seen:?}");
}
