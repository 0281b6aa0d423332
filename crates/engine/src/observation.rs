//! What is seen of a target at one moment.

use foreshard_decide::contract::{Part, PastChange};
use foreshard_forecast::{Sample, Series};

/// A target as it is seen at one moment; borrowed, so that weeks of history need no copy per tick.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Unix seconds.
    pub now: i64,
    /// When the next evaluation is due, in Unix seconds.
    pub next: i64,
    /// Everything that can be changed by itself. `floor` of a part's count is filled in by the engine.
    pub parts: Vec<Part>,
    /// The load of the parts.
    pub signals: Vec<SignalSeen<'a>>,
    /// What was really carried out, newest first.
    pub recent: Vec<PastChange>,
}

/// One signal as it is seen.
#[derive(Clone, Copy, Debug)]
pub struct SignalSeen<'a> {
    /// The signal's name, e.g. "demand".
    pub name: &'a str,
    /// The part's id; "" for the whole target.
    pub part: &'a str,
    /// The unit of its values.
    pub unit: &'a str,
    /// Complete bins that are known now; what lies after `now` is not looked at.
    pub history: &'a Series,
    /// The newest live sample.
    pub latest: Option<Sample>,
    /// The newest samples are lower bounds of the demand.
    pub censored: bool,
}
