//! What Prometheus is told.

use std::sync::{Arc, atomic::AtomicU64};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{
    hub::Hub,
    policies::Refused,
    view::{Recommendation, Target},
};

type NumberGauge = Gauge<f64, AtomicU64>;

/// The handles of every metric.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    pub(crate) listeners: Gauge,
    refused: Family<RefusedLabels, Counter>,
    decisions: Family<DecisionLabels, Counter>,
    demand: Family<PartLabels, NumberGauge>,
    capacity: Family<PartLabels, NumberGauge>,
    wanted: Family<PartLabels, Gauge>,
    ready: Family<PartLabels, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedLabels {
    kind: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DecisionLabels {
    namespace: String,
    target: String,
    changed: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PartLabels {
    namespace: String,
    target: String,
    part: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 8))
            }),
            listeners: Gauge::default(),
            refused: Family::default(),
            decisions: Family::default(),
            demand: Family::default(),
            capacity: Family::default(),
            wanted: Family::default(),
            ready: Family::default(),
        };
        metrics.registry = Arc::new(metrics.registered());
        metrics
    }

    fn registered(&self) -> Registry {
        let mut all = Registry::with_prefix("foreshard");
        all.register("http_requests", "Requests answered", self.requests.clone());
        let durations = self.durations.clone();
        let help = "Time from a request's head to its answer's head";
        all.register_with_unit("http_request_duration", help, Unit::Seconds, durations);
        all.register(
            "event_listeners",
            "Open event streams",
            self.listeners.clone(),
        );
        let help = "Components refused, by the kind of their problem";
        all.register("policy_refusals", help, self.refused.clone());
        all.register("decisions", "Decisions taken", self.decisions.clone());
        all.register(
            "part_demand",
            "Load of a part; NaN: unknown",
            self.demand.clone(),
        );
        let help = "Load that the ready replicas of a part serve";
        all.register("part_capacity", help, self.capacity.clone());
        all.register(
            "part_wanted_replicas",
            "Replicas asked for",
            self.wanted.clone(),
        );
        all.register(
            "part_ready_replicas",
            "Replicas that are ready",
            self.ready.clone(),
        );
        all
    }

    /// Every metric in the Prometheus text format.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    pub(crate) fn show(&self, namespace: &str, target: &Target) {
        for part in &target.parts {
            let labels = PartLabels {
                namespace: namespace.to_owned(),
                target: target.name.clone(),
                part: part.id.clone(),
            };
            self.demand
                .get_or_create(&labels)
                .set(part.demand.unwrap_or(f64::NAN));
            let capacity = part.capacity_per_replica * f64::from(part.ready);
            self.capacity.get_or_create(&labels).set(capacity);
            self.wanted.get_or_create(&labels).set(part.wanted.into());
            self.ready.get_or_create(&labels).set(part.ready.into());
        }
    }

    /// Drops the series of a target that is gone; counters of its decisions stay, as counters do.
    pub(crate) fn forget(&self, namespace: &str, target: &Target) {
        for part in &target.parts {
            let labels = PartLabels {
                namespace: namespace.to_owned(),
                target: target.name.clone(),
                part: part.id.clone(),
            };
            self.demand.remove(&labels);
            self.capacity.remove(&labels);
            self.wanted.remove(&labels);
            self.ready.remove(&labels);
        }
    }

    pub(crate) fn decided(&self, namespace: &str, decision: &Recommendation) {
        let labels = DecisionLabels {
            namespace: namespace.to_owned(),
            target: decision.target.clone(),
            changed: decision.changed.to_string(),
        };
        self.decisions.get_or_create(&labels).inc();
    }

    pub(crate) fn refused(&self, refused: &Refused) {
        let kind = match refused {
            Refused::Bad { kind, .. } => kind.clone(),
            Refused::Unavailable(_) => "unavailable".to_owned(),
        };
        self.refused.get_or_create(&RefusedLabels { kind }).inc();
    }
}

/// Counts and times every request by its route, never by its path: that is the client's to choose.
pub(crate) async fn measure(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let begin = std::time::Instant::now();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "PUT" | "DELETE" | "POST" | "OPTIONS" | "PATCH") => known,
        _ => "other",
    };
    let method = method.to_owned();
    let response = next.run(request).await;
    let durations = hub.metrics.durations.get_or_create(&RouteLabels {
        route: route.clone(),
    });
    durations.observe(begin.elapsed().as_secs_f64());
    let status = response.status().as_u16();
    hub.metrics
        .requests
        .get_or_create(&RequestLabels {
            method,
            route,
            status,
        })
        .inc();
    response
}
