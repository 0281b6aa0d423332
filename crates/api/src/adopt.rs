//! From an autoscaler that is there to a `ScalingPolicy` that only watches. Pure.
//!
//! What means the same is written; what has no equivalent is a [`Note`], never a guess that acts: the mode is always
//! `Observe`. Beside a HorizontalPodAutoscaler a policy in `Observe` is scored against it and fights nobody.

mod amount;
mod behavior;
mod cron;
mod hpa;
mod requests;
mod resource;
mod scaled_object;

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use hpa::hpa;
pub use requests::Requests;
pub use scaled_object::{ScaledObject, scaled_object};

use crate::v1alpha1::{
    Action, Behavior, PrometheusSource, PrometheusSourceSpec, ScalingPolicy, ScalingPolicySpec,
    Schedule, Signal, SourceKind, SourceRef, TargetRef,
};
use crate::validated::{Invalid, ValidatedPolicy};

/// Most signals of a policy.
const SIGNALS_MAX: usize = 8;
/// Most recurring floors of a policy.
const SCHEDULES_MAX: usize = 16;
/// Most replicas that a policy may name.
const REPLICAS_MAX: i32 = 10_000;
/// Longest name of a policy, signal or schedule.
const NAME_CHARS_MAX: usize = 63;

/// What is known beside the autoscaler.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Name of the policy [default: the target's].
    pub name: Option<String>,
    /// What the target's pods request: an HPA's utilization is a share of it.
    pub requests: Requests,
    /// Sources of the namespace.
    pub sources: Vec<PrometheusSource>,
    /// The source to ask for metrics whose server the autoscaler does not name [default: the only one of `sources`,
    /// else `main`].
    pub source: Option<String>,
}

/// What an autoscaler became.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// Sources that are not there yet.
    pub sources: Vec<PrometheusSource>,
    /// The policy, in mode `Observe`.
    pub policy: ScalingPolicy,
    /// What a person should know before applying it.
    pub notes: Vec<Note>,
}

/// What a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It was taken over, on an assumption that this says.
    Check(String),
    /// It has no equivalent, or would not mean the same.
    NotAdopted(String),
}

/// Why nothing could be made of an autoscaler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// A part of its specification is missing.
    #[error("{what} has no {field}")]
    Incomplete {
        /// Kind and name.
        what: String,
        /// The field.
        field: &'static str,
    },
    /// KEDA makes and owns it.
    #[error("{what} is made by KEDA: adopt the ScaledObject {scaled_object} instead")]
    MadeByKeda {
        /// Kind and name.
        what: String,
        /// Its owner's name.
        scaled_object: String,
    },
    /// No metric of it can be a signal.
    #[error(
        "no metric of {what} can be asked of a Prometheus, and a policy needs one: {}",
        .reasons.join("; ")
    )]
    NoSignal {
        /// Kind and name.
        what: String,
        /// Why each is none.
        reasons: Vec<String>,
    },
    /// What came out would be refused.
    #[error("{what} cannot be a policy: {why}")]
    Invalid {
        /// Kind and name.
        what: String,
        /// The field that is wrong.
        why: Invalid,
    },
}

/// A policy in the making.
struct Draft<'a> {
    around: &'a Surroundings,
    /// Kind and name of the autoscaler.
    what: String,
    namespace: Option<String>,
    name: String,
    target: TargetRef,
    min: i32,
    max: i32,
    behavior: Option<Behavior>,
    signals: Vec<Signal>,
    schedules: Vec<Schedule>,
    sources: Vec<PrometheusSource>,
    notes: Vec<Note>,
}

impl<'a> Draft<'a> {
    fn new(
        around: &'a Surroundings,
        what: String,
        namespace: Option<String>,
        target: TargetRef,
        bounds: (i32, i32),
    ) -> Self {
        let wanted = around.name.as_deref().unwrap_or(&target.name);
        let name: String = wanted.chars().take(NAME_CHARS_MAX).collect();
        let mut draft = Self {
            name: name.trim_end_matches(['-', '.']).to_owned(),
            around,
            what,
            namespace,
            target,
            min: bounds.0,
            max: bounds.1.clamp(1, REPLICAS_MAX),
            behavior: None,
            signals: Vec::new(),
            schedules: Vec::new(),
            sources: Vec::new(),
            notes: Vec::new(),
        };
        if draft.min < 1 {
            draft.min = 1;
            draft.not_adopted("scaling to zero: a policy keeps at least 1 replica (min: 1)");
        }
        if bounds.1 > REPLICAS_MAX {
            draft.check(format!(
                "max: a policy names at most {REPLICAS_MAX} replicas"
            ));
        }
        draft.min = draft.min.min(draft.max);
        draft
    }

    /// Notes what is to be checked, once.
    fn check(&mut self, text: impl Into<String>) {
        let note = Note::Check(text.into());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn not_adopted(&mut self, text: impl Into<String>) {
        self.notes.push(Note::NotAdopted(text.into()));
    }

    /// Adds a signal under a name of its own.
    fn signal(&mut self, mut signal: Signal) {
        if self.signals.len() == SIGNALS_MAX {
            let text = format!(
                "{}: a policy has at most {SIGNALS_MAX} signals",
                signal.name
            );
            return self.not_adopted(text);
        }
        let taken = self.signals.iter().map(|it| it.name.as_str());
        signal.name = own_name(&signal.name, "signal", &taken.collect());
        self.signals.push(signal);
    }

    /// Adds a recurring floor under a name of its own.
    fn schedule(&mut self, mut schedule: Schedule) {
        if self.schedules.len() == SCHEDULES_MAX {
            let text = format!(
                "{}: a policy has at most {SCHEDULES_MAX} schedules",
                schedule.name
            );
            return self.not_adopted(text);
        }
        let taken = self.schedules.iter().map(|it| it.name.as_str());
        schedule.name = own_name(&schedule.name, "schedule", &taken.collect());
        self.schedules.push(schedule);
    }

    /// The source for what the autoscaler takes from elsewhere than a Prometheus that it names.
    fn usual_source(&mut self) -> SourceRef {
        let only = match &self.around.sources[..] {
            [one] => one.metadata.name.clone(),
            _ => None,
        };
        let name = self.around.source.clone().or(only);
        if name.is_none() {
            self.check(
                "sourceRef: the autoscaler names no Prometheus: make a PrometheusSource `main`, or name another one",
            );
        }
        source_ref(name.unwrap_or_else(|| "main".to_owned()))
    }

    /// The source that is or will be there for a server.
    fn source(&mut self, spec: PrometheusSourceSpec) -> SourceRef {
        let same = |it: &&PrometheusSource| {
            it.spec.url.trim_end_matches('/') == spec.url.trim_end_matches('/')
                && it.spec.headers == spec.headers
        };
        let known = self.around.sources.iter().chain(&self.sources).find(same);
        if let Some(name) = known.and_then(|it| it.metadata.name.clone()) {
            return source_ref(name);
        }
        let all = self.around.sources.iter().chain(&self.sources);
        let taken = all.filter_map(|it| it.metadata.name.as_deref()).collect();
        let name = own_name(&format!("{}-prometheus", self.name), "prometheus", &taken);
        let mut source = PrometheusSource::new(&name, spec);
        source.metadata.namespace.clone_from(&self.namespace);
        self.sources.push(source);
        source_ref(name)
    }

    /// The policy, once it is known to be one.
    fn finish(self) -> Result<Adopted, AdoptError> {
        if self.signals.is_empty() {
            let reasons = self.notes.into_iter().map(|note| match note {
                Note::Check(text) | Note::NotAdopted(text) => text,
            });
            return Err(AdoptError::NoSignal {
                what: self.what,
                reasons: reasons.collect(),
            });
        }
        let mut action = Action::replicas(self.min, self.max);
        action.behavior = self.behavior;
        let mut spec = ScalingPolicySpec::new(self.target, self.signals, action);
        spec.schedules = self.schedules;
        ValidatedPolicy::parse(&spec).map_err(|why| AdoptError::Invalid {
            what: self.what,
            why,
        })?;
        let mut policy = ScalingPolicy::new(&self.name, spec);
        policy.metadata.namespace = self.namespace;
        Ok(Adopted {
            sources: self.sources,
            policy,
            notes: self.notes,
        })
    }
}

fn source_ref(name: String) -> SourceRef {
    SourceRef {
        kind: SourceKind::PrometheusSource,
        name,
    }
}

/// `HorizontalPodAutoscaler web`.
fn what(kind: &str, metadata: &ObjectMeta) -> String {
    format!("{kind} {}", metadata.name.as_deref().unwrap_or_default())
}

/// `wanted` as a DNS label that is not taken; `otherwise` where nothing is left of it.
fn own_name(wanted: &str, otherwise: &str, taken: &BTreeSet<&str>) -> String {
    let plain = |c: char| {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_alphanumeric() { c } else { '-' }
    };
    let label: String = wanted.chars().map(plain).take(NAME_CHARS_MAX - 3).collect();
    let label = match label.trim_matches('-') {
        "" => otherwise,
        label => label,
    };
    let numbered = (2..).map(|number| format!("{label}-{number}"));
    let mut names = std::iter::once(label.to_owned()).chain(numbered);
    names
        .find(|name| !taken.contains(name.as_str()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
