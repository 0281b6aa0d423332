//! A load that a test sets, in a Prometheus of its own: 28 days of it, and scraped from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use foreshard_testbed::{Exporter, HistorySeries, Prometheus, or_left_out};
use serde_json::{Value, json};

use crate::relay::Relay;

/// The expression of the load.
pub(crate) const LOAD: &str = "sum(load)";
const DAY_SECONDS: i64 = 86_400;
const STEP_SECONDS: i64 = 300;
/// Points of a history: a day by the minute, and 27 days in steps of five.
pub(crate) const HISTORY_POINTS: i64 = DAY_SECONDS / 60 + 27 * DAY_SECONDS / STEP_SECONDS;

/// The load, where it is stored, and the way there.
pub(crate) struct Load {
    value: Arc<AtomicU32>,
    pub(crate) server: Prometheus,
    pub(crate) relay: Relay,
    _exporter: Exporter,
}

impl Load {
    /// It has always been `value`; none where the parts are not built.
    pub(crate) fn new(value: u32) -> Option<Self> {
        let past = past("load", |_| Some(f64::from(value)));
        let mut server = or_left_out("prometheus", Prometheus::with_history(&[past]))?;
        let shared = Arc::new(AtomicU32::new(value));
        let read = Arc::clone(&shared);
        let page = move |_| format!("# TYPE load gauge\nload {}\n", read.load(Ordering::Relaxed));
        let exporter = Exporter::serve(page).unwrap();
        let every = Duration::from_secs(1);
        server.scrape(&[exporter.address()], every).unwrap();
        Some(Self {
            value: shared,
            relay: Relay::new(server.url()),
            server,
            _exporter: exporter,
        })
    }

    /// From now on.
    pub(crate) fn set(&self, value: u32) {
        self.value.store(value, Ordering::Relaxed);
    }
}

/// What a metric was in the last 28 days: `value` of so many steps of five minutes ago, 0 being the newest.
pub(crate) fn past(metric: &str, value: impl Fn(i64) -> Option<f64>) -> HistorySeries {
    let now = jiff::Timestamp::now().as_second();
    // The last sample of the past is not seen any more when the first one of the present comes.
    let end = (now / STEP_SECONDS - 1) * STEP_SECONDS - 60;
    let ago = (0..28 * DAY_SECONDS / STEP_SECONDS).rev();
    let samples = ago.filter_map(|ago| Some((end - ago * STEP_SECONDS, value(ago)?)));
    HistorySeries {
        name: metric.to_owned(),
        labels: vec![("of".to_owned(), "the past".to_owned())],
        samples: samples.collect(),
    }
}

/// A policy on a Deployment of its own name by [`LOAD`]; see [`following`].
pub(crate) fn policy(name: &str, asks: Asks) -> Value {
    following(name, LOAD, asks)
}

/// A policy on a Deployment of its own name by `promql`, 100 of it a replica, whose decreases wait for nothing. Without
/// a forecast, if so wished: then it follows the load at once, down as well.
pub(crate) fn following(name: &str, promql: &str, asks: Asks) -> Value {
    let mut policy = crate::stage::policy(name, promql, "Auto");
    policy["spec"]["actions"][0]["behavior"] =
        json!({"scaleDown": {"stabilizationWindowSeconds": 0}});
    if asks == Asks::NoForecast {
        policy["spec"]["policies"] = json!([{
            "name": "reactive", "moduleRef": {"name": "builtin-target-tracking"},
            "config": {"scaleDownStabilizationSeconds": 0}
        }]);
    }
    policy
}

/// What a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Forecast,
    NoForecast,
}
