//! Servers and queries that do not do as they should.

use super::*;
use fake::Fate;
use transport::When;

fn load(time: i64) -> Option<f64> {
    Some((time % 1000) as f64)
}

/// What a server that is at fault does with every question.
type Answering = dyn Fn() -> Fate + Send + Sync;

const REFUSED: &str = r#"{"status":"error","errorType":"execution","error":"vector cannot contain metrics with the same labelset"}"#;

#[tokio::test(start_paused = true)]
async fn one_bad_query_does_not_take_its_group_down() {
    let apps: Vec<String> = (0..20).map(|i| format!("a{i}")).collect();
    let labels: Vec<[(&str, &str); 1]> = apps.iter().map(|app| [("app", app.as_str())]).collect();
    let series: Vec<(&[(&str, &str)], fake::Value)> = labels
        .iter()
        .map(|labels| (&labels[..], load as fake::Value))
        .collect();
    let fake = Fake::new(&series);
    // Whatever touches a7 fails.
    let touches = |ask: &transport::Ask| {
        ask.promql.contains("\"a7\"") || ask.promql.contains("a7|") || ask.promql.contains("|a7")
    };
    fake.judge(move |ask| {
        if touches(ask) {
            Fate::Say(422, REFUSED)
        } else {
            Fate::Truth
        }
    });
    let collector = fake.collector(|_| {});
    let watches: Vec<Watch> = apps
        .iter()
        .map(|app| collector.watch(&format!("sum(x{{app={app:?}}})")).unwrap())
        .collect();
    pass(20).await;
    for (app, watch) in apps.iter().zip(&watches) {
        let State::Failing { fault, .. } = watch.state() else {
            assert_ne!(app, "a7");
            assert!(watch.latest().is_some(), "{app}");
            continue;
        };
        assert_eq!(app, "a7");
        assert!(matches!(*fault, Fault::Refused { .. }), "{fault}");
    }
    // Soon the others are together again, and the bad one is asked for seldom.
    pass(600).await;
    fake.forget();
    pass(120).await;
    let live: Vec<_> = fake
        .log()
        .into_iter()
        .filter(|(_, ask)| ask.when == When::Now)
        .collect();
    assert!(live.len() < 30, "{}", live.len());
    let stats = collector.stats();
    assert_eq!((stats.signals.fresh, stats.signals.failing), (19, 1));
    assert!(
        (1..=4).contains(&stats.groups_split),
        "{}",
        stats.groups_split
    );
    // It is mended: within its back-off it is back.
    fake.judge(|_| Fate::Truth);
    pass(900).await;
    assert_eq!(collector.stats().signals.fresh, 20);
    assert_eq!(collector.stats().queries_distinct, 1);
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_the_server_is_told_waited_out_and_forgotten() {
    let cases: Vec<(&str, Box<Answering>, FaultKind)> = vec![
        (
            "absent",
            Box::new(|| {
                Fate::Fail(Fault::Unreachable {
                    url: "http://fake".to_owned(),
                    reason: "connection refused".to_owned(),
                })
            }),
            FaultKind::Unreachable,
        ),
        (
            "login page",
            Box::new(|| Fate::Say(200, "<html>Sign in")),
            FaultKind::NotPrometheus,
        ),
        (
            "no such path",
            Box::new(|| Fate::Say(404, "404 page not found")),
            FaultKind::NotPrometheus,
        ),
        (
            "bad token",
            Box::new(|| Fate::Say(401, "Unauthorized")),
            FaultKind::Unauthorized,
        ),
        (
            "forbidden",
            Box::new(|| Fate::Say(403, "{}")),
            FaultKind::Unauthorized,
        ),
        (
            "too often",
            Box::new(|| Fate::Say(429, "slow down")),
            FaultKind::TooManyRequests,
        ),
        (
            "gateway",
            Box::new(|| Fate::Say(502, "bad gateway")),
            FaultKind::Unavailable,
        ),
        (
            "starting",
            Box::new(|| Fate::Say(503, "Service Unavailable")),
            FaultKind::Unavailable,
        ),
        (
            "moved",
            Box::new(|| Fate::Say(302, "")),
            FaultKind::Redirected,
        ),
        ("hanging", Box::new(|| Fate::Silence), FaultKind::TimedOut),
        (
            "half",
            Box::new(|| Fate::Say(200, "{\"status\":\"success\",\"data\"")),
            FaultKind::NotPrometheus,
        ),
    ];
    for (name, fate, kind) in cases {
        let fake = Fake::new(&[(&[("app", "a")], load), (&[("app", "b")], load)]);
        let collector = fake.collector(|_| {});
        let watches = [
            collector.watch("sum(x{app=\"a\"})").unwrap(),
            collector.watch("sum(x{app=\"b\"})").unwrap(),
            collector.watch("sum(x)").unwrap(),
        ];
        pass(60).await;
        assert_eq!(collector.stats().signals.fresh, 3, "{name}");
        let before = watches[0].seen();
        fake.judge(move |_| fate());
        pass(120).await;
        for watch in &watches {
            let State::Failing { fault, since } = watch.state() else {
                panic!("{name}: {:?}", watch.state());
            };
            assert_eq!(fault.kind(), kind, "{name}: {fault}");
            assert!((60..=100).contains(&(since - T0)), "{name}: {}", since - T0);
        }
        // What was seen is still there, and nothing else.
        let after = watches[0].seen();
        let known = |seen: &Seen| {
            seen.recent
                .values
                .iter()
                .filter(|value| value.is_finite())
                .count()
        };
        assert!(known(&after).abs_diff(known(&before)) <= 2, "{name}");
        assert!(seconds(after.latest).unwrap() <= 60, "{name}");
        // It is not hammered meanwhile.
        fake.forget();
        pass(300).await;
        let asked = fake.log().len();
        assert!((1..=45).contains(&asked), "{name}: {asked}");
        fake.judge(|_| Fate::Truth);
        pass(400).await;
        let stats = collector.stats();
        assert_eq!(stats.signals.fresh, 3, "{name}: {:?}", watches[0].state());
        let counted = stats
            .failures
            .iter()
            .find(|(other, _)| *other == kind)
            .unwrap();
        assert!(counted.1 > 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it() {
    let fake = Fake::new(&[(&[], load)]);
    fake.judge(|_| Fate::Say(429, ""));
    let collector = fake.collector(|_| {});
    let _watch = collector.watch("sum(x)").unwrap();
    pass(100).await;
    let times: Vec<i64> = fake.log().iter().map(|(at, _)| *at).collect();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] >= 20),
        "{times:?}"
    );
    assert!(times.len() >= 3, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_one_number_is_told_with_its_fix() {
    let cases = [
        (
            "many",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"pod":"p1"},"value":[1700000000,"1"]},{"metric":{"pod":"p2"},"value":[1700000000,"1"]},{"metric":{"pod":"p3"},"value":[1700000000,"1"]}]}}"#,
        ),
        (
            "string",
            r#"{"status":"success","data":{"resultType":"string","result":[1700000000,"hi"]}}"#,
        ),
        (
            "histogram",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1700000000,{"count":"1"}]}]}}"#,
        ),
        (
            "refused",
            r#"{"status":"error","errorType":"bad_data","error":"parse\nerror\u001b[31m"}"#,
        ),
    ];
    let mut report = String::new();
    for (name, body) in cases {
        let fake = Fake::new(&[]);
        fake.judge(move |_| Fate::Say(200, body));
        let collector = fake.collector(|_| {});
        let watch = collector.watch("x").unwrap();
        pass(5).await;
        let State::Failing { fault, .. } = watch.state() else {
            panic!("{name}: {:?}", watch.state());
        };
        report.push_str(&format!("{name}: {fault}\n"));
        assert_eq!(watch.latest(), None);
        // A query that gives nothing usable is not backfilled.
        assert!(fake.log().iter().all(|(_, ask)| ask.when == When::Now));
    }
    insta::assert_snapshot!(report);
}

#[tokio::test(start_paused = true)]
async fn numbers_without_series_and_not_a_number_are_what_they_are() {
    let fake = Fake::new(&[]);
    fake.judge(|ask| match ask.when {
        When::Now => Fate::Say(
            200,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000.5,"42"]}}"#,
        ),
        When::Range { .. } => Fate::Say(
            200,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1699999980,"42"]]}]}}"#,
        ),
    });
    let collector = fake.collector(|_| {});
    let watch = collector.watch("vector(1)").unwrap();
    pass(30).await;
    assert_eq!(watch.latest().map(|sample| sample.value), Some(42.0));
    assert_eq!(watch.seen().recent.values, [42.0]);

    fake.judge(|_| {
        Fate::Say(
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1700000040,"NaN"]}]}}"#,
        )
    });
    pass(10).await;
    assert!(matches!(watch.state(), State::NoData { .. }));
    assert_eq!(watch.latest().map(|sample| sample.value), Some(42.0));
}

#[tokio::test(start_paused = true)]
async fn samples_of_the_future_are_not_used() {
    let fake = Fake::new(&[(&[], load)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x)").unwrap();
    pass(30).await;
    let before = watch.latest();
    fake.ahead(59);
    pass(10).await;
    let tolerated = watch.latest();
    assert_ne!(before, tolerated);
    assert!(
        tolerated.is_some_and(|sample| sample.at <= T0 + 40),
        "newer than now is nothing: {tolerated:?}"
    );
    fake.ahead(300);
    pass(60).await;
    let State::Failing { fault, .. } = watch.state() else {
        panic!("{:?}", watch.state());
    };
    assert!(
        matches!(*fault, Fault::FromTheFuture { seconds: 300, .. }),
        "{fault}"
    );
    assert_eq!(watch.latest(), tolerated);
    // A server that is behind is not asked for what it cannot know.
    fake.ahead(-600);
    fake.forget();
    pass(300).await;
    for (at, ask) in fake.log() {
        if let When::Range { to, .. } = ask.when {
            assert!(to <= T0 + at - 600, "{at} {ask:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_is_too_much_is_cut_smaller() {
    let fake = Fake::new(&[(&[("app", "a")], load), (&[("app", "b")], load)]);
    fake.judge(|ask| match ask.when {
        When::Range { from, to, step } if (to - from) / step > 1000 => Fate::Silence,
        _ => Fate::Truth,
    });
    let collector = fake.collector(|_| {});
    let watches = ["a", "b"].map(|app| collector.watch(&format!("sum(x{{app={app:?}}})")).unwrap());
    pass(300).await;
    for watch in &watches {
        assert_eq!(watch.state(), State::Fresh);
        let seen = watch.seen();
        assert_eq!(seen.history.values.len(), HISTORY_BINS);
        assert!(seen.history.values.iter().all(|value| value.is_finite()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_of_the_history_that_cannot_be_had_is_a_gap_with_its_reason() {
    let fake = Fake::new(&[(&[], load)]);
    // Two series at once, for the week before last.
    let two = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"p1"},"values":[[60,"1"]]},{"metric":{"pod":"p2"},"values":[[60,"1"]]}]}}"#;
    fake.judge(move |ask| match ask.when {
        When::Range { from, .. } if from < T0 - 14 * 86_400 => Fate::Say(200, two),
        _ => Fate::Truth,
    });
    let collector = fake.collector(|config| config.limits.samples_per_answer_max = 288);
    let watch = collector.watch("sum(x)").unwrap();
    pass(120).await;
    let seen = watch.seen();
    assert_eq!(seen.state, State::Fresh);
    assert_eq!(
        seen.history_fault.map(|fault| fault.kind()),
        Some(FaultKind::TooManySeries)
    );
    let days = seen.history.values.len() as f64 / 288.0;
    assert!((13.0..=14.1).contains(&days), "{days}");
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_leaves_no_hole() {
    let passing = [
        (
            503,
            r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#,
        ),
        (
            500,
            r#"{"status":"error","errorType":"internal","error":"expanding series: EOF"}"#,
        ),
        (
            422,
            r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#,
        ),
    ];
    for (status, said) in passing {
        let fake = Fake::new(&[(&[], load)]);
        fake.judge(move |ask| match ask.when {
            When::Range { .. } => Fate::Say(status, said),
            When::Now => Fate::Truth,
        });
        let collector = fake.collector(|_| {});
        let watch = collector.watch("sum(x)").unwrap();
        pass(20).await;
        assert!(watch.latest().is_some() && watch.seen().history_fault.is_some());
        fake.judge(|_| Fate::Truth);
        pass(600).await;
        let seen = watch.seen();
        assert_eq!(seen.state, State::Fresh, "{said}");
        assert_eq!(seen.history.values.len(), HISTORY_BINS, "{said}");
        assert!(seen.history.values.iter().all(|value| value.is_finite()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_of_the_far_future_takes_nothing_away() {
    let fake = Fake::new(&[(&[], load)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x)").unwrap();
    pass(120).await;
    let far = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[4200000000,"1"]]}]}}"#;
    fake.judge(move |ask| match ask.when {
        When::Range { .. } => Fate::Say(200, far),
        When::Now => Fate::Truth,
    });
    pass(130).await;
    fake.judge(|_| Fate::Truth);
    pass(300).await;
    let values = watch.seen().history.values;
    assert_eq!(values.len(), HISTORY_BINS);
    assert!(values.iter().filter(|value| value.is_nan()).count() <= 1);
}

#[tokio::test(start_paused = true)]
async fn other_credentials_go_on_where_the_old_ones_were_refused() {
    let fake = Fake::new(&[(&[("app", "a")], load)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x{app=\"a\"})").unwrap();
    pass(60).await;
    let history = watch.seen().history;
    assert!(history.values.iter().all(|bin| bin.is_finite()));
    fake.judge(|_| Fate::Say(401, "who are you?"));
    pass(600).await;
    let State::Failing { fault, .. } = watch.state() else {
        panic!("{:?}", watch.state());
    };
    assert_eq!(fault.kind(), FaultKind::Unauthorized);
    fake.judge(|_| Fate::Truth);
    fake.forget();
    collector
        .line
        .send_modify(|line| line.transport = Arc::new(fake.clone()));
    pass(1).await;
    assert_eq!(watch.state(), State::Fresh);
    // What was seen before is not asked for again.
    pass(60).await;
    let oldest = fake
        .log()
        .into_iter()
        .filter_map(|(_, ask)| match ask.when {
            When::Range { from, .. } => Some(from),
            When::Now => None,
        });
    assert!(oldest.min().unwrap() >= T0 - 120, "{:?}", fake.log());
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_warning_is_none() {
    const HALF: &str = r#"{"status":"success","warnings":["store 10.0.0.7: deadline exceeded"],"infos":["x"],
        "data":{"resultType":"vector","result":[{"metric":{},"value":[1700000100,"1"]}]}}"#;
    let fake = Fake::new(&[(&[("app", "a")], load)]);
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x{app=\"a\"})").unwrap();
    pass(60).await;
    let before = watch.latest().unwrap();
    const PART: &str = r#"{"status":"success","isPartial":true,
        "data":{"resultType":"vector","result":[{"metric":{},"value":[1700000100,"1"]}]}}"#;
    fake.judge(|_| Fate::Say(200, PART));
    pass(60).await;
    let fault = match watch.state() {
        State::Failing { fault, .. } => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault.kind(), FaultKind::Partial);
    fake.judge(|ask| match ask.when {
        When::Now => Fate::Say(200, HALF),
        When::Range { .. } => Fate::Truth,
    });
    pass(60).await;
    let State::Failing { fault, .. } = watch.state() else {
        panic!("{:?}", watch.state());
    };
    assert_eq!(fault.kind(), FaultKind::Partial);
    assert!(fault.to_string().contains("store 10.0.0.7"), "{fault}");
    assert_eq!(watch.latest().unwrap(), before, "nothing of it was taken");
    fake.judge(|_| Fate::Truth);
    pass(300).await;
    assert_eq!(watch.state(), State::Fresh);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_limit_cut_is_told_as_too_many_series() {
    const CUT: &str = r#"{"status":"success","warnings":["results truncated due to limit"],"data":
        {"resultType":"vector","result":[{"metric":{"pod":"a"},"value":[1700000000,"1"]},
        {"metric":{"pod":"b"},"value":[1700000000,"1"]}]}}"#;
    let fake = Fake::new(&[(&[("app", "a")], load)]);
    fake.judge(|_| Fate::Say(200, CUT));
    let collector = fake.collector(|_| {});
    let watch = collector.watch("x").unwrap();
    pass(60).await;
    let State::Failing { fault, .. } = watch.state() else {
        panic!("{:?}", watch.state());
    };
    assert_eq!(fault.kind(), FaultKind::TooManySeries, "{fault}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_loses_its_server_for_a_while_costs_no_history() {
    const LOST: &str = r#"{"status":"error","errorType":"relay","error":"connection refused"}"#;
    let fake = Fake::new(&[(&[("app", "a")], load)]);
    fake.judge(|ask| match ask.when {
        When::Now => Fate::Truth,
        When::Range { .. } => Fate::Silence,
    });
    let collector = fake.collector(|_| {});
    let watch = collector.watch("sum(x{app=\"a\"})").unwrap();
    pass(5).await;
    fake.judge(|_| Fate::Say(502, LOST));
    pass(20).await;
    let State::Failing { fault, .. } = watch.state() else {
        panic!("{:?}", watch.state());
    };
    assert_eq!(fault.kind(), FaultKind::Unavailable);
    fake.judge(|_| Fate::Truth);
    pass(120).await;
    let history = watch.seen().history;
    assert!(history.values.iter().all(|bin| bin.is_finite()));
}
