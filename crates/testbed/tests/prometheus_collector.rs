//! The collector of live signals against a real Prometheus.
//!
//! Left out, and says so, where there is none: `cargo xtask testbed build prometheus` makes one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foreshard_history::collector::{
    Collector, Enforced, FaultKind, QueryError, SourceConfig, State, Watch,
};
use foreshard_history::prometheus::{RangeQuery, Source};
use foreshard_testbed::{Exporter, HistorySeries, Prometheus, or_left_out};
use tokio::time::{Instant, sleep, timeout};

const MINUTE: i64 = 60;
const LIMIT: Duration = Duration::from_secs(60);

/// The newest full minute.
fn this_minute() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() as i64 / MINUTE * MINUTE
}

fn serve(history: &[HistorySeries]) -> Option<Prometheus> {
    or_left_out("real Prometheus", Prometheus::with_history(history))
}

fn collector(server: &Prometheus, change: impl FnOnce(&mut SourceConfig)) -> Collector {
    let mut config = SourceConfig::new(server.url());
    config.poll_every = Duration::from_secs(1);
    change(&mut config);
    Collector::new(config).unwrap()
}

/// A series of the last so many minutes.
fn series(
    name: &str,
    labels: &[(&str, &str)],
    minutes: i64,
    value: impl Fn(i64) -> Option<f64>,
) -> HistorySeries {
    let start = this_minute() - minutes * MINUTE;
    let samples = (0..=minutes).filter_map(|i| Some((start + i * MINUTE, value(i)?)));
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    HistorySeries {
        name: name.to_owned(),
        labels: labels.iter().map(owned).collect(),
        samples: samples.collect(),
    }
}

/// Waits for a condition, and tells what was seen instead.
async fn until<T: std::fmt::Debug>(
    what: &str,
    look: impl Fn() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = look();
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: {seen:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn fresh(watch: &Watch) {
    until(
        watch.promql(),
        || watch.state(),
        |state| *state == State::Fresh,
    )
    .await;
}

async fn fault(watch: &Watch) -> FaultKind {
    let failing = |state: &State| matches!(state, State::Failing { .. });
    match until(watch.promql(), || watch.state(), failing).await {
        State::Failing { fault, .. } => fault.kind(),
        _ => unreachable!(),
    }
}

/// What a single query gives for the bins of a series.
async fn asked_singly(server: &Prometheus, promql: &str, from: i64, to: i64) -> Vec<f64> {
    let source = Source::new(server.url(), LIMIT).unwrap();
    let query = RangeQuery {
        promql: promql.to_owned(),
        from,
        to,
        step: MINUTE,
    };
    source.fetch(&query, &mut |_, _| {}).await.unwrap().values
}

#[tokio::test]
async fn grouped_queries_give_what_single_ones_give() {
    // Values that would match others if they were not escaped, and some that quotes could end.
    let apps = [
        "shop",
        "sho.",
        "a|b",
        "a",
        "b",
        r"back\slash",
        "quo\"te",
        "brace}",
        "ü-k",
        "(x",
        "new\nline",
    ];
    let mut history = Vec::new();
    for (i, app) in (1_i64..).zip(apps) {
        for (j, pod) in (1_i64..).zip(["p1", "p2", "p3"]) {
            let counter = move |minute: i64| {
                // Counters that are reset at different times.
                let since = minute % (40 + i * j);
                Some((since * 60 * i * j) as f64)
            };
            history.push(series(
                "requests_total",
                &[("app", app), ("pod", pod), ("c", "d")],
                200,
                counter,
            ));
            let gauge =
                move |minute: i64| (minute % 17 != i).then_some(((minute * i * j) % 97) as f64);
            history.push(series(
                "load",
                &[("app", app), ("pod", pod), ("c", "d")],
                200,
                gauge,
            ));
        }
    }
    let Some(server) = serve(&history) else {
        return;
    };
    let collector = collector(&server, |_| {});
    let shapes = [
        "sum(rate(requests_total{app=APP,c=\"d\"}[5m]))",
        "-sum(increase(requests_total{app=APP}[3m] offset 2m)) * 60 + 1",
        "avg(load{app=APP,c=\"d\"})",
        "min(load{c=\"d\",app=APP})",
        "max(max_over_time(load{app=APP,pod!=\"p3\"}[10m]) / 4)",
        "count(load{app=APP,pod=~\"p1|p2\"})",
        "group(load{app=APP})",
        "stddev(load{app=APP})",
        "stdvar(clamp_max(load{app=APP}, 50))",
        "quantile(0.9, load{app=APP})",
        "sum(irate(requests_total{app=APP}[5m])) / 7",
        "sum(resets(requests_total{app=APP}[1h])) + 2 ^ 3",
    ];
    let mut watches = Vec::new();
    for shape in shapes {
        for app in apps {
            let value = app
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let promql = shape.replace("APP", &format!("\"{value}\""));
            watches.push((promql.clone(), collector.watch(&promql).unwrap()));
        }
    }
    for (_, watch) in &watches {
        until(
            watch.promql(),
            || watch.state(),
            |state| matches!(state, State::Fresh | State::NoData { .. }),
        )
        .await;
    }
    let stats = collector.stats();
    assert_eq!(
        (stats.queries_distinct, stats.groups_split),
        (shapes.len(), 0),
        "{stats:?}"
    );
    for (promql, watch) in &watches {
        let seen = watch.seen();
        let recent = &seen.recent;
        assert!(
            recent.values.len() > 150,
            "{promql}: {}",
            recent.values.len()
        );
        let singly = asked_singly(&server, promql, recent.start, recent.end()).await;
        for (i, (grouped, single)) in recent.values.iter().zip(&singly).enumerate() {
            let same = grouped.is_nan() && single.is_nan()
                || (grouped - single).abs() <= 1e-6 * single.abs().max(1e-6);
            assert!(same, "{promql} bin {i}: {grouped} and {single}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_is_waited_for() {
    let Some(mut server) = serve(&[series("load", &[("app", "a")], 300, |i| Some(i as f64))])
    else {
        return;
    };
    let collector = collector(&server, |config| config.timeout = Duration::from_secs(2));
    let watch = collector.watch("sum(load{app=\"a\"})").unwrap();
    fresh(&watch).await;
    let before = watch.seen();
    assert!(
        before.recent.values.len() >= 290,
        "{}",
        before.recent.values.len()
    );
    server.bed_mut().kill("prometheus").unwrap();
    assert_eq!(fault(&watch).await, FaultKind::Unreachable);
    let during = watch.seen();
    assert_eq!(during.history.values[..50], before.history.values[..50]);
    assert!(during.latest.is_some());
    // A new interest while it is down knows why it waits.
    let late = collector.watch("sum(load)").unwrap();
    assert_eq!(fault(&late).await, FaultKind::Unreachable);
    server.restart().unwrap();
    let answered = |state: &State| matches!(state, State::Fresh | State::NoData { .. });
    until("again", || watch.state(), answered).await;
    until("late", || late.state(), answered).await;
}

#[tokio::test]
async fn an_empty_server_gives_no_data_and_no_error() {
    let Some(server) = serve(&[]) else { return };
    let collector = collector(&server, |_| {});
    let watch = collector.watch("sum(load)").unwrap();
    until(
        "no data",
        || watch.state(),
        |state| matches!(state, State::NoData { .. }),
    )
    .await;
    let seen = watch.seen();
    assert_eq!(
        (
            seen.latest,
            seen.history.values.len(),
            seen.recent.values.len()
        ),
        (None, 0, 0)
    );
    collector.shutdown().await;
}

#[tokio::test]
async fn answers_that_are_not_one_number_are_refused_by_name() {
    let many = |i: i64| series("many", &[("pod", &format!("pod-{i}"))], 2, |_| Some(1.0));
    let mut history: Vec<HistorySeries> = (0..10_000).map(many).collect();
    history.push(series("load", &[], 20, |i| Some(i as f64)));
    let Some(server) = serve(&history) else {
        return;
    };
    let collector = collector(&server, |_| {});
    for (promql, kind) in [
        ("many", FaultKind::TooManySeries),
        ("\"text\"", FaultKind::NotNumbers),
        ("sum(load", FaultKind::Refused),
        ("no_such_function(load)", FaultKind::Refused),
        ("load[5m]", FaultKind::NotNumbers),
    ] {
        let watch = collector.watch(promql).unwrap();
        assert_eq!(fault(&watch).await, kind, "{promql}");
        assert_eq!(watch.latest(), None);
    }
    // Not a number is a gap, and a scalar is a number.
    let nan = collector.watch("sum(load) / 0 * 0").unwrap();
    until(
        "NaN",
        || nan.state(),
        |state| matches!(state, State::NoData { .. }),
    )
    .await;
    let scalar = collector.watch("scalar(sum(load)) * 0 + 42").unwrap();
    fresh(&scalar).await;
    assert_eq!(scalar.latest().map(|sample| sample.value), Some(42.0));
    let most = collector.watch("count(many)").unwrap();
    until("count", || most.latest(), Option::is_some).await;
    assert_eq!(most.latest().map(|sample| sample.value), Some(10_000.0));
}

#[tokio::test]
async fn outages_resets_and_ends_are_seen_as_they_were() {
    let counter = |i: i64| Some(((i % 180) * 60 * 5) as f64);
    // Six hours are missing, and nothing came for the last hour.
    let patchy = |i: i64| (!(300..660).contains(&i) && i < 1140).then_some((i * 60 * 5) as f64);
    let Some(server) = serve(&[
        series("steady_total", &[], 1200, counter),
        series("patchy_total", &[], 1200, patchy),
    ]) else {
        return;
    };
    let collector = collector(&server, |_| {});
    let steady = collector.watch("sum(rate(steady_total[5m]))").unwrap();
    let patchy = collector.watch("sum(rate(patchy_total[5m]))").unwrap();
    fresh(&steady).await;
    let seen = steady.seen();
    assert!(seen.recent.values.len() > 1190);
    // A reset takes at most the sample's own step out of a rate; the first ones have not seen five minutes yet.
    let odd = seen
        .recent
        .values
        .iter()
        .skip(5)
        .find(|rate| !(3.0..=5.1).contains(*rate));
    assert_eq!(odd, None);
    until(
        "ended",
        || patchy.state(),
        |state| matches!(state, State::NoData { .. }),
    )
    .await;
    let whole = |seen: &foreshard_history::collector::Seen| seen.recent.values.len() > 1190;
    let seen = until("backfilled", || patchy.seen(), whole).await;
    assert_eq!(seen.latest, None);
    let gaps = seen
        .recent
        .values
        .iter()
        .filter(|value| value.is_nan())
        .count();
    assert!((355 + 55..=362 + 62).contains(&gaps), "{gaps}");
    let at_end = seen
        .recent
        .values
        .iter()
        .rev()
        .take_while(|value| value.is_nan());
    assert!((54..=60).contains(&at_end.count()));
}

#[tokio::test]
async fn one_query_that_fails_leaves_its_group_working() {
    let mut history = Vec::new();
    for app in ["a", "b", "c", "d"] {
        history.push(series("one_total", &[("app", app)], 30, |i| {
            Some((i * 60) as f64)
        }));
    }
    // Two metrics of one name less: a rate of both cannot be told apart.
    history.push(series("two_total", &[("app", "c")], 30, |i| Some(i as f64)));
    let Some(server) = serve(&history) else {
        return;
    };
    let collector = collector(&server, |_| {});
    let watches = ["a", "b", "c", "d"].map(|app| {
        let promql = format!("sum(rate({{__name__=~\"one_total|two_total\",app=\"{app}\"}}[5m]))");
        collector.watch(&promql).unwrap()
    });
    for (i, watch) in watches.iter().enumerate() {
        if i == 2 {
            assert_eq!(fault(watch).await, FaultKind::Refused);
        } else {
            fresh(watch).await;
        }
    }
    assert!(collector.stats().groups_split >= 1);
}

#[tokio::test]
async fn a_tenant_reads_its_own_series_only() {
    let Some(server) = serve(&[
        series("load", &[("namespace", "shop"), ("app", "a")], 30, |_| {
            Some(1.0)
        }),
        series("load", &[("namespace", "bank"), ("app", "a")], 30, |_| {
            Some(1000.0)
        }),
    ]) else {
        return;
    };
    let tenant = Enforced {
        label: "namespace".to_owned(),
        value: "shop".to_owned(),
    };
    let collector = collector(&server, |config| config.enforced = Some(tenant));
    for promql in [
        "sum(load)",
        "sum(load{app=\"a\"})",
        "sum(load{app=\"b\"}) or sum(load)",
        "max(load) * scalar(count(load))",
        "topk(scalar(max(load)), load)",
    ] {
        let watch = collector.watch(promql).unwrap();
        until(promql, || watch.latest(), Option::is_some).await;
        assert_eq!(
            watch.latest().map(|sample| sample.value),
            Some(1.0),
            "{promql}"
        );
    }
    let refused = collector.watch("sum(load{namespace=\"bank\"})");
    assert!(matches!(refused, Err(QueryError::OtherTenant { .. })));
}

#[tokio::test]
async fn live_samples_follow_a_load_and_stop_with_it() {
    let Some(mut server) = serve(&[]) else { return };
    let values: Vec<f64> = (1..=200).map(f64::from).collect();
    let exporter = Exporter::start("live_load", values, Duration::from_millis(100)).unwrap();
    server
        .scrape(&[exporter.address()], Duration::from_millis(200))
        .unwrap();
    let collector = collector(&server, |_| {});
    let mut watch = collector.watch("sum(live_load)").unwrap();
    let mut values = Vec::new();
    for _ in 0..2 {
        timeout(LIMIT, watch.changed()).await.unwrap();
        values.extend(watch.latest().map(|sample| sample.value));
    }
    assert!(values.is_sorted(), "{values:?}");
    until(
        "stopped",
        || watch.state(),
        |state| matches!(state, State::NoData { .. }),
    )
    .await;
    let last = watch.latest().unwrap();
    assert!(last.value <= 200.0);
    assert!(last.at >= this_minute() - 2 * MINUTE);
}
