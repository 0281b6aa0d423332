//! Between an operator and a real Prometheus: one that is slow, whose clock is wrong, and that keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use foreshard_testbed::{Api, ApiError};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What is different from a direct way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way {
    /// Every answer takes so much longer.
    pub(crate) delay: Duration,
    /// The server's clock is ahead of ours; negative: behind.
    pub(crate) ahead_seconds: i64,
    /// No range is answered as long as this is set.
    pub(crate) holds_ranges: bool,
    /// Who does not show this one is refused.
    pub(crate) token: Option<&'static str>,
}

/// A range that was answered, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) step: i64,
}

impl Range {
    pub(crate) fn points(self) -> i64 {
        (self.to - self.from) / self.step + 1
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// Of one expression.
    ranges: Vec<(String, Range)>,
    open: usize,
    most_open: usize,
    held: usize,
}

/// Handles of the way.
pub(crate) struct Relay {
    url: String,
    way: watch::Sender<Way>,
    seen: Arc<Mutex<Seen>>,
    runtime: Option<Runtime>,
}

#[derive(Clone)]
struct Inside {
    server: Api,
    way: watch::Receiver<Way>,
    seen: Arc<Mutex<Seen>>,
}

impl Relay {
    /// In front of the server at `url`.
    pub(crate) fn new(url: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let (way, seen) = (watch::Sender::new(Way::default()), Arc::default());
        let inside = Inside {
            server: Api::plain(url),
            way: way.subscribe(),
            seen: Arc::clone(&seen),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address));
        let listener = listener.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(pass).with_state(inside);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            url,
            way,
            seen,
            runtime: Some(runtime),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on.
    pub(crate) fn set(&self, way: Way) {
        {
            let mut seen = self.seen.lock().unwrap();
            seen.most_open = seen.open;
        }
        self.way.send_replace(way);
    }

    /// The most questions since that were open at one time.
    pub(crate) fn most_open(&self) -> usize {
        self.seen.lock().unwrap().most_open
    }

    /// Questions about ranges that wait because the way holds them.
    pub(crate) fn held(&self) -> usize {
        self.seen.lock().unwrap().held
    }

    /// The ranges of an expression that were answered so far.
    pub(crate) fn ranges(&self, promql: &str) -> Vec<Range> {
        let seen = self.seen.lock().unwrap();
        let own = seen.ranges.iter().filter(|(of, _)| of == promql);
        own.map(|(_, range)| *range).collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A question that is under way.
struct Open(Arc<Mutex<Seen>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().unwrap().open -= 1;
    }
}

async fn pass(State(mut inside): State<Inside>, request: Request<Body>) -> (StatusCode, String) {
    let _open = {
        let mut seen = inside.seen.lock().unwrap();
        seen.open += 1;
        seen.most_open = seen.most_open.max(seen.open);
        Open(Arc::clone(&inside.seen))
    };
    let path = request.uri().path_and_query().unwrap().to_string();
    let is_range = path.contains("/query_range");
    if is_range {
        inside.seen.lock().unwrap().held += 1;
        let goes_on = inside.way.wait_for(|way| !way.holds_ranges).await;
        goes_on.unwrap();
        inside.seen.lock().unwrap().held -= 1;
    }
    let way = *inside.way.borrow();
    let shown = request.headers().get("authorization");
    if let Some(token) = way.token
        && shown.is_none_or(|shown| *shown != format!("Bearer {token}"))
    {
        return (StatusCode::UNAUTHORIZED, "who are you?".to_owned());
    }
    tokio::time::sleep(way.delay).await;
    let (asked, range) = in_its_time(&path, way.ahead_seconds);
    let server = inside.server.clone();
    let answer = tokio::task::spawn_blocking(move || server.get(&asked))
        .await
        .unwrap();
    match answer {
        Ok(mut answer) => {
            shift(&mut answer, way.ahead_seconds);
            if let Some(range) = range {
                inside.seen.lock().unwrap().ranges.push(range);
            }
            (StatusCode::OK, answer.to_string())
        }
        Err(error) => {
            let status = match &error {
                ApiError::Refused { status, .. } => StatusCode::from_u16(*status).unwrap(),
                _ => StatusCode::BAD_GATEWAY,
            };
            let body = json!({"status": "error", "errorType": "relay", "error": error.to_string()});
            (status, body.to_string())
        }
    }
}

/// The question in the time of the real server, and its range in the time of who asks.
fn in_its_time(path: &str, ahead_seconds: i64) -> (String, Option<(String, Range)>) {
    let Some((base, query)) = path.split_once('?') else {
        return (path.to_owned(), None);
    };
    let mut parameters: Vec<(String, String)> = query
        .split('&')
        .map(|it| it.split_once('=').unwrap_or((it, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let value = |name: &str| parameters.iter().find(|(it, _)| it == name).cloned();
    let seconds = |name: &str| value(name)?.1.parse::<f64>().ok();
    let range = || {
        let range = Range {
            from: seconds("start")? as i64,
            to: seconds("end")? as i64,
            step: seconds("step")? as i64,
        };
        Some((decoded(&value("query")?.1), range))
    };
    let range = range();
    for (name, value) in &mut parameters {
        if matches!(name.as_str(), "start" | "end" | "time") {
            let seconds: f64 = value.parse().unwrap();
            *value = (seconds - ahead_seconds as f64).to_string();
        }
    }
    let parameters: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (format!("{base}?{}", parameters.join("&")), range)
}

/// As much of percent-encoding as the expressions of tests need.
fn decoded(text: &str) -> String {
    [
        ("%28", "("),
        ("%29", ")"),
        ("%5B", "["),
        ("%5D", "]"),
        ("+", " "),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Moves the time of every sample.
fn shift(answer: &mut Value, ahead_seconds: i64) {
    let sample = |pair: &mut Value| {
        if let Some(at) = pair.get_mut(0) {
            *at = json!(at.as_f64().unwrap() + ahead_seconds as f64);
        }
    };
    match &mut answer["data"]["result"] {
        Value::Array(rows) if rows.first().is_some_and(Value::is_object) => {
            for row in rows {
                if let Some(pair) = row.get_mut("value") {
                    sample(pair);
                }
                let values = row.get_mut("values").and_then(Value::as_array_mut);
                values.into_iter().flatten().for_each(sample);
            }
        }
        // A scalar is one pair.
        pair @ Value::Array(_) => sample(pair),
        _ => {}
    }
}
