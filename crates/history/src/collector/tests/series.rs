//! What is seen of series that come as they should, or do not come.

use super::*;

/// A value that tells its time.
fn minutes(time: i64) -> Option<f64> {
    Some((time / 60 % 100_000) as f64)
}

#[tokio::test(start_paused = true)]
async fn history_recent_bins_and_live_samples_come_by_themselves() {
    let fake = Fake::new(&[(&[("app", "a")], minutes)]);
    let collector = fake.collector(|_| {});
    let mut watch = collector.watch("sum(x{app=\"a\"})").unwrap();
    assert_eq!(watch.state(), State::Waiting);
    watch.changed().await;
    assert_eq!(seconds(watch.latest()), Some(0));
    pass(30).await;
    assert_eq!(watch.state(), State::Fresh);
    let seen = watch.seen();
    let bin = |step: i64, i: i64| (T0 / step - i) * step;
    assert_eq!((seen.history.step, seen.history.end()), (300, bin(300, 0)));
    assert_eq!(seen.history.values.len(), HISTORY_BINS);
    assert_eq!((seen.recent.step, seen.recent.end()), (60, bin(60, 0)));
    assert_eq!(seen.recent.values.len(), RECENT_BINS);
    for series in [&seen.history, &seen.recent] {
        let ends = (1..).map(|i| series.start + i * series.step);
        for (end, value) in ends.zip(&series.values) {
            assert_eq!(Some(*value), minutes(end), "{end}");
        }
    }
    // Live samples go on every five seconds, and new bins follow without gaps.
    let before = seconds(watch.latest()).unwrap();
    watch.changed().await;
    watch.changed().await;
    assert_eq!(seconds(watch.latest()), Some(before + 5));
    fake.forget();
    pass(600).await;
    let seen = watch.seen();
    assert!(seen.recent.end() >= T0 + 500, "{}", seen.recent.end() - T0);
    assert!(seen.recent.values.iter().all(|value| value.is_finite()));
    assert!(seen.history.values.iter().all(|value| value.is_finite()));
    // A refresh asks for the new bin and two known ones, no more.
    for (_, ask) in fake.log() {
        if let transport::When::Range { from, to, step } = ask.when {
            assert!((to - from) / step < 4, "{ask:?}");
        }
    }
    assert_eq!(collector.stats().stored_bytes, SIGNAL_BYTES_MAX);
}

#[tokio::test(start_paused = true)]
async fn backfills_are_cut_to_the_limit_and_never_delay_live_samples() {
    let fake = Fake::new(&[(&[("app", "a")], minutes), (&[("app", "b")], minutes)]);
    let collector = fake.collector(|config| {
        config.limits.samples_per_answer_max = 500;
        config.limits.queries_per_minute_max = 60;
    });
    let watches = ["a", "b"].map(|app| collector.watch(&format!("sum(x{{app={app:?}}})")).unwrap());
    pass(20).await;
    assert!(matches!(watches[0].state(), State::Backfilling { .. }));
    pass(120).await;
    for watch in &watches {
        assert_eq!(watch.state(), State::Fresh);
        assert_eq!(watch.seen().history.values.len(), HISTORY_BINS);
    }
    let log = fake.log();
    let live: Vec<i64> = log
        .iter()
        .filter(|(_, ask)| ask.when == transport::When::Now)
        .map(|(at, _)| *at)
        .collect();
    assert!(
        live.windows(2).all(|pair| pair[1] - pair[0] <= 6),
        "{live:?}"
    );
    for (_, ask) in &log {
        if let transport::When::Range { from, to, step } = ask.when {
            assert!((to - from) / step < 250, "{ask:?}");
        }
    }
    // Both were asked for together from the first range on.
    assert!(
        log.iter().all(|(_, ask)| ask.promql.contains("a|b")),
        "{log:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn equal_queries_share_a_signal_that_ends_with_the_last_watch() {
    let fake = Fake::new(&[(&[("app", "a")], minutes)]);
    let collector = fake.collector(|config| config.limits.signals_max = 1);
    let one = collector.watch("sum(x{app=\"a\"})").unwrap();
    let other = collector.watch(" sum( x{app='a'} )").unwrap();
    assert_eq!(one.promql(), other.promql());
    let error = collector.watch("sum(x)").unwrap_err();
    assert_eq!(error, QueryError::TooManySignals { signals_max: 1 });
    pass(30).await;
    assert_eq!(collector.stats().signals.fresh, 1);
    drop(one);
    pass(30).await;
    assert_eq!(other.state(), State::Fresh);
    drop(other);
    pass(10).await;
    fake.forget();
    pass(600).await;
    assert_eq!(fake.log(), []);
    assert_eq!(collector.stats().stored_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_a_gap() {
    // Only the newest hours, with a hole, an infinity and a NaN.
    fn patchy(time: i64) -> Option<f64> {
        match T0 - time {
            7_200.. => None,
            3_600..4_000 => None,
            1_000..1_100 => Some(f64::INFINITY),
            500..600 => Some(f64::NAN),
            _ => Some(1.0),
        }
    }
    let fake = Fake::new(&[(&[], patchy)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x)").unwrap();
    pass(30).await;
    let recent = watch.seen().recent;
    for (i, value) in (1..).zip(&recent.values) {
        let expected = patchy(recent.start + i * 60).filter(|value| value.is_finite());
        assert_eq!(Some(*value).filter(|value| value.is_finite()), expected);
    }
    assert_eq!(recent.values.len(), 120);
    assert_eq!(watch.seen().history.values.len(), 24);
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_ends_leaves_its_last_sample_and_a_growing_gap() {
    fn ending(time: i64) -> Option<f64> {
        (time < T0 + 60).then_some(3.0)
    }
    let fake = Fake::new(&[(&[], ending)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x)").unwrap();
    pass(1200).await;
    let State::NoData { since } = watch.state() else {
        panic!("{:?}", watch.state());
    };
    assert!((60..70).contains(&(since - T0)), "{}", since - T0);
    assert!((50..60).contains(&seconds(watch.latest()).unwrap()));
    let recent = watch.seen().recent;
    let gap = recent
        .values
        .iter()
        .rev()
        .take_while(|value| value.is_nan());
    assert!((17..=20).contains(&gap.count()), "{recent:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_day_without_the_server_the_gap_is_filled() {
    let fake = Fake::new(&[(&[("app", "a")], minutes)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x{app=\"a\"})").unwrap();
    pass(120).await;
    let unreachable = || Fault::Unreachable {
        url: "http://fake".to_owned(),
        reason: "connection refused".to_owned(),
    };
    fake.judge(move |_| fake::Fate::Fail(unreachable()));
    pass(3 * 86_400).await;
    let seen = watch.seen();
    assert!(matches!(seen.state, State::Failing { .. }));
    // What was seen stays, and how old it is can be read off the gap.
    assert!(seconds(seen.latest).unwrap() <= 120);
    assert!(seen.recent.values.is_empty());
    let gap = seen
        .history
        .values
        .iter()
        .rev()
        .take_while(|value| value.is_nan());
    assert!(gap.count() >= 3 * 288 - 2);
    fake.judge(|_| fake::Fate::Truth);
    pass(120).await;
    assert_eq!(watch.state(), State::Fresh);
    let seen = watch.seen();
    assert_eq!(seen.history.values.len(), HISTORY_BINS);
    assert!(seen.history.values.iter().all(|value| value.is_finite()));
    assert!(seen.recent.values.iter().all(|value| value.is_finite()));
}
