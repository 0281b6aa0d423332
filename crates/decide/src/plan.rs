//! What is to be done, and how far it has come: proposed, guarded, applied.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::contract::{Action, Timestamp};

/// A plan as the policies and floors want it; nothing has checked it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposed {}
/// A plan that every guardrail has passed over; only such a one may be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarded {}
/// A plan that was carried out; only such a one may become status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {}

/// Steps in the order in which they are to be carried out; empty: hold everything as it is.
///
/// `Stage` is one of [`Proposed`], [`Guarded`], [`Applied`].
#[derive(Clone, Debug)]
pub struct Plan<Stage> {
    steps: Vec<Step>,
    stage: PhantomData<fn() -> Stage>,
}

/// One change to one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// The part's id.
    pub part: String,
    /// The change.
    pub action: Action,
    /// The count before it.
    pub from: u32,
    /// Not to be done before this time (then it is only shown); now when absent.
    pub not_before: Option<Timestamp>,
    /// One sentence for people.
    pub reason: String,
}

impl<Stage> Plan<Stage> {
    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn with(steps: Vec<Step>) -> Self {
        Self {
            steps,
            stage: PhantomData,
        }
    }
}

impl Plan<Proposed> {
    /// What is wanted before any guardrail.
    #[must_use]
    pub fn proposed(steps: Vec<Step>) -> Self {
        Self::with(steps)
    }

    /// Lets every step through `guard`, which gives back what is left of it.
    pub(crate) fn guarded(self, guard: impl FnMut(Step) -> Option<Step>) -> Plan<Guarded> {
        Plan::with(self.steps.into_iter().filter_map(guard).collect())
    }
}

impl Plan<Guarded> {
    /// What was carried out of it: the steps that `done` accepts.
    #[must_use]
    pub fn applied(self, mut done: impl FnMut(&Step) -> bool) -> Plan<Applied> {
        Plan::with(self.steps.into_iter().filter(|step| done(step)).collect())
    }
}

impl<Stage> PartialEq for Plan<Stage> {
    fn eq(&self, other: &Self) -> bool {
        self.steps == other.steps
    }
}

impl<Stage> Serialize for Plan<Stage> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.steps.serialize(to)
    }
}

/// Only records are read back; a plan to be carried out comes from `decide`.
impl<'de, Stage> Deserialize<'de> for Plan<Stage> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::<Step>::deserialize(from).map(Self::with)
    }
}
