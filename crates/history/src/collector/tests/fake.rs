//! A server in memory whose answers a test chooses. Its metrics are functions of time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::super::fault::Fault;
use super::super::transport::{Ask, Exchange, Reply, Transport, When};
use super::super::{Clock, Collector, SourceConfig};
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, LabelModifier};
use std::time::Duration;
use tokio::time::Instant;

/// When the tests begin, in Unix seconds: not at a round time.
pub(super) const T0: i64 = 1_700_000_000;

/// What becomes of a question before it is looked up.
pub(super) enum Fate {
    /// Looked up as it should.
    Truth,
    Fail(Fault),
    Say(u16, &'static str),
    /// No answer, ever.
    Silence,
}

type Judge = dyn Fn(&Ask) -> Fate + Send + Sync;

/// A series: its labels without the name, and its value at a time.
pub(super) type Value = fn(i64) -> Option<f64>;

struct State {
    clock: Clock,
    series: Vec<(BTreeMap<String, String>, Value)>,
    judge: Box<Judge>,
    /// Seconds by which its clock is ahead.
    ahead: i64,
    /// Every question with the second at which it came.
    log: Vec<(i64, Ask)>,
}

/// A server; clones are the same one.
#[derive(Clone)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// A server whose series have these labels and values, and a collector for it.
    pub(super) fn new(series: &[(&[(&str, &str)], Value)]) -> Self {
        let owned = |labels: &[(&str, &str)]| {
            let pairs = labels.iter();
            pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        Self(Arc::new(Mutex::new(State {
            clock: Clock::Since(Instant::now(), Duration::from_secs(T0 as u64)),
            series: series
                .iter()
                .map(|(labels, value)| (owned(labels), *value))
                .collect(),
            judge: Box::new(|_| Fate::Truth),
            ahead: 0,
            log: Vec::new(),
        })))
    }

    pub(super) fn collector(&self, change: impl FnOnce(&mut SourceConfig)) -> Collector {
        let mut config = SourceConfig::new("http://fake");
        change(&mut config);
        let clock = self.0.lock().unwrap().clock;
        Collector::start(config, Arc::new(self.clone()), clock)
    }

    pub(super) fn judge(&self, judge: impl Fn(&Ask) -> Fate + Send + Sync + 'static) {
        self.0.lock().unwrap().judge = Box::new(judge);
    }

    pub(super) fn ahead(&self, seconds: i64) {
        self.0.lock().unwrap().ahead = seconds;
    }

    /// Every question so far, with the second since [`T0`] at which it came.
    pub(super) fn log(&self) -> Vec<(i64, Ask)> {
        self.0.lock().unwrap().log.clone()
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap().log.clear();
    }
}

impl Transport for Fake {
    fn ask(&self, ask: Ask) -> Exchange<'_> {
        let mut state = self.0.lock().unwrap();
        let now = state.clock.unix();
        state.log.push((now - T0, ask.clone()));
        let fate = (state.judge)(&ask);
        let ahead = state.ahead;
        let answer = match fate {
            Fate::Truth => Ok(Reply {
                status: 200,
                retry_after: None,
                location: None,
                body: answer(&state.series, &ask, now + ahead).into_bytes(),
            }),
            Fate::Fail(fault) => Err(fault),
            Fate::Say(status, body) => Ok(Reply {
                status,
                retry_after: (status == 429).then_some(Duration::from_secs(20)),
                location: None,
                body: body.as_bytes().to_vec(),
            }),
            Fate::Silence => return Box::pin(std::future::pending()),
        };
        Box::pin(async move {
            // A quick server, but not one in no time.
            tokio::time::sleep(Duration::from_millis(5)).await;
            answer
        })
    }

    fn url(&self) -> &str {
        "http://fake"
    }
}

/// Knows `sum(x{…})`, `sum by (label) (x{…})` and `x{…}`.
fn answer(series: &[(BTreeMap<String, String>, Value)], ask: &Ask, now: i64) -> String {
    let (matchers, by) = match parser::parse(&ask.promql).unwrap() {
        Expr::Aggregate(aggregate) => {
            let Expr::VectorSelector(selector) = *aggregate.expr else {
                panic!("{}", ask.promql);
            };
            let by = match aggregate.modifier {
                Some(LabelModifier::Include(labels)) => labels.labels[0].clone(),
                _ => String::new(),
            };
            (selector.matchers.matchers, Some(by))
        }
        Expr::VectorSelector(selector) => (selector.matchers.matchers, None),
        other => panic!("{other}"),
    };
    let times: Vec<i64> = match ask.when {
        When::Now => vec![now],
        When::Range { from, to, step } => (from..=to).step_by(step as usize).collect(),
    };
    let mut sums: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    let matches = |labels: &BTreeMap<String, String>, matcher: &Matcher| {
        let value = labels.get(&matcher.name).map_or("", String::as_str);
        match &matcher.op {
            MatchOp::Equal => matcher.value == value,
            MatchOp::Re(expression) => expression.is_match(value),
            _ => panic!("{matcher}"),
        }
    };
    for (labels, value) in series {
        if !matchers.iter().all(|matcher| matches(labels, matcher)) {
            continue;
        }
        let key = match &by {
            Some(label) if label.is_empty() => "{}".to_owned(),
            Some(label) => format!("{{{label:?}:{:?}}}", labels[label]),
            None => serde_json::to_string(labels).unwrap(),
        };
        let samples = sums.entry(key).or_default();
        for (time, value) in times.iter().filter_map(|time| Some((*time, value(*time)?))) {
            *samples.entry(time).or_default() += value;
        }
    }
    sums.retain(|_, samples| !samples.is_empty());
    let shown = |(time, value): (&i64, &f64)| {
        let value = format!("{value}").replace("inf", "+Inf");
        format!("[{time},\"{value}\"]")
    };
    let rows: Vec<String> = sums
        .iter()
        .map(|(labels, samples)| match ask.when {
            When::Now => format!(
                "{{\"metric\":{labels},\"value\":{}}}",
                samples.iter().map(shown).collect::<String>()
            ),
            When::Range { .. } => {
                let samples: Vec<_> = samples.iter().map(shown).collect();
                format!("{{\"metric\":{labels},\"values\":[{}]}}", samples.join(","))
            }
        })
        .collect();
    let kind = if ask.when == When::Now {
        "vector"
    } else {
        "matrix"
    };
    format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[{}]}}}}",
        rows.join(",")
    )
}
