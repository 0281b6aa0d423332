//! What is wrong, or worth knowing, in one evaluation: `decide` never fails, it finds.

use serde::{Deserialize, Serialize};

/// One thing that somebody should know about an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Finding {
    /// What kind of thing; conditions and metrics are made from it.
    pub code: FindingCode,
    /// The part's id, or "" for the whole target.
    pub part: String,
    /// The signal or policy that it is about, or "".
    pub subject: String,
    /// One sentence for people, lower case, no full stop.
    pub message: String,
}

impl Finding {
    /// A finding about `subject` (a signal's or policy's name) of `part`.
    #[must_use]
    pub fn new(code: FindingCode, part: &str, subject: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            part: part.to_owned(),
            subject: subject.to_owned(),
            message: message.into(),
        }
    }
}

/// The kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingCode {
    /// A signal has no samples.
    DataMissing,
    /// The newest sample of a signal is too old.
    DataStale,
    /// A signal has not moved for too long.
    DataFrozen,
    /// A signal's value cannot be true.
    DataImplausible,
    /// The skill gate demoted the forecast: plain HPA is in force.
    ForecastDemoted,
    /// There is no forecast for a signal that has a capacity.
    ForecastMissing,
    /// No capacity per replica is known, so load cannot be turned into a count.
    CapacityUnknown,
    /// The policy trapped, overran a limit or answered nonsense: it abstains.
    PolicyFailed,
    /// The policy named a part that the target does not have.
    UnknownPart,
    /// The policy proposed an action that this part does not offer, or one that is not supported.
    UnsupportedAction,
    /// The policy gave back more memory than it may keep; the old one stays.
    MemoryTooLarge,
    /// Demand was above what the part could serve at its upper bound.
    AtMaximum,
    /// More of the violation budget is gone than was allowed.
    BudgetOverspent,
    /// A part's bounds contradict each other.
    InvalidBounds,
}
