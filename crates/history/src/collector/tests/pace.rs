//! How often is asked.

use super::*;
use std::collections::HashSet;
use transport::When;

/// Not much of a history: what is counted here is questions.
fn load(time: i64) -> Option<f64> {
    (time > T0 - 3600).then_some((time % 1000) as f64)
}

#[tokio::test(start_paused = true)]
async fn three_thousand_ungrouped_signals_stay_in_the_budget() {
    let fake = Fake::new(&[(&[], load)]);
    let collector = fake.collector(|_| {});
    // Different texts that no group takes.
    let watches: Vec<Watch> = (0..3000)
        .map(|i| collector.watch(&format!("sum(x{{pod{i}=\"\"}})")).unwrap())
        .collect();
    pass(1800).await;
    let stats = collector.stats();
    assert_eq!(stats.queries_distinct, 3000);
    assert!(
        (80..90).contains(&stats.poll_interval.as_secs()),
        "{:?}",
        stats.poll_interval
    );
    let log = fake.log();
    let mut first = 0;
    for (i, (at, _)) in log.iter().enumerate() {
        while log[first].0 + 60 <= *at {
            first += 1;
        }
        assert!(i - first < 3000, "{at}");
    }
    assert_eq!(stats.signals.fresh, 3000, "{:?}", stats.signals);
    // Each is as fresh as promised.
    let now = T0 + 1800;
    let oldest = watches
        .iter()
        .filter_map(Watch::latest)
        .map(|sample| sample.at)
        .min();
    assert!(now - oldest.unwrap() <= 92, "{}", now - oldest.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_apps_are_a_handful_of_queries() {
    let apps: Vec<String> = (0..1000).map(|i| format!("shop-{i:04}")).collect();
    let labels: Vec<[(&str, &str); 2]> = apps
        .iter()
        .map(|app| [("app", app.as_str()), ("c", "d")])
        .collect();
    let series: Vec<(&[(&str, &str)], fake::Value)> = labels
        .iter()
        .map(|labels| (&labels[..], load as fake::Value))
        .collect();
    let fake = Fake::new(&series);
    let collector = fake.collector(|_| {});
    let watches: Vec<Watch> = apps
        .iter()
        .map(|app| {
            collector
                .watch(&format!("sum(x{{app={app:?},c=\"d\"}})"))
                .unwrap()
        })
        .collect();
    pass(20).await;
    let stats = collector.stats();
    assert_eq!(stats.queries_distinct, 4);
    assert_eq!(stats.poll_interval, Duration::from_secs(5));
    assert!(watches.iter().all(|watch| watch.latest().is_some()));
    let longest = fake.log().iter().map(|(_, ask)| ask.promql.len()).max();
    assert!(longest.unwrap() <= plan::GROUP_BYTES_MAX + 100);
    let texts: HashSet<_> = fake.log().into_iter().map(|(_, ask)| ask.promql).collect();
    assert!(texts.len() <= 8, "{}", texts.len());
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_joins_and_is_answered_at_once() {
    let fake = Fake::new(&[(&[("app", "a")], load), (&[("app", "b")], load)]);
    let collector = fake.collector(|config| config.poll_every = Duration::from_secs(30));
    let one = collector.watch("sum(x{app=\"a\"})").unwrap();
    pass(40).await;
    let mut other = collector.watch("sum(x{app=\"b\"})").unwrap();
    let begun = tokio::time::Instant::now();
    other.changed().await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(collector.stats().queries_distinct, 1);
    pass(60).await;
    assert_eq!((one.state(), other.state()), (State::Fresh, State::Fresh));
}

#[tokio::test(start_paused = true)]
async fn an_ended_collector_asks_nothing_and_keeps_what_was_seen() {
    let fake = Fake::new(&[(&[], load)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x)").unwrap();
    pass(30).await;
    collector.shutdown().await;
    fake.forget();
    pass(60).await;
    assert_eq!(fake.log(), []);
    assert!(watch.latest().is_some());
}

#[tokio::test(start_paused = true)]
async fn the_past_of_those_that_come_together_is_fetched_together() {
    let apps: Vec<String> = (0..100).map(|i| format!("shop-{i:04}")).collect();
    let labels: Vec<[(&str, &str); 1]> = apps.iter().map(|app| [("app", app.as_str())]).collect();
    let series: Vec<(&[(&str, &str)], fake::Value)> = labels
        .iter()
        .map(|labels| (&labels[..], load as fake::Value))
        .collect();
    let fake = Fake::new(&series);
    let collector = fake.collector(|_| {});
    let mut watches = Vec::new();
    for app in &apps {
        watches.push(collector.watch(&format!("sum(x{{app={app:?}}})")).unwrap());
        pass(1).await;
    }
    let backfills = |log: Vec<(i64, transport::Ask)>| {
        let old =
            |ask: &transport::Ask| matches!(ask.when, When::Range { from, .. } if from < T0 - 3600);
        let when: Vec<i64> = log
            .iter()
            .filter(|(_, ask)| old(ask))
            .map(|(at, _)| *at)
            .collect();
        when
    };
    // For half a minute it waits for more, and no longer.
    let first = backfills(fake.log())[0];
    assert!((30..33).contains(&first), "{first}");
    pass(60).await;
    assert!(watches.iter().all(|watch| watch.state() == State::Fresh));
    let last = watches.pop().unwrap();
    fake.forget();
    let alone = collector.watch("sum(x{app=\"nobody\"})").unwrap();
    pass(4).await;
    let came = backfills(fake.log());
    assert!(!came.is_empty(), "{:?}", fake.log());
    drop((alone, last));
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_holds_from_then_on() {
    let fake = Fake::new(&[(&[], load)]);
    let collector = fake.collector(|_| {});
    let _watches: Vec<Watch> = (0..100)
        .map(|i| collector.watch(&format!("sum(x{{pod{i}=\"\"}})")).unwrap())
        .collect();
    pass(300).await;
    fake.forget();
    collector.limit(120);
    pass(1).await;
    fake.forget();
    pass(600).await;
    let queries = fake.log().len();
    assert!((1_000..=1_200).contains(&queries), "{queries}");
    assert!(collector.stats().poll_interval.as_secs() > 60);
}
