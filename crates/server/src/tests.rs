//! Requests against the whole service, without a socket.

mod access;
mod api;
mod backtests;
mod bad_input;
mod hosted;
mod openapi;
mod orders;
mod serving;
mod tls;
mod uploads;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use foreshard_decide::{
    DecisionRecord, ENGINE, Input, PolicyAnswer, Rules, State, contract, decide,
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    ActivationBy, Decision, Everybody, Hub, Limits, MemoryStore, Name, Policies, Policy, Ports,
    Refused, Update, app,
    view::{Band, Objective, Part, Point, Target},
};

/// A policy host that takes every component that begins with `good`.
pub(crate) struct FakePolicies;

impl Policies for FakePolicies {
    fn admit(&self, component: &[u8]) -> Result<Arc<dyn Policy>, Refused> {
        if component == b"panic" {
            panic!("a fault in the host");
        }
        if !component.starts_with(b"good") {
            return Err(Refused::Bad {
                kind: "not-wasm".to_owned(),
                detail: "this is not WebAssembly".to_owned(),
                fix: "build a component".to_owned(),
            });
        }
        Ok(policy(&String::from_utf8_lossy(component)))
    }
}

/// A policy that takes every config without `wrong`.
#[derive(Debug)]
struct FakePolicy {
    digest: String,
    descriptor: contract::Descriptor,
}

pub(crate) fn policy(name: &str) -> Arc<dyn Policy> {
    Arc::new(FakePolicy {
        digest: format!("sha256:{:064x}", name.len()),
        descriptor: contract::Descriptor {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Good.".to_owned(),
            target_kinds: vec![],
            actions: vec!["replicas".to_owned()],
            config_schema: "{}".to_owned(),
            memory_version: 0,
        },
    })
}

impl Policy for FakePolicy {
    fn digest(&self) -> &str {
        &self.digest
    }

    fn descriptor(&self) -> &contract::Descriptor {
        &self.descriptor
    }

    fn configure(&self, config: &str, target_kind: &str) -> Result<(), Vec<contract::ConfigIssue>> {
        assert_eq!(target_kind, "scale");
        if !config.contains("wrong") {
            return Ok(());
        }
        let issue = |path: &str, message: &str| contract::ConfigIssue {
            path: path.to_owned(),
            message: message.to_owned(),
        };
        Err(vec![
            issue("wrong.a", "too large"),
            issue("wrong.b", "not a number"),
        ])
    }
}

pub(crate) fn target(name: &str) -> Target {
    let part = |id: &str, demand| Part {
        id: id.to_owned(),
        parent: String::new(),
        kind: "scale".to_owned(),
        demand,
        unit: "queries/s".to_owned(),
        quality: "ok".to_owned(),
        capacity_per_replica: 10.0,
        ready: 3,
        wanted: 4,
        min: 2,
        max: 80,
        lead_seconds: 120.0,
    };
    Target {
        name: name.to_owned(),
        kind: "scale".to_owned(),
        at: 1200.0,
        objective: Objective {
            violation_budget: 0.01,
            budget_spent: 0.002,
            target_utilization: 0.7,
            max_utilization: 0.9,
        },
        parts: vec![part("zone1/gate", Some(25.0)), part("zone2/gate", None)],
        summary: "quiet".to_owned(),
        observed: None,
    }
}

/// A decision on one part as `decide` takes it: the one policy asks for `to` replicas.
pub(crate) fn record(target: &str, now: f64, from: u32, to: u32) -> DecisionRecord {
    let context = Arc::new(context(target, now, from));
    let proposal = contract::Proposal {
        part: "zone1/gate".to_owned(),
        action: contract::Action::Replicas(to),
        not_before: None,
        reason: "it is time".to_owned(),
    };
    let verdict = contract::Verdict::Decide(contract::Decide {
        proposals: vec![proposal],
        reason: "a peak comes".to_owned(),
        measures: vec![],
        memory: None,
    });
    let answers = Arc::new(vec![PolicyAnswer {
        policy: "mine".to_owned(),
        digest: "sha256:1".to_owned(),
        uses_forecast: false,
        verdict,
        findings: vec![],
    }]);
    let (rules, state) = (Arc::new(Rules::default()), Arc::new(State::default()));
    let decided = decide(Input {
        context: &context,
        rules: &rules,
        state: &state,
        answers: &answers,
    });
    DecisionRecord {
        engine: ENGINE.to_owned(),
        context,
        rules,
        state,
        answers,
        plan: decided.plan,
        explanation: decided.explanation,
    }
}

fn context(target: &str, now: f64, wanted: u32) -> contract::Context {
    let json = serde_json::json!({
        "now": now, "next": now + 60.0, "config": "{}", "kind": "scale", "namespace": "demo", "name": target,
        "labels": [],
        "objective": {
            "violation-budget": 0.01, "budget-window": 86400.0, "budget-spent": 0.0, "target-utilization": 0.7,
            "max-utilization": 0.9, "level": 0.99, "currency": "", "cost-per-violation-minute": 0.0
        },
        "parts": [{
            "id": "zone1/gate", "parent": "", "kind": "scale", "labels": [], "busy": false, "last-change": null,
            "offers": [{
                "action": "replicas",
                "lead": { "p50": 120.0, "p90": 120.0, "p99": 120.0, "observations": 0 },
                "cost-per-change": 0.0, "reversible": true, "blocked-until": null, "blocked-by": ""
            }],
            "replicas": {
                "wanted": wanted, "ready": wanted, "pending": [], "min": 1, "max": 80, "floor": 1,
                "capacities": [
                    { "signal": "demand", "per-replica": 10.0, "uncertainty": 0.0, "source": "declared" }
                ],
                "cost-per-hour": 1.0
            },
            "containers": [], "volumes": [], "shard": null
        }],
        "signals": [{
            "name": "demand", "part": "zone1/gate", "unit": "queries/s", "quality": "ok", "age": 60.0,
            "coverage": 1.0, "history": { "start": 0.0, "step": 60.0, "values": [10.0, null] },
            "latest": { "at": now - 60.0, "value": 10.0 }, "censored": false
        }],
        "forecasts": [],
        "calendar": { "zone": "UTC", "offsets": [], "holidays": [], "events": [] },
        "recent": [], "memory": "", "extras": []
    });
    serde_json::from_value(json).unwrap()
}

fn forecast(part: &str) -> contract::Forecast {
    contract::Forecast {
        signal: "demand".to_owned(),
        part: part.to_owned(),
        model: "pool".to_owned(),
        issued_at: 1200.0,
        reliable: true,
        reasons: vec![],
        skill: f64::NAN,
        levels: vec![0.5, 0.9],
        calibrated_to: 0.97,
        start: 1200.0,
        step: 300.0,
        paths: vec![vec![20.0, f64::NAN], vec![30.0, 31.0]],
        peaks: vec![contract::Peak {
            action: "replicas".to_owned(),
            lead: 120.0,
            window: 60.0,
            values: vec![21.0, 32.0],
        }],
    }
}

/// What the demo has around its server.
fn ports(policies: Arc<dyn Policies>, names: &[Name], limits: Limits) -> (Ports, Arc<MemoryStore>) {
    let store = MemoryStore::new(names.iter().cloned(), limits);
    let ports = Ports {
        access: Arc::new(Everybody),
        policies,
        modules: Arc::clone(&store) as _,
        activation: ActivationBy::Route(Arc::clone(&store)),
        orders: None,
        backtests: None,
        host_names: vec![],
    };
    (ports, store)
}

/// A server with one target, a stretch of points, and decisions of which every third changes something.
fn hub_with(limits: Limits) -> Arc<Hub> {
    let demo: Name = "demo".parse().unwrap();
    let names = ["empty".parse().unwrap(), demo.clone()];
    let (ports, store) = ports(Arc::new(FakePolicies), &names, limits);
    let hub = Hub::new(ports, names, limits);
    for minute in 0..20_u32 {
        let at = f64::from(minute) * 60.0;
        let expected = Band {
            middle: 20.0,
            high: 30.0,
        };
        let demand = 10.0 + f64::from(minute);
        let point = Point {
            at,
            demand,
            capacity: 30.0,
            wanted: 4,
            ready: 3,
            expected,
        };
        let to = if minute % 3 == 0 { 5 } else { 4 };
        hub.publish(
            &demo,
            Update {
                target: Target {
                    at,
                    ..target("shop")
                },
                points: vec![("zone1/gate".to_owned(), point)],
                forecasts: Some(Arc::new(vec![
                    forecast("zone1/gate"),
                    forecast("zone2/gate"),
                ])),
                history: None,
                decision: Some(Decision {
                    policy: "mine".to_owned(),
                    record: Arc::new(record("shop", at, 4, to)),
                    object: None,
                }),
            },
        );
    }
    let builtin = "builtin".parse().unwrap();
    store
        .install(&demo, &builtin, "good builtin".into(), &FakePolicies)
        .unwrap();
    hub
}

fn hub() -> Arc<Hub> {
    hub_with(Limits::DEFAULT)
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Kind of the problem, and each fault with its path; fails when it is no problem document.
    fn problem(&self) -> (u16, String, Vec<(String, String)>) {
        let json = self.json();
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            crate::PROBLEM_JSON,
            "{json}"
        );
        assert_eq!(json["status"], self.status.as_u16());
        for member in ["type", "title", "detail"] {
            assert!(json[member].is_string(), "{member} of {json}");
        }
        let kind = json["type"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .to_owned();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = json["errors"].as_array().into_iter().flatten();
        let errors = errors
            .map(|it| (text(&it["path"]), text(&it["message"])))
            .collect();
        (self.status.as_u16(), kind, errors)
    }
}

async fn send(hub: &Arc<Hub>, request: Request<Body>) -> Answer {
    let response = app(Arc::clone(hub)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text,
    }
}

fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    let path = match path.strip_prefix('~') {
        Some(rest) => format!("/api/v1/namespaces/demo{rest}"),
        None => path.to_owned(),
    };
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost");
    builder.body(body.into()).unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

async fn get(hub: &Arc<Hub>, path: &str) -> Answer {
    send(hub, request("GET", path, Body::empty())).await
}

async fn put_policy(hub: &Arc<Hub>, body: &str) -> Answer {
    let request = request("PUT", "~/targets/shop/policy", body.to_owned());
    send(hub, with(request, "content-type", "application/json")).await
}
