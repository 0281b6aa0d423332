//! What was found to be wrong.

use std::collections::BTreeMap;

use serde::Serialize;

/// Examples of one sort that are kept.
const EXAMPLES_MAX: usize = 10;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Rows by shard.
    pub shards: BTreeMap<String, ShardRows>,
    /// Acknowledged, or seeded, and not there.
    pub lost: Findings,
    /// There more than once: in two shards, or applied twice.
    pub twice: Findings,
    /// Refused, and there nevertheless.
    pub refused_applied: Findings,
    /// There, and never asked for.
    pub strangers: Findings,
    /// There with another content than was written.
    pub altered: Findings,
    /// Left open, and there: neither right nor wrong.
    pub unknown_applied: u64,
    /// Left open, and not there.
    pub unknown_not_applied: u64,
}

/// Rows of a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ShardRows {
    /// In `customer`.
    pub customers: u64,
    /// In `event`.
    pub events: u64,
}

/// How often something was found, with some examples.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// How often.
    pub count: u64,
    /// The first few, in words.
    pub examples: Vec<String>,
}

impl Findings {
    pub(super) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

impl Verdict {
    /// Whether the rows are exactly those that there must be.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        [
            &self.lost,
            &self.twice,
            &self.refused_applied,
            &self.strangers,
            &self.altered,
        ]
        .iter()
        .all(|findings| findings.count == 0)
    }

    /// Rows of all shards.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.shards
            .values()
            .map(|rows| rows.customers + rows.events)
            .sum()
    }

    /// The whole as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and strings: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
