//! Metrics that stop, stand still, cannot be true, are not one number, or have a gap or a reset: nothing shrinks on
//! them, nothing grows on what cannot be true, the condition says which it is, and it goes on with what is good again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use foreshard_testbed::{Exporter, HistorySeries, Prometheus, or_left_out};

use crate::load::{Asks, following, past};
use crate::stage::{GROUP, Stage, eventually};

/// Steps of five minutes in six hours.
const SIX_HOURS: i64 = 72;

/// Gauges that a test sets, and a counter, in a Prometheus that knows their past and scrapes them.
struct Metrics {
    gauges: Arc<Mutex<BTreeMap<&'static str, u32>>>,
    /// When the counter began at 0.
    begun: Arc<Mutex<Instant>>,
    server: Prometheus,
    _exporter: Exporter,
}

impl Metrics {
    fn new(history: &[HistorySeries]) -> Option<Self> {
        let mut server = or_left_out("prometheus", Prometheus::with_history(history))?;
        let gauges = Arc::<Mutex<BTreeMap<&'static str, u32>>>::default();
        let begun = Arc::new(Mutex::new(Instant::now()));
        let (read, since) = (Arc::clone(&gauges), Arc::clone(&begun));
        let exporter = Exporter::serve(move |_| {
            let count = 480.0 * since.lock().unwrap().elapsed().as_secs_f64();
            let mut page = format!("resets_total {count}\n");
            for (name, value) in read.lock().unwrap().iter() {
                page += &format!("{name} {value}\n");
            }
            page
        })
        .unwrap();
        let every = Duration::from_secs(1);
        server.scrape(&[exporter.address()], every).unwrap();
        Some(Self {
            gauges,
            begun,
            server,
            _exporter: exporter,
        })
    }

    /// From now on.
    fn set(&self, name: &'static str, value: u32) {
        self.gauges.lock().unwrap().insert(name, value);
    }

    /// From now on there is none.
    fn stop(&self, name: &str) {
        self.gauges.lock().unwrap().remove(name);
    }

    /// As a counter does when its process restarts.
    fn reset(&self) {
        *self.begun.lock().unwrap() = Instant::now();
    }
}

/// What was before now.
fn history() -> Vec<HistorySeries> {
    let now = jiff::Timestamp::now().as_second();
    let many = (0..10_000).map(|pod| HistorySeries {
        name: "many".to_owned(),
        labels: vec![("pod".to_owned(), format!("pod-{pod}"))],
        samples: vec![(now - 60, 1.0), (now, 1.0)],
    });
    let steady = |_| Some(490.0);
    let still = |ago| {
        Some(if ago < 30 {
            290.0
        } else {
            200.0 + 10.0 * (ago % 9) as f64
        })
    };
    let patchy = |ago| (!(12..12 + SIX_HOURS).contains(&ago)).then_some(490.0);
    let gauges = [
        past("stops", steady),
        past("vanishes", steady),
        past("freezes", still),
        past("gaps", patchy),
    ];
    gauges.into_iter().chain(many).collect()
}

#[test]
fn nothing_shrinks_on_data_that_is_not_ok() {
    let (Some(mut stage), Some(metrics)) = (Stage::empty("quality"), Metrics::new(&history()))
    else {
        return;
    };
    for (name, value) in [
        ("stops", 490),
        ("vanishes", 490),
        ("freezes", 290),
        ("gaps", 490),
    ] {
        metrics.set(name, value);
    }
    let _kubelet = stage.kubelet();
    stage.source("main", metrics.server.url());
    let rate = "sum(rate(resets_total[15s]))";
    eventually("a whole rate", || {
        rate_of(&metrics.server, rate)
            .filter(|it| *it > 460.0)
            .ok_or(())
    });
    stage.operate(false);
    for (name, promql, asks) in [
        ("stops", "sum(stops)", Asks::NoForecast),
        ("vanishes", "sum(vanishes)", Asks::NoForecast),
        ("freezes", "sum(freezes) + 0.3", Asks::NoForecast),
        ("gaps", "sum(gaps)", Asks::Forecast),
        ("resets", rate, Asks::NoForecast),
        ("many", "many", Asks::NoForecast),
    ] {
        stage.deployment(name, 5);
        stage.create(GROUP, "scalingpolicies", &following(name, promql, asks));
    }
    for name in ["stops", "vanishes", "gaps", "resets"] {
        stage.expect(name, "Ready", "True", "Decides");
    }

    // The load rises; then nobody tells any more.
    metrics.set("stops", 690);
    stage.expect_replicas("stops", 7);
    metrics.stop("stops");
    metrics.set("vanishes", 0);
    metrics.reset();
    for (name, reason, says) in [
        ("stops", "NoData", "gives nothing"),
        ("vanishes", "MetricsImplausible", "cannot be true"),
        ("freezes", "MetricsFrozen", "has not moved"),
        ("many", "QueryFailed", "more than one series"),
    ] {
        let message = stage.expect(name, "MetricsFresh", "False", reason);
        let told = message.contains(says) && message.contains("nothing is taken away");
        assert!(told, "{message}");
        stage.expect(name, "Ready", "False", reason);
    }
    metrics.set("vanishes", 490_000);
    // Its history was read and judged, gap and all.
    stage.expect("gaps", "ForecastReliable", "False", "Demoted");
    // Two of each.
    stage.evaluated(12);
    let counts = ["stops", "vanishes", "freezes", "many"].map(|name| stage.replicas(name));
    assert_eq!(counts, [7, 5, 5, 5]);
    let gaps = stage.get("apis/apps/v1", "deployments", "gaps");
    assert_eq!(gaps["metadata"]["generation"], 1, "it was never scaled");
    assert!(stage.replicas("resets") >= 5);
    stage.expect("vanishes", "MetricsFresh", "False", "MetricsImplausible");

    for (name, value) in [("stops", 890), ("vanishes", 590), ("freezes", 590)] {
        metrics.set(name, value);
    }
    for (name, count) in [("stops", 9), ("vanishes", 6), ("freezes", 6)] {
        stage.expect_replicas(name, count);
        stage.expect(name, "MetricsFresh", "True", "Fresh");
    }
    metrics.set("stops", 390);
    stage.expect_replicas("stops", 4);
}

/// Half of what is added up is not scraped any more: its load is gone from the sum, and has not gone.
#[test]
fn what_is_not_scraped_is_no_load_that_went() {
    let (Some(mut stage), Some(mut server)) = (
        Stage::empty("quality-up"),
        or_left_out("prometheus", Prometheus::with_history(&[])),
    ) else {
        return;
    };
    let exporter = || Exporter::serve(|_| "served 250\n".to_owned()).unwrap();
    let (stays, goes) = (exporter(), exporter());
    let every = Duration::from_secs(1);
    server
        .scrape(&[stays.address(), goes.address()], every)
        .unwrap();
    let _kubelet = stage.kubelet();
    stage.source("main", server.url());
    stage.operate(false);
    for (name, up) in [("blind", None), ("sees", Some("avg(up)"))] {
        stage.deployment(name, 5);
        let mut policy = following(name, "sum(served)", Asks::NoForecast);
        policy["spec"]["signals"][0]["upQuery"] = up.into();
        stage.create(GROUP, "scalingpolicies", &policy);
        stage.expect(name, "Ready", "True", "Decides");
    }
    drop(goes);
    stage.expect_replicas("blind", 3);
    let said = stage.expect("sees", "MetricsFresh", "False", "MetricsIncomplete");
    assert!(said.contains("50 % of it is scraped"), "{said}");
    stage.evaluated(6);
    assert_eq!(stage.replicas("sees"), 5);
    let mut patch = following("sees", "sum(served)", Asks::NoForecast);
    patch["spec"]["signals"][0]["upQuery"] = "vector(1)".into();
    let signals = serde_json::json!({"spec": {"signals": patch["spec"]["signals"]}});
    stage
        .patch(GROUP, "scalingpolicies", "sees", &signals)
        .unwrap();
    stage.expect_replicas("sees", 3);
    stage.expect("sees", "MetricsFresh", "True", "Fresh");
}

/// What Prometheus itself says.
fn rate_of(server: &Prometheus, promql: &str) -> Option<f64> {
    let promql = promql.replace('[', "%5B").replace(']', "%5D");
    let asked = format!("/api/v1/query?query={promql}");
    let answer = server.api().get(&asked).unwrap();
    answer["data"]["result"][0]["value"][1]
        .as_str()?
        .parse()
        .ok()
}
