//! One target, evaluated again and again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use foreshard_decide::contract::{self, Context, Part, Signal, Verdict};
use foreshard_decide::{
    Assessment, DecisionRecord, ENGINE, Finding, FindingCode, Input, PolicyAnswer, State, decide,
    reactive,
};
use foreshard_forecast::{Calibration, Series};
use serde::{Deserialize, Serialize};

use crate::asked::Asked;
use crate::budget::{self, Ledger};
use crate::context::{self, Budget};
use crate::events::Expected;
use crate::forecaster::{Forecaster, Question, Refit};
use crate::observation::{Observation, SignalSeen};
use crate::policies::{Binding, Policies};
use crate::settings::Settings;
use crate::snapshot::{RestoreError, Snapshot};

/// Seconds after which a signal that no policy asks for, or a part that is not there, is forgotten.
const UNSEEN_SECONDS: f64 = 86_400.0;
/// Policies whose memory is kept, bound or not.
const MEMORIES_MAX: usize = 16;
/// Most bytes that a policy may keep between evaluations.
pub const MEMORY_BYTES_MAX: usize = 4096;

/// Everything that is known of one target between evaluations. A value: it follows from its settings and from what it
/// was fed, and nothing else.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    forecasters: BTreeMap<(String, String), Forecaster>,
    ledgers: BTreeMap<String, Ledger>,
    memories: BTreeMap<String, Memory>,
    events: Expected,
    state: Arc<State>,
    puts_off_fits: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    version: u32,
    bytes: Vec<u8>,
}

/// What came of one evaluation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The wanted count of each part that has one.
    pub counts: Vec<(String, u32)>,
    /// All of it; cheap to keep, since what is large is shared.
    pub record: Arc<DecisionRecord>,
}

impl Outcome {
    /// The wanted count of one part.
    #[must_use]
    pub fn count(&self, part: &str) -> Option<u32> {
        let found = self.counts.iter().find(|(id, _)| id == part);
        found.map(|(_, count)| *count)
    }
}

impl Engine {
    /// A target that nothing is known of yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            forecasters: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            memories: BTreeMap::new(),
            events: Expected::default(),
            puts_off_fits: false,
            state: Arc::default(),
        }
    }

    /// Everything that is remembered but the models, with the version of its form; some 20 kB.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        Snapshot {
            forecasters: self.forecasters.clone(),
            ledgers: self.ledgers.clone(),
            memories: self.memories.clone(),
            events: self.events.clone(),
            state: (*self.state).clone(),
        }
        .to_bytes()
    }

    /// A target as [`Engine::snapshot`] left it. Its next step fits all models anew; one whose models would have been
    /// fitted at that step anyway decides the same from then on, as if nothing had happened.
    ///
    /// # Errors
    ///
    /// When `bytes` are no snapshot, or one of another version: start with [`Engine::new`] then.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Self, RestoreError> {
        let snapshot = Snapshot::from_bytes(bytes)?;
        Ok(Self {
            settings,
            forecasters: snapshot.forecasters,
            ledgers: snapshot.ledgers,
            memories: snapshot.memories,
            events: snapshot.events,
            state: Arc::new(snapshot.state),
            puts_off_fits: false,
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes what is aimed at, from the next evaluation on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// What truth has taught about one signal's forecasts.
    #[must_use]
    pub fn calibration(&self, part: &str, signal: &str) -> Option<&Calibration> {
        let key = (part.to_owned(), signal.to_owned());
        self.forecasters.get(&key).map(Forecaster::calibration)
    }

    /// Whether fits that are due wait: a fit takes many times as long as all the rest of an evaluation. Meanwhile the
    /// model before is used, and none where there was none. What is put off is done by an evaluation that may.
    pub fn put_off_fits(&mut self, put_off: bool) {
        self.puts_off_fits = put_off;
    }

    /// Whether the last evaluation would have fitted a model, had it been allowed to.
    #[must_use]
    pub fn owes_fits(&self) -> bool {
        self.forecasters.values().any(Forecaster::is_put_off)
    }

    /// Whether every forecast of the last evaluation rests on a model.
    #[must_use]
    pub fn is_fitted(&self) -> bool {
        self.forecasters.values().all(Forecaster::is_fitted)
    }

    /// A scheduled evaluation: decides, and remembers.
    pub fn step(&mut self, observation: &Observation<'_>, policies: &mut dyn Policies) -> Outcome {
        let context = self.observe(observation, policies.bindings());
        let (context, answers) = self.ask(context, policies);
        self.decide(context, answers)
    }

    /// What [`Engine::step`] would do, without remembering anything of it.
    #[must_use]
    pub fn preview(&self, observation: &Observation<'_>, policies: &mut dyn Policies) -> Outcome {
        self.clone().step(observation, policies)
    }

    /// Makes the context: signals judged, budget counted, forecasts made, floors set.
    fn observe(&mut self, observation: &Observation<'_>, bindings: &[Binding]) -> Context {
        // Whoever hands over more than what is past does not change what is decided.
        let past: Vec<Cow<'_, Series>> = observation
            .signals
            .iter()
            .map(|seen| past(seen.history, observation.now))
            .collect();
        let observation = &Observation {
            signals: until_now(observation, &past),
            ..observation.clone()
        };
        let limits = self.settings.quality;
        let judged: Vec<Assessment> = observation
            .signals
            .iter()
            .map(|seen| context::judge(seen, observation.now, &limits))
            .collect();
        let budget = self.budget(observation, &judged);
        let mut signals: Vec<Signal> = Vec::with_capacity(judged.len());
        let mut forecasts = Vec::new();
        for (seen, assessment) in observation.signals.iter().zip(&judged) {
            signals.push(context::signal(seen, assessment, bindings));
            let part = observation.parts.iter().find(|part| part.id == seen.part);
            forecasts.extend(self.forecast(observation, seen, part, bindings, budget.level));
        }
        let parts = observation.parts.clone();
        let settings = &self.settings;
        let mut context =
            context::context(settings, observation, parts, signals, forecasts, budget);
        self.set_floors(&mut context);
        self.forget(observation.now);
        context
    }

    /// Forgets signals and parts that are no longer seen: shards come and go.
    fn forget(&mut self, now: i64) {
        let kept = self.settings.aims.budget_window.max(UNSEEN_SECONDS) as i64;
        self.ledgers
            .retain(|_, ledger| now - ledger.noted() <= kept);
        let kept = UNSEEN_SECONDS as i64;
        self.forecasters
            .retain(|_, forecaster| now - forecaster.asked() <= kept);
    }

    /// Counts the time over capacity up to the newest samples; the part that is worst off sets the level.
    fn budget(&mut self, observation: &Observation<'_>, judged: &[Assessment]) -> Budget {
        let aims = &self.settings.aims;
        let longest = 2 * (observation.next - observation.now).max(1);
        let mut spent = 0.0_f64;
        for part in &observation.parts {
            let Some(replicas) = &part.replicas else {
                continue;
            };
            let ledger = self.ledgers.entry(part.id.clone()).or_default();
            ledger.note(observation.now, replicas.ready);
            let newest = observation.signals.iter().zip(judged);
            let needed = newest.filter_map(|(seen, assessment)| {
                let capacity = replicas.capacities.iter().find(|capacity| {
                    seen.part == part.id
                        && capacity.signal == seen.name
                        && capacity.per_replica > 0.0
                })?;
                let at = observation.now - assessment.age as i64;
                Some((at, assessment.seen? / capacity.per_replica))
            });
            if let Some((at, needed)) = needed.max_by(|a, b| a.1.total_cmp(&b.1)) {
                ledger.judge(at, needed, longest);
            }
            let share = aims.violation_budget;
            spent = spent.max(ledger.spent(observation.now, aims.budget_window, share));
        }
        Budget {
            spent,
            level: budget::level(aims.violation_budget, spent),
        }
    }

    /// The forecast of one signal, if a policy asks for it.
    fn forecast(
        &mut self,
        observation: &Observation<'_>,
        seen: &SignalSeen<'_>,
        part: Option<&Part>,
        bindings: &[Binding],
        level: f64,
    ) -> Option<contract::Forecast> {
        let asked = Asked::of(observation, seen, part, bindings, level)?;
        let key = (seen.part.to_owned(), seen.name.to_owned());
        let refit = Refit {
            every: self.settings.refit_every,
            crowd: self.settings.crowd,
            place: self.settings.place(&key.0, &key.1),
        };
        let forecaster = self.forecasters.entry(key).or_default();
        let made = forecaster.step(Question {
            now: observation.now,
            series: seen.history,
            latest: seen.latest.filter(|sample| sample.value.is_finite()),
            calendar: &self.settings.calendar,
            horizon: asked.horizon,
            levels: asked.levels,
            peaks: asked.peaks,
            refit,
            may_fit: !self.puts_off_fits,
        });
        let mut forecast = context::forecast(seen, asked.actions, made);
        let events = &self.settings.events;
        self.events
            .raise(&mut forecast, events, observation.now as f64);
        Some(forecast)
    }

    /// Tells the policies what the reactive rule wants now.
    fn set_floors(&self, context: &mut Context) {
        let mut parts = std::mem::take(&mut context.parts);
        for part in &mut parts {
            let Some(mut replicas) = part.replicas.take() else {
                continue;
            };
            let mut state = self.state.parts.get(&part.id).cloned().unwrap_or_default();
            let rules = &self.settings.rules;
            replicas.floor = reactive(context, part, &replicas, rules, &mut state).count;
            part.replicas = Some(replicas);
        }
        context.parts = parts;
    }

    /// Asks every policy, each with its own config and memory; what the first was told stands for all in the record.
    fn ask(
        &mut self,
        context: Context,
        policies: &mut dyn Policies,
    ) -> (Arc<Context>, Vec<PolicyAnswer>) {
        if self.memories.len() > MEMORIES_MAX {
            let bound = policies.bindings();
            self.memories
                .retain(|name, _| bound.iter().any(|binding| binding.name == *name));
        }
        let mut shared = Arc::new(context);
        let mut answers = Vec::with_capacity(policies.bindings().len());
        for index in 0..policies.bindings().len() {
            let binding = &policies.bindings()[index];
            let (name, version) = (binding.name.clone(), binding.memory_version);
            let (config, memory) = (binding.config.clone(), self.memory(&name, version));
            let mut told = Arc::clone(&shared);
            // Nobody else holds the first one yet, so it is changed in place; the others are copies.
            let own = if index == 0 {
                Arc::make_mut(&mut shared)
            } else {
                Arc::make_mut(&mut told)
            };
            own.config = config;
            own.memory = memory;
            if index == 0 {
                told = Arc::clone(&shared);
            }
            let mut answer = policies.evaluate(index, &told);
            self.remember(&name, version, &mut answer);
            answers.push(answer);
        }
        (shared, answers)
    }

    fn memory(&self, policy: &str, version: u32) -> Vec<u8> {
        let kept = self.memories.get(policy);
        kept.filter(|memory| memory.version == version)
            .map(|memory| memory.bytes.clone())
            .unwrap_or_default()
    }

    /// Keeps what a policy gave back for next time, unless it is too much.
    fn remember(&mut self, policy: &str, version: u32, answer: &mut PolicyAnswer) {
        let Verdict::Decide(decision) = &answer.verdict else {
            return;
        };
        let Some(bytes) = &decision.memory else {
            return;
        };
        if bytes.len() > MEMORY_BYTES_MAX {
            let message = format!(
                "{} bytes of memory were given back, at most {MEMORY_BYTES_MAX} are kept; the old ones stay",
                bytes.len()
            );
            let code = FindingCode::MemoryTooLarge;
            answer
                .findings
                .push(Finding::new(code, "", policy, message));
            return;
        }
        let bytes = bytes.clone();
        self.memories
            .insert(policy.to_owned(), Memory { version, bytes });
    }

    fn decide(&mut self, context: Arc<Context>, answers: Vec<PolicyAnswer>) -> Outcome {
        let decided = decide(Input {
            context: &context,
            rules: &self.settings.rules,
            state: &self.state,
            answers: &answers,
        });
        let counts = decided.explanation.parts.iter();
        let counts = counts.map(|part| (part.part.clone(), part.wanted));
        let counts = counts.collect();
        let before = std::mem::replace(&mut self.state, Arc::new(decided.state));
        Outcome {
            counts,
            record: Arc::new(DecisionRecord {
                engine: ENGINE.to_owned(),
                context,
                rules: Arc::clone(&self.settings.rules),
                state: before,
                answers: Arc::new(answers),
                plan: decided.plan,
                explanation: decided.explanation,
            }),
        }
    }
}

/// The bins that had ended by `now`.
fn past(history: &Series, now: i64) -> Cow<'_, Series> {
    if history.end() > now {
        Cow::Owned(history.until(now))
    } else {
        Cow::Borrowed(history)
    }
}

fn until_now<'a>(
    observation: &Observation<'a>,
    past: &'a [Cow<'_, Series>],
) -> Vec<SignalSeen<'a>> {
    let cut = observation.signals.iter().zip(past);
    cut.map(|(seen, history)| SignalSeen {
        history,
        latest: seen.latest.filter(|sample| sample.at <= observation.now),
        ..*seen
    })
    .collect()
}

mod outlook;
#[cfg(test)]
mod persistence_tests;
#[cfg(test)]
mod tests;
