//! Metrics of the controllers of clusters: `foreshard_*`.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Which kind of object.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KindLabels {
    /// Its kind, such as `TabletPool`.
    pub kind: String,
}

type Durations = Family<KindLabels, Histogram, fn() -> Histogram>;

/// The handles of every metric. Cheap to copy.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Seconds of one pass over an object, by its kind.
    passes: Durations,
    /// Requests to the API server that change something, by the kind of what they change.
    writes: Family<KindLabels, Counter>,
    /// Objects that are looked after, by kind.
    objects: Family<KindLabels, Gauge>,
    /// Whether this replica writes.
    pub(crate) leader: Gauge,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("foreshard");
        let passes = Durations::new_with_constructor(seconds);
        let (writes, objects, leader) = (Family::default(), Family::default(), Gauge::default());
        registry.register_with_unit(
            "cluster_pass",
            "Time of one pass over an object, by its kind",
            Unit::Seconds,
            passes.clone(),
        );
        registry.register(
            "cluster_writes",
            "Requests to the API server that change something, by the kind of what they change",
            writes.clone(),
        );
        registry.register(
            "cluster_objects",
            "Objects that are looked after, by kind",
            objects.clone(),
        );
        registry.register("leader", "1: this replica writes", leader.clone());
        Self {
            registry: Arc::new(registry),
            passes,
            writes,
            objects,
            leader,
        }
    }

    /// All of them, as OpenMetrics.
    #[must_use]
    pub fn text(&self) -> String {
        let mut all = String::new();
        // A string takes everything.
        let _ = text::encode(&mut all, &self.registry);
        all
    }

    pub(crate) fn passed(&self, kind: &str, seconds: f64) {
        self.passes.get_or_create(&of(kind)).observe(seconds);
    }

    pub(crate) fn wrote(&self, kind: &str) {
        self.writes.get_or_create(&of(kind)).inc();
    }

    pub(crate) fn looks_after(&self, kind: &str, objects: i64) {
        self.objects.get_or_create(&of(kind)).inc_by(objects);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn of(kind: &str) -> KindLabels {
    KindLabels {
        kind: kind.to_owned(),
    }
}

/// From half a millisecond to sixteen seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
}
