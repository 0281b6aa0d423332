//! The decision core: data quality, reactive floor, guardrails, plan and explanation.
//!
//! Pure: `now` is an argument, nothing here reads a clock, draws a random number, or does I/O, and nothing here can
//! fail: what is wrong becomes a finding.
#![forbid(unsafe_code)]

mod answer;
pub mod contract;
mod count;
mod decide;
mod explanation;
mod finding;
mod guard;
mod plan;
mod quality;
mod reactive;
mod record;
mod rules;
mod state;
mod summary;

pub use answer::PolicyAnswer;
pub use count::{ceil_count, needed};
pub use decide::{Decided, Input, decide};
pub use explanation::{
    Ask, Clamp, Explanation, Floors, ForecastUsed, Guard, InputUsed, PartExplanation, VerdictGiven,
};
pub use finding::{Finding, FindingCode};
pub use plan::{Applied, Guarded, Plan, Proposed, Step};
pub use quality::{Assessment, Known, QualityLimits, assess};
pub use reactive::{Reactive, counted_action, counted_offer, lead_seconds, reactive, seen};
pub use record::{DecisionRecord, ENGINE, replay};
pub use rules::{Freeze, Rules, StepLimit};
pub use state::{CountChange, MaxWindow, PartState, State};
