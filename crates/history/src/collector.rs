//! Thousands of signals, kept fresh from one Prometheus at a bounded price.
//!
//! [`Collector::watch`] takes a PromQL expression that gives one number and returns a [`Watch`], whose
//! [`seen`](Watch::seen) tells 28 days of history, the last day in detail, the newest live sample and how the signal
//! does. A task in the background asks the server; whoever watches never waits for it.
//!
//! # What is asked, and when
//! Live samples come by instant queries every [`SourceConfig::poll_every`]. Bins come by range queries on multiples of
//! 60 s: once a minute the new ones and the last two again, since samples can come late; of these every fifth is a bin of
//! the history as well. After the first live answer the past is fetched, newest first, in parts below the limit of samples.
//! Live queries go before new bins, and these before old ones, within [`Limits::queries_per_minute_max`]; where that is
//! not enough, the intervals stretch, and [`CollectorStats`] tells them.
//!
//! # Which queries are joined
//! Equal ones share a signal. Those that differ in the value of one label become one query with `by` that label, if they
//! have the form `sum(rate(x{app="a"}[1m]))`: an outermost `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar`
//! or `quantile` without `by` and `without`, over one selector (`offset` and `@` included), in functions that keep labels
//! and in arithmetic with numbers. Not joined: operators between selectors, comparisons, subqueries, inner aggregations,
//! `histogram_quantile`, selectors without an aggregation. When a joined query fails, its members are asked for one by one
//! for a while, so that one bad query stays alone.
//!
//! # What becomes of answers
//! A scalar is a number like any other. NaN and infinities are gaps. Text, native histograms, samples over a range and more
//! than one series are a [`Fault`] that says how to mend the query. Samples more than a minute in the future are not used.
//! Counter resets are for PromQL's `rate`, and values that do not move pass through: whether they are frozen is judged by
//! who decides. A failure leaves what was seen, with its age; nothing is ever made up.
//!
//! # Tests
//! `tests` plays a server in memory in virtual time: schedules, faults, gaps. `transport` has a server on loopback for what
//! goes over the wire. `crates/testbed/tests/prometheus_{collector,tls}.rs` ask a real one, and `prometheus_scale.rs`
//! measures three thousand signals when asked to.

mod answer;
mod apply;
mod budget;
mod clock;
mod config;
mod driver;
mod entry;
mod error;
mod fault;
mod health;
mod job;
mod pace;
mod plan;
mod query;
mod queue;
mod registry;
mod ring;
mod secret;
mod signal;
mod start;
mod stats;
#[cfg(test)]
mod tests;
mod transport;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use driver::{Driver, Line};
use query::Query;
use registry::Registry;
use stats::Counters;
use tokio::sync::watch::{Sender, channel};
use tokio::task::JoinHandle;
use transport::{Http, Transport};

pub use config::{Auth, ClientCertificate, Enforced, Limits, SourceConfig, Tls, Verification};
pub use error::{ConfigError, QueryError};
pub use fault::{Fault, FaultKind};
pub use secret::Secret;
pub use signal::{
    HISTORY_BINS, HISTORY_STEP_SECONDS, RECENT_BINS, RECENT_STEP_SECONDS, SIGNAL_BYTES_MAX, Seen,
    State,
};
pub use stats::{CollectorStats, SignalCounts};
pub use watch::{Glance, Watch};

/// Keeps the signals of one source fresh until it is dropped or shut down.
pub struct Collector {
    config: SourceConfig,
    registry: Arc<Registry>,
    counters: Arc<Counters>,
    clock: Clock,
    /// How the source is asked, which the task takes from here.
    line: Sender<Line>,
    task: JoinHandle<()>,
}

impl Collector {
    /// Starts the task that asks the source; nothing is sent before something is watched.
    ///
    /// Must be called inside of a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// A URL, certificate, header or limit that cannot be used, named by its field.
    pub fn new(config: SourceConfig) -> Result<Self, ConfigError> {
        check(&config)?;
        let transport = Http::new(&config)?;
        Ok(Self::start(config, Arc::new(transport), Clock::System))
    }

    fn start(config: SourceConfig, transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let registry: Arc<Registry> = Arc::default();
        let counters: Arc<Counters> = Arc::default();
        let (line, lines) = channel(Line {
            transport,
            queries_per_minute_max: config.limits.queries_per_minute_max,
        });
        let driver = Driver::new(
            lines,
            Arc::clone(&registry),
            Arc::clone(&counters),
            config.limits.clone(),
            (config.poll_every, config.timeout),
            clock,
        );
        Self {
            config,
            registry,
            counters,
            clock,
            line,
            task: tokio::spawn(driver.run()),
        }
    }

    /// Goes on with other credentials and certificates, at once also where the old ones were refused. What was seen
    /// stays.
    ///
    /// # Errors
    /// A certificate or header that cannot be used, named by its field; then all goes on as before.
    pub fn renew(&self, auth: Auth, tls: Tls) -> Result<(), ConfigError> {
        let config = SourceConfig {
            auth,
            tls,
            ..self.config.clone()
        };
        let transport = Arc::new(Http::new(&config)?);
        self.line.send_modify(|line| line.transport = transport);
        Ok(())
    }

    /// From now on no minute sees more queries than this, at least 1, which may also be more than the source's limit of
    /// the beginning: for those who share one server among several collectors.
    pub fn limit(&self, queries_per_minute_max: u32) {
        let limit = queries_per_minute_max.max(1);
        self.line.send_if_modified(|line| {
            std::mem::replace(&mut line.queries_per_minute_max, limit) != limit
        });
    }

    /// Begins to watch a query, or joins those who watch an equal one.
    ///
    /// # Errors
    /// A query that the source's enforced matcher cannot be put into, one that is too long, and one too many. A query
    /// that only the server can judge is accepted here; its [`State`] says what the server said.
    pub fn watch(&self, promql: &str) -> Result<Watch, QueryError> {
        let query = Query::new(promql, self.config.enforced.as_ref())?;
        let signals_max = self.config.limits.signals_max;
        let interest = self.registry.interest(query, signals_max)?;
        Ok(Watch {
            live: interest.signal.subscribe(),
            interest,
            clock: self.clock,
            counters: Arc::clone(&self.counters),
            timeout: self.config.timeout,
        })
    }

    /// Different queries that are asked again and again, after grouping.
    #[must_use]
    pub fn queries_distinct(&self) -> usize {
        self.counters.snapshot().queries_distinct
    }

    /// What was done and what is held, for metrics. It looks at every signal: once in some seconds is fine.
    #[must_use]
    pub fn stats(&self) -> CollectorStats {
        let mut stats = self.counters.snapshot();
        for signal in self.registry.signals() {
            let known = signal.known();
            stats.stored_bytes += known.stored_bytes();
            let counts = &mut stats.signals;
            let count = match known.state() {
                State::Waiting => &mut counts.waiting,
                State::Backfilling { .. } => &mut counts.backfilling,
                State::Fresh => &mut counts.fresh,
                State::NoData { .. } => &mut counts.no_data,
                State::Failing { .. } => &mut counts.failing,
            };
            *count += 1;
        }
        stats
    }

    /// Ends all requests and the task, and waits for that. Watches keep what they have seen.
    pub async fn shutdown(mut self) {
        self.registry.end();
        self.task.abort();
        // Aborted, as wanted; a panic of the task is told by the runtime.
        let _ = (&mut self.task).await;
    }
}

/// Refuses what cannot work, field by field.
fn check(config: &SourceConfig) -> Result<(), ConfigError> {
    let field = |field: &'static str, reason: &str| {
        let reason = reason.to_owned();
        Err(ConfigError::Field { field, reason })
    };
    let limits = &config.limits;
    let counts = [
        ("limits.signals_max", limits.signals_max),
        ("limits.series_per_answer_max", limits.series_per_answer_max),
        (
            "limits.samples_per_answer_max",
            limits.samples_per_answer_max,
        ),
        ("limits.answer_bytes_max", limits.answer_bytes_max),
        ("limits.parallel_requests_max", limits.parallel_requests_max),
        (
            "limits.queries_per_minute_max",
            limits.queries_per_minute_max as usize,
        ),
    ];
    if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return field(name, "it must be at least 1");
    }
    if config.timeout < Duration::from_millis(100) {
        return field("timeout", "it must be at least 100 ms");
    }
    if config.poll_every < Duration::from_secs(1) {
        return field("poll_every", "it must be at least 1 s");
    }
    if let Some(enforced) = &config.enforced {
        let mut bytes = enforced.label.bytes();
        let begins = bytes
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !begins || !goes_on || enforced.label == "__name__" {
            return field(
                "enforced.label",
                "it must be the name of a label, such as namespace",
            );
        }
        if enforced.value.is_empty() {
            return field(
                "enforced.value",
                "an empty value selects what has no such label",
            );
        }
    }
    Ok(())
}

impl fmt::Debug for Collector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Collector");
        shown.field("config", &self.config).finish_non_exhaustive()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.registry.end();
        self.task.abort();
    }
}
