//! Backtests as jobs.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    access::{FakeAccess, bare, from},
    *,
};
use crate::{BacktestLimits, BacktestOrder, BacktestSettings, Backtests, Issue, Load, Progress};

/// Replays as soon as it may go on, and tells what it was told.
struct FakeBacktests {
    go_on: Semaphore,
    running: AtomicUsize,
}

/// Says whether a run goes on.
struct Runs<'a>(&'a AtomicUsize);

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backtests for FakeBacktests {
    fn check(&self, settings: &BacktestSettings, _: &Load) -> Result<(), Vec<Issue>> {
        if settings.budget < 1.0 {
            return Ok(());
        }
        Err(vec![Issue {
            path: "budget".to_owned(),
            message: "not below 1".to_owned(),
        }])
    }

    fn run<'a>(
        &'a self,
        order: BacktestOrder,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Value, String>> {
        Box::pin(async move {
            let before = self.running.fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "one runs at a time");
            let _runs = Runs(&self.running);
            progress.set(40);
            self.go_on.acquire().await.unwrap().forget();
            let component = order.policy.component;
            if order.policy.config.contains("wrong") {
                return Err("the configuration is wrong".to_owned());
            }
            Ok(json!({
                "trace": String::from_utf8_lossy(&order.load.csv),
                "policy": order.policy.name,
                "component": component.map(|it| String::from_utf8_lossy(&it).into_owned()),
            }))
        })
    }
}

const RULES: [(&str, &str); 6] = [
    ("ann", "list backtests in demo"),
    ("ann", "get backtests in demo"),
    ("ann", "create backtests in demo"),
    ("ann", "delete backtests in demo"),
    ("ann", "get scalingpolicies in demo"),
    ("bob", "create backtests in demo"),
];

fn hub_with(
    limits: BacktestLimits,
    rules: &[(&'static str, &str)],
) -> (Arc<Hub>, Arc<FakeBacktests>) {
    let demo: Name = "demo".parse().unwrap();
    let names = [demo.clone()];
    let runner = Arc::new(FakeBacktests {
        go_on: Semaphore::new(0),
        running: AtomicUsize::new(0),
    });
    let limits = Limits {
        backtests: limits,
        ..Limits::DEFAULT
    };
    let (ports, store) = ports(Arc::new(FakePolicies), &names, limits);
    let mine = "mine".parse().unwrap();
    store
        .install(&demo, &mine, "good bytes".into(), &FakePolicies)
        .unwrap();
    let ports = Ports {
        access: FakeAccess::of(rules),
        backtests: Some(Arc::clone(&runner) as _),
        ..ports
    };
    let hub = Hub::new(ports, [], limits);
    hub.publish(&demo, bare("shop"));
    (hub, runner)
}

fn hub() -> (Arc<Hub>, Arc<FakeBacktests>) {
    hub_with(Limits::DEFAULT.backtests, &RULES)
}

async fn order(hub: &Arc<Hub>, who: &str, body: Value) -> Answer {
    let request = request("POST", "~/backtests", body.to_string());
    send(
        hub,
        from(who, with(request, "content-type", "application/json")),
    )
    .await
}

async fn ask(hub: &Arc<Hub>, method: &str, path: &str) -> Answer {
    send(hub, from("ann", request(method, path, Body::empty()))).await
}

/// The backtest once it is as wanted.
async fn once(hub: &Arc<Hub>, path: &str, state: &str) -> Value {
    let asking = async {
        loop {
            let seen = ask(hub, "GET", path).await.json();
            if seen["state"] == state {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    let soon = tokio::time::timeout(Duration::from_secs(10), asking).await;
    soon.unwrap_or_else(|_| panic!("{path} does not become {state}"))
}

fn location(answer: &Answer) -> String {
    answer.headers[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned()
}

const TRACE: &str = "timestamp,value\n0,1\n";

#[tokio::test]
async fn a_backtest_waits_runs_and_has_a_result() {
    let (hub, runner) = hub();
    let first = order(&hub, "ann", json!({"trace": TRACE, "lagSeconds": 900})).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    let second = order(&hub, "ann", json!({"trace": TRACE, "config": {"wrong": 1}})).await;
    let [first, second] = [&first, &second].map(location);
    let running = once(&hub, &first, "running").await;
    assert_eq!(
        (
            &running["progress_percent"],
            &running["lag_seconds"],
            &running["user"]
        ),
        (&json!(40), &json!(900), &json!("ann"))
    );
    assert_eq!(ask(&hub, "GET", &second).await.json()["state"], "waiting");
    runner.go_on.add_permits(2);
    let done = once(&hub, &first, "done").await;
    assert_eq!(done["progress_percent"], 100);
    assert_eq!(done["result"]["trace"], TRACE);
    assert_eq!(done["result"]["policy"], "forecast-headroom");
    let failed = once(&hub, &second, "failed").await;
    assert_eq!(failed["error"], "the configuration is wrong");
    let list = ask(&hub, "GET", "~/backtests").await.json();
    let states: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["state"])
        .collect();
    assert_eq!(states, ["failed", "done"], "the newest first");
    assert!(list["items"][1].get("result").is_none());
}

#[tokio::test]
async fn a_canceled_backtest_ends_and_is_forgotten() {
    let (hub, runner) = hub();
    let running = location(&order(&hub, "ann", json!({"trace": TRACE})).await);
    let waiting = location(&order(&hub, "ann", json!({"trace": TRACE})).await);
    once(&hub, &running, "running").await;
    assert_eq!(
        ask(&hub, "DELETE", &running).await.status,
        StatusCode::NO_CONTENT
    );
    once(&hub, &waiting, "running").await;
    assert_eq!(runner.running.load(Ordering::Relaxed), 1);
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(&hub, method, &running).await.problem().0, 404);
    }
    let elsewhere = self::hub().0;
    let gone = ask(&elsewhere, "GET", &waiting).await;
    assert_eq!(gone.problem(), (410, "other-replica".to_owned(), vec![]));
}

#[tokio::test]
async fn few_wait_and_results_are_kept_for_a_while() {
    let limits = BacktestLimits {
        open_max: 3,
        open_of_user_max: 2,
        kept_max: 1,
        ..Limits::DEFAULT.backtests
    };
    let (hub, runner) = hub_with(limits, &RULES);
    let first = location(&order(&hub, "ann", json!({"trace": TRACE})).await);
    let second = location(&order(&hub, "ann", json!({"trace": TRACE})).await);
    let third = order(&hub, "ann", json!({"trace": TRACE})).await;
    assert_eq!(
        third.problem(),
        (429, "too-many-requests".to_owned(), vec![])
    );
    assert!(third.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(
        order(&hub, "bob", json!({"trace": TRACE})).await.status,
        StatusCode::ACCEPTED
    );
    let full = order(&hub, "bob", json!({"trace": TRACE})).await;
    assert_eq!(full.problem().0, 429, "all places are taken");
    runner.go_on.add_permits(2);
    once(&hub, &second, "done").await;
    assert_eq!(
        ask(&hub, "GET", &first).await.problem().0,
        404,
        "one is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_has_a_time_limit() {
    let (hub, _) = hub();
    let path = location(&order(&hub, "ann", json!({"trace": TRACE})).await);
    once(&hub, &path, "running").await;
    tokio::time::sleep(Limits::DEFAULT.backtests.timeout).await;
    let failed = once(&hub, &path, "failed").await;
    assert_eq!(failed["error"], "it took longer than 900 s");
}

#[tokio::test]
async fn a_module_decides_only_with_the_bytes_that_were_there_and_for_who_may_read_it() {
    let (hub, runner) = hub_with(
        Limits::DEFAULT.backtests,
        &[&RULES[..], &[("ann", "get policymodules in demo")]].concat(),
    );
    runner.go_on.add_permits(9);
    let module = json!({"trace": TRACE, "module": "mine"});
    let path = location(&order(&hub, "ann", module.clone()).await);
    let done = once(&hub, &path, "done").await;
    assert_eq!(done["result"]["component"], "good bytes");
    assert_eq!(order(&hub, "bob", module).await.problem().0, 403);
    let other = json!({"trace": TRACE, "module": "mine", "digest": "sha256:2"});
    assert_eq!(order(&hub, "ann", other).await.problem().1, "other-module");
    let none = json!({"trace": TRACE, "module": "none"});
    assert_eq!(order(&hub, "ann", none).await.problem().0, 404);
}

#[tokio::test]
async fn a_target_is_replayed_with_what_is_its_own() {
    let (hub, runner) = hub();
    runner.go_on.add_permits(9);
    let target = json!({"target": "shop"});
    assert_eq!(
        order(&hub, "ann", target.clone()).await.problem().1,
        "no-history"
    );
    struct Kept;
    impl crate::History for Kept {
        fn load(&self, part: &str) -> Vec<(i64, f64)> {
            assert_eq!(part, "zone1/gate");
            vec![(0, 1.5), (300, f64::NAN), (600, 2.0)]
        }
    }
    let update = Update {
        history: Some(Arc::new(Kept)),
        ..bare("shop")
    };
    hub.publish(&"demo".parse().unwrap(), update);
    let path = location(&order(&hub, "ann", target.clone()).await);
    let done = once(&hub, &path, "done").await;
    assert_eq!(done["result"]["trace"], "timestamp,value\n0,1.5\n600,2\n");
    assert_eq!(
        (&done["load"], &done["capacity"], &done["lag_seconds"]),
        (&json!("shop"), &json!(10.0), &json!(600))
    );
    assert_eq!(order(&hub, "bob", target).await.problem().0, 403);
}

#[tokio::test]
async fn what_is_wrong_is_said_by_field() {
    let (hub, _) = hub();
    for (body, field) in [
        (json!({"trace": TRACE, "budget": 1.5}), "budget"),
        (json!({"trace": TRACE, "target": "shop"}), "trace"),
        (json!({}), "trace"),
        (json!({"target": "shop", "part": "none"}), "part"),
        (json!({"trace": TRACE, "digest": "sha256:1"}), "module"),
        (json!({"trace": TRACE, "module": "No Name"}), "module"),
    ] {
        let (status, _, issues) = order(&hub, "ann", body).await.problem();
        assert_eq!((status, issues[0].0.as_str()), (422, field));
    }
    let nowhere = super::hub();
    let body = json!({"trace": TRACE}).to_string();
    let request = with(
        request("POST", "~/backtests", body),
        "content-type",
        "application/json",
    );
    assert_eq!(send(&nowhere, request).await.problem().1, "no-backtests");
}
