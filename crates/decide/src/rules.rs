//! The guardrails' settings.

use serde::{Deserialize, Serialize};

use crate::contract::{Seconds, Timestamp};

/// How a target's counts may be changed; the same for each of its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Rules {
    /// HPA's tolerance: the reactive rule keeps the wanted count while utilisation is within this share of the target.
    pub tolerance: f64,
    /// Seconds for which a decrease waits, as in HPA; the reactive rule takes the action's lead where that is longer.
    pub stabilization: Seconds,
    /// Seconds for which a decrease waits while a forecast decides, or a quarter of the action's lead where that is longer.
    pub hold: Seconds,
    /// How much may be added within a period; none: as much as is wanted.
    pub increase: Option<StepLimit>,
    /// How much may be taken away within a period; none: as much as is wanted.
    pub decrease: Option<StepLimit>,
    /// Seconds after a change in which a part is not increased.
    pub increase_cooldown: Seconds,
    /// Seconds after a change in which a part is not decreased.
    pub decrease_cooldown: Seconds,
    /// Spans in which nothing is decreased, or nothing is changed at all.
    pub freezes: Vec<Freeze>,
}

/// A limit on the change within a period: the larger of both, so that small parts can move at all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepLimit {
    /// Replicas.
    pub count: u32,
    /// Share of the wanted count at the beginning of the period, rounded up.
    pub share: f64,
    /// Seconds, looking back from now.
    pub period: Seconds,
}

/// A span in which parts are left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Freeze {
    /// Why, for people.
    pub name: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends, exclusive.
    pub end: Timestamp,
    /// Increases are refused as well; else only decreases.
    pub increases: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            stabilization: 300.0,
            hold: 600.0,
            increase: None,
            decrease: None,
            increase_cooldown: 0.0,
            decrease_cooldown: 0.0,
            freezes: Vec::new(),
        }
    }
}
