//! A decision as it is stored: enough to make it again, bit for bit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::answer::PolicyAnswer;
use crate::contract::Context;
use crate::decide::{Input, decide};
use crate::explanation::Explanation;
use crate::plan::{Guarded, Plan};
use crate::rules::Rules;
use crate::state::State;

/// The version that is written into records: a record replays to the same bytes under the same one.
pub const ENGINE: &str = concat!("foreshard/", env!("CARGO_PKG_VERSION"));

/// One decision with all that went into it. Cheap to keep: what is large is shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecisionRecord {
    /// The version that made it.
    pub engine: String,
    /// What the policies were told; `config` and `memory` are those of the first policy.
    pub context: Arc<Context>,
    /// The guardrails' settings.
    pub rules: Arc<Rules>,
    /// What was remembered of earlier decisions.
    pub state: Arc<State>,
    /// What the policies said.
    pub answers: Arc<Vec<PolicyAnswer>>,
    /// What came of it.
    pub plan: Plan<Guarded>,
    /// And why.
    pub explanation: Explanation,
}

/// Decides again from what `record` holds. With the engine that made it, the result is equal to it, byte for byte.
#[must_use]
pub fn replay(record: &DecisionRecord) -> DecisionRecord {
    let decided = decide(Input {
        context: &record.context,
        rules: &record.rules,
        state: &record.state,
        answers: &record.answers,
    });
    DecisionRecord {
        engine: ENGINE.to_owned(),
        context: Arc::clone(&record.context),
        rules: Arc::clone(&record.rules),
        state: Arc::clone(&record.state),
        answers: Arc::clone(&record.answers),
        plan: decided.plan,
        explanation: decided.explanation,
    }
}
