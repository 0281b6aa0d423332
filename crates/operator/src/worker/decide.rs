//! The engine's step: what is seen goes in, a guarded plan comes out.

use std::sync::Arc;

use foreshard_api::condition::{Finding, kind};
use foreshard_decide::contract::{Forecast, Quality};
use foreshard_engine::{Engine, Observation, Outcome, Policies as _, SignalSeen};
use foreshard_forecast::{Sample, Series};
use foreshard_history::collector::State;
use tokio::sync::OwnedSemaphorePermit;

use super::{Pass, Worker, shown};
use crate::future;
use crate::outlook::{self, BAND};
use crate::part::{PART, part, settings};
use crate::policies::Bound;
use crate::shadow::Look;
use crate::target::Seen;

/// One signal as it is handed to another thread.
struct Signal {
    name: String,
    unit: String,
    history: Series,
    latest: Option<Sample>,
}

/// All that a step needs.
struct Job {
    engine: Box<Engine>,
    bound: Bound,
    signals: Vec<Signal>,
    part: foreshard_decide::contract::Part,
    recent: Vec<foreshard_decide::contract::PastChange>,
    now: i64,
    next: i64,
    /// Held as long as models are fitted; without it none is.
    turn: Option<OwnedSemaphorePermit>,
    /// Whether the next day is drawn as well.
    draws: bool,
}

/// What became of it.
struct Done {
    engine: Box<Engine>,
    outcome: Outcome,
    outlook: Option<Vec<Forecast>>,
}

impl Worker {
    /// Decides, if the target could be read.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn decide(&mut self, pass: &mut Pass) {
        let Some(seen) = pass.seen.clone() else {
            self.outcome = None;
            return;
        };
        let incomplete = self.resolved.incomplete(&pass.policy, pass.now);
        let mut known = self.known_future(pass);
        self.is_incomplete = incomplete.is_some();
        if let Some((_, why)) = &incomplete {
            known.hold("incomplete metrics", why, pass.now);
        }
        pass.notes.clone_from(&known.notes);
        let settings = settings(&pass.policy, &known, &self.key.0, pass.now);
        let engine = match self.memory.engine.take() {
            Some(mut engine) => {
                engine.set_settings(settings);
                engine
            }
            None => Box::new(self.new_engine(settings)),
        };
        let blocked = self
            .memory
            .breaker
            .open(pass.now)
            .map(|(until, why)| (until, why.to_owned()));
        // A server that fails half way leaves half a history: no model is made of that.
        let half_way = self.learning.reads();
        let watched = || self.resolved.signals.iter().flatten();
        let reads = watched().any(|watched| match watched.watch.state() {
            State::Waiting | State::Backfilling { .. } => true,
            State::Failing { .. } => half_way,
            _ => false,
        });
        let job = Job {
            turn: self.learning.may_fit(pass.now, reads),
            engine,
            bound: self
                .resolved
                .bound
                .clone()
                .unwrap_or_else(|| Bound::new(self.shared.modules.host())),
            signals: self.signals(pass),
            part: part(
                &pass.policy,
                &known,
                &seen,
                &self.memory.lead,
                blocked,
                pass.now,
            ),
            recent: self.memory.recent.clone(),
            now: pass.now,
            next: pass.now + pass.policy.interval_seconds,
            draws: self.memory.outlook.is_due(pass.now),
        };
        // Evaluations are bounded, and none runs on a thread that serves.
        let permit = Arc::clone(&self.shared.evaluations).acquire_owned().await;
        let step = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            job.step()
        });
        match step.await {
            Ok(Done {
                engine,
                outcome,
                outlook,
            }) => {
                if let Some(outlook) = outlook {
                    self.memory.outlook.set(pass.now, outlook);
                }
                self.learning
                    .learned(engine.owes_fits(), engine.is_fitted());
                self.memory.engine = Some(engine);
                let trouble = self.resolved.trouble(&pass.policy, pass.now);
                pass.findings.extend(findings(
                    &outcome,
                    self.resolved.fresh(&pass.policy),
                    &trouble.or(incomplete),
                    self.learning.reads(),
                ));
                self.count(&outcome);
                self.score(pass, &seen, &outcome);
                self.outcome = Some(outcome);
            }
            Err(error) => {
                // What the engine knew is lost with it: it begins anew, and nothing is done now.
                tracing::error!(policy = shown(&pass.object), %error, "the evaluation broke");
                self.outcome = None;
                let message = "an invariant of the engine was violated; nothing is done. Please report it with the operator's log.";
                pass.findings
                    .push(Finding::yes(kind::STALLED, "EvaluationBroke", message));
            }
        }
    }

    /// An engine that knows what the one before the restart had learned, if that can be read.
    fn new_engine(&mut self, settings: foreshard_engine::Settings) -> Engine {
        let snapshot = std::mem::take(&mut self.memory.snapshot);
        if snapshot.is_empty() {
            return Engine::new(settings);
        }
        Engine::restore(settings.clone(), &snapshot).unwrap_or_else(|error| {
            let (namespace, policy) = (&self.key.0, &self.key.1);
            tracing::info!(namespace, policy, %error, "what was learned before is not taken over");
            Engine::new(settings)
        })
    }

    fn known_future(&self, pass: &Pass) -> future::Known {
        let indexes = &self.shared.indexes;
        let (namespace, name) = &self.key;
        let named = |metadata: &kube::api::ObjectMeta| metadata.name.clone().unwrap_or_default();
        let overrides: Vec<_> = indexes
            .overrides
            .in_namespace(namespace)
            .iter()
            .filter(|it| it.spec.policy_name == *name)
            .map(|it| (named(&it.metadata), it.spec.clone()))
            .collect();
        let events: Vec<_> = indexes
            .events
            .in_namespace(namespace)
            .iter()
            .map(|it| (named(&it.metadata), it.spec.clone()))
            .collect();
        let mut known = future::known(&pass.policy, name, &overrides, &events, pass.now);
        let malformed = [
            indexes.overrides.malformed(),
            indexes.events.malformed(),
            indexes.policies.malformed(),
        ]
        .concat();
        let mut malformed = malformed.iter().map(|it| &it.key);
        if let Some((_, which)) = malformed.find(|(of, _)| of == namespace) {
            // It may be a floor, a pause, or a load to come, of any policy, or an older policy on the same target.
            let why = format!("{which} cannot be read, and may have a say here");
            known.hold(which, &why, pass.now);
        }
        known
    }

    fn signals(&self, pass: &Pass) -> Vec<Signal> {
        let signals = self.resolved.signals.iter().zip(&pass.policy.signals);
        signals
            .map(|(watched, signal)| {
                let seen = watched.as_ref().ok().map(|watched| watched.watch.seen());
                let latest = seen.as_ref().and_then(|seen| seen.latest);
                Signal {
                    name: signal.name.clone(),
                    unit: signal.unit.clone(),
                    history: seen.map(|seen| seen.history).unwrap_or(Series {
                        start: 0,
                        step: 300,
                        values: Vec::new(),
                    }),
                    latest,
                }
            })
            .collect()
    }

    fn count(&self, outcome: &Outcome) {
        for part in &outcome.record.explanation.parts {
            for clamp in &part.clamps {
                let guard = clamp.guard.name();
                let labels = crate::metrics::GuardLabels { guard };
                self.shared.metrics.clamps.get_or_create(&labels).inc();
            }
        }
    }

    /// What following us would have done, beside what was done.
    fn score(&mut self, pass: &Pass, seen: &Seen, outcome: &Outcome) {
        let context = &outcome.record.context;
        let needed = pass
            .policy
            .signals
            .iter()
            .zip(&context.signals)
            .map(|(signal, told)| {
                let value = told.latest.as_ref().map(|sample| sample.value)?;
                (told.quality == Quality::Ok).then_some(value / signal.capacity)
            });
        // One unknown load makes the need unknown.
        let needed: Option<Vec<f64>> = needed.collect();
        let needed = needed.and_then(|all| all.into_iter().reduce(f64::max));
        self.memory.shadow.look(Look {
            now: pass.now,
            needed,
            ready: seen.ready,
            wanted: outcome.count(PART).unwrap_or(seen.wanted),
            lead: self.memory.lead.time(pass.policy.replicas.lead_seconds).p90 as i64,
            span_max: 2 * pass.policy.interval_seconds,
        });
    }
}

impl Job {
    fn step(self) -> Done {
        let Self {
            mut engine,
            mut bound,
            signals,
            part,
            recent,
            now,
            next,
            turn,
            draws,
        } = self;
        engine.put_off_fits(turn.is_none());
        let told = signals.iter().map(|it| SignalSeen {
            name: &it.name,
            part: PART,
            unit: &it.unit,
            history: &it.history,
            latest: it.latest,
            censored: false,
        });
        let observation = Observation {
            now,
            next,
            parts: vec![part],
            signals: told.collect(),
            recent,
        };
        debug_assert!(bound.bindings().len() <= 4, "the schema allows no more");
        let outcome = engine.step(&observation, &mut bound);
        let outlook =
            draws.then(|| engine.outlook(&observation, &outcome, outlook::HORIZON_SECONDS, &BAND));
        Done {
            engine,
            outcome,
            outlook,
        }
    }
}

/// What the decision says of data, forecast and guardrails.
fn findings(
    outcome: &Outcome,
    fresh: Finding,
    trouble: &Option<(&'static str, String)>,
    reads: bool,
) -> Vec<Finding> {
    let explanation = &outcome.record.explanation;
    let Some(part) = explanation.parts.first() else {
        return Vec::new();
    };
    let worst = part
        .inputs
        .iter()
        .find(|input| input.quality != Quality::Ok);
    let fresh = match (worst, trouble) {
        (None, None) => fresh,
        (_, Some((reason, message))) => Finding::no(
            kind::METRICS_FRESH,
            reason,
            format!("{message}; nothing is taken away meanwhile"),
        ),
        (Some(input), None) => {
            let (reason, what) = match input.quality {
                Quality::Missing | Quality::Ok => ("MetricsMissing", "has no samples"),
                Quality::Stale => ("MetricsStale", "has a newest sample that is too old"),
                Quality::Frozen => ("MetricsFrozen", "has not moved for longer than it ever did"),
                Quality::Implausible => ("MetricsImplausible", "has a value that cannot be true"),
            };
            let message = format!(
                "signal {} {what}; nothing is taken away meanwhile",
                input.signal
            );
            Finding::no(kind::METRICS_FRESH, reason, message)
        }
    };
    let reliable = if part.forecasts.is_empty() {
        Finding::unknown(
            kind::FORECAST_RELIABLE,
            "NotAsked",
            "No policy asks for a forecast.",
        )
    } else {
        match part.forecasts.iter().find(|forecast| !forecast.acted) {
            None => Finding::yes(kind::FORECAST_RELIABLE, "Reliable", "The forecast acts."),
            Some(_) if reads => Finding::unknown(
                kind::FORECAST_RELIABLE,
                "Learning",
                "The history is being read; plain HPA is the floor meanwhile.",
            ),
            Some(forecast) if forecast.reasons.is_empty() => Finding::no(
                kind::FORECAST_RELIABLE,
                "DataNotOk",
                format!(
                    "the forecast of {} does not act while its data is not ok",
                    forecast.signal
                ),
            ),
            Some(forecast) => Finding::no(
                kind::FORECAST_RELIABLE,
                "Demoted",
                format!(
                    "{}: {}; plain HPA is the floor meanwhile",
                    forecast.signal,
                    forecast.reasons.join("; ")
                ),
            ),
        }
    };
    let most = outcome
        .record
        .context
        .parts
        .first()
        .and_then(|part| part.replicas.as_ref())
        .map(|it| it.max);
    let short = part.inputs.iter().find(|input| {
        let capacity = f64::from(most.unwrap_or(u32::MAX)) * input.per_replica;
        input
            .seen
            .is_some_and(|seen| capacity > 0.0 && seen > capacity)
    });
    let guarded = match part.clamps.first() {
        _ if short.is_some() => Finding::no(
            kind::WITHIN_GUARDRAILS,
            "AtMaximum",
            format!(
                "the load is more than {} replicas can serve: raise max of the action",
                most.unwrap_or_default()
            ),
        ),
        None => Finding::yes(
            kind::WITHIN_GUARDRAILS,
            "NotClamped",
            "No guardrail changed the count.",
        ),
        Some(clamp) => Finding::no(
            kind::WITHIN_GUARDRAILS,
            "Clamped",
            format!(
                "{}: {} to {}: {}",
                clamp.guard.name(),
                clamp.from,
                clamp.to,
                clamp.reason
            ),
        ),
    };
    vec![fresh, reliable, guarded]
}
