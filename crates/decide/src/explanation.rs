//! Why a decision came out as it did: everything that had a say, by name.

use serde::{Deserialize, Serialize};

use crate::contract::{Measure, Quality, Seconds, json};
use crate::finding::Finding;

macro_rules! explained {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct $name { $($(#[$field_meta])* pub $field: $ty),* }
    )*};
}

explained! {
    /// Why one evaluation of one target came out as it did.
    Explanation {
        /// One sentence for people.
        summary: String,
        /// What each policy said, in the order in which they are bound.
        verdicts: Vec<VerdictGiven>,
        /// One per part that has a count.
        parts: Vec<PartExplanation>,
        /// What is wrong or worth knowing.
        findings: Vec<Finding>,
    }
    /// What one policy said.
    VerdictGiven {
        /// The policy's name.
        policy: String,
        /// The digest of its component.
        digest: String,
        /// Whether it abstained: no opinion, or it failed (then a finding says how).
        abstained: bool,
        /// Its own sentence.
        reason: String,
        /// Its numbers to chart.
        measures: Vec<Measure>,
    }
    /// How the count of one part came about.
    PartExplanation {
        /// The part's id.
        part: String,
        /// What is counted: "replicas" or "shard-count".
        action: String,
        /// The wanted count before this decision.
        before: u32,
        /// The wanted count after it.
        wanted: u32,
        /// What would be wanted without any forecast: HPA's full rule, within the same guardrails.
        without_forecast: u32,
        /// What was looked at.
        inputs: Vec<InputUsed>,
        /// The forecasts that were looked at, whether they were let act or not.
        forecasts: Vec<ForecastUsed>,
        /// What must not be undercut.
        floors: Floors,
        /// What the policies asked for.
        asks: Vec<Ask>,
        /// What policies and floor want together, before the guardrails.
        combined: u32,
        /// Every rule that changed the count, in order.
        clamps: Vec<Clamp>,
        /// One sentence for people.
        summary: String,
    }
    /// One signal as it was seen.
    InputUsed {
        /// The signal's name.
        signal: String,
        /// How far it can be trusted.
        quality: Quality,
        /// Seconds since the end of the newest real sample; NaN (null): there never was one.
        #[serde(with = "json::float")]
        age: Seconds,
        /// Share of the bins with a real sample, 0..1.
        coverage: f64,
        /// The newest value, in the signal's unit.
        seen: Option<f64>,
        /// What one replica serves of it; 0: unknown.
        per_replica: f64,
        /// The newest samples are only lower bounds.
        censored: bool,
    }
    /// One forecast as it was used.
    ForecastUsed {
        /// The signal's name.
        signal: String,
        /// The model and what it put its weight on.
        model: String,
        /// Whether it was let act.
        acted: bool,
        /// Why not, or why it is degraded.
        reasons: Vec<String>,
        /// Relative to seasonal-naive, NaN (null): unknown.
        #[serde(with = "json::float")]
        skill: f64,
        /// The quantile level that the violation budget implies now.
        level: f64,
        /// The level above which the value comes from a tail model.
        calibrated_to: f64,
        /// Seconds from now to the first moment that the action can still change.
        lead: Seconds,
        /// Seconds that the peak covers from there.
        window: Seconds,
        /// The peak at `level`, in the signal's unit; NaN (null): none was asked for.
        #[serde(with = "json::float")]
        peak: f64,
    }
    /// What must not be undercut.
    Floors {
        /// HPA's full rule at the target utilisation.
        reactive: u32,
        /// What the newest sample needs at the maximum utilisation.
        live: u32,
        /// The one of the two that is in force.
        in_force: u32,
        /// "reactive" or "live".
        rule: String,
        /// Why that one.
        reason: String,
    }
    /// What one policy asked for on one part.
    Ask {
        /// The policy's name.
        policy: String,
        /// The count.
        count: u32,
        /// Its own sentence.
        reason: String,
    }
    /// One rule that changed the count.
    Clamp {
        /// The rule.
        guard: Guard,
        /// The count before it.
        from: u32,
        /// The count after it.
        to: u32,
        /// One sentence for people.
        reason: String,
    }
}

/// The rules that can change a count, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// A demoted forecast, or one made of bad data, may not act beyond plain HPA.
    Demotion,
    /// Never below the floor in force.
    Floor,
    /// An overspent violation budget allows nothing below plain HPA.
    Budget,
    /// A decrease waits until nothing in the window asked for more.
    Stabilization,
    /// Not so soon after the last change.
    Cooldown,
    /// Not so many at once, or within a period.
    StepLimit,
    /// The part is busy, blocked or inside a freeze.
    Freeze,
    /// Data that is not ok never shrinks anything.
    Freshness,
    /// Between the part's minimum and maximum. It is asked before those that go by what there is, and once more last.
    Bounds,
}

impl Guard {
    /// The rule's name as it is written in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Demotion => "demotion",
            Self::Floor => "floor",
            Self::Budget => "budget",
            Self::Stabilization => "stabilization",
            Self::Cooldown => "cooldown",
            Self::StepLimit => "step-limit",
            Self::Freeze => "freeze",
            Self::Freshness => "freshness",
            Self::Bounds => "bounds",
        }
    }
}
