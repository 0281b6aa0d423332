//! What a decision must know of earlier ones. A value: `decide` returns the next one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contract::{Seconds, Timestamp};
use crate::rules::Rules;

/// What is remembered between decisions, for each part by its id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct State {
    /// By part id.
    pub parts: BTreeMap<String, PartState>,
}

/// What is remembered of one part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartState {
    /// The reactive rule's raw recommendations.
    pub recommendations: MaxWindow,
    /// The reactive rule's own wanted count, as if it had been alone all along.
    pub reactive: Option<u32>,
    /// What policies and floors asked for.
    pub wishes: MaxWindow,
    /// Changes of the wanted count that still matter to a limit, oldest first.
    pub changes: Vec<CountChange>,
}

impl PartState {
    /// Forgets a planned change that was not carried out: nobody allowed it, or the write failed. The present count is
    /// still the one before it.
    pub(crate) fn settle(&mut self, wanted: u32) {
        while self
            .changes
            .pop_if(|change| change.from == wanted && change.to != wanted)
            .is_some()
        {}
    }

    /// Notes a change, and forgets those that no limit looks at any more; the newest stays.
    pub(crate) fn remember(&mut self, now: Timestamp, from: u32, to: u32, rules: &Rules) {
        if from != to {
            self.changes.push(CountChange { at: now, from, to });
        }
        let periods = [rules.increase, rules.decrease];
        let longest = periods
            .iter()
            .flatten()
            .fold(0.0_f64, |span, limit| span.max(limit.period));
        let newest = self.changes.len().saturating_sub(1);
        let old = self.changes[..newest]
            .iter()
            .take_while(|change| change.at <= now - longest)
            .count();
        self.changes.drain(..old);
    }
}

/// A change of a wanted count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CountChange {
    /// When.
    pub at: Timestamp,
    /// The count before it.
    pub from: u32,
    /// The count after it.
    pub to: u32,
}

/// The maximum over a sliding window, in amortised constant time: only entries that can still become the maximum are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxWindow(Vec<(Timestamp, u32)>);

impl MaxWindow {
    /// Adds `value` at `now` and gives the maximum over `[now - span, now]`.
    pub fn push(&mut self, now: Timestamp, span: Seconds, value: u32) -> u32 {
        while self.0.last().is_some_and(|&(_, last)| last <= value) {
            self.0.pop();
        }
        self.0.push((now, value));
        self.expire(now, span);
        self.0.first().map_or(value, |&(_, most)| most)
    }

    /// The maximum over `[now - span, now]` without adding anything.
    pub fn max(&mut self, now: Timestamp, span: Seconds) -> Option<u32> {
        self.expire(now, span);
        self.0.first().map(|&(_, most)| most)
    }

    fn expire(&mut self, now: Timestamp, span: Seconds) {
        let gone = self
            .0
            .iter()
            .take_while(|&&(at, _)| at < now - span)
            .count();
        self.0.drain(..gone);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_window_holds_the_maximum(values in prop::collection::vec(0_u32..9, 1..60), span in 0_u32..12) {
            let mut window = MaxWindow::default();
            for (now, &value) in values.iter().enumerate() {
                let most = window.push(now as f64, f64::from(span), value);
                let from = now.saturating_sub(span as usize);
                prop_assert_eq!(Some(&most), values[from..=now].iter().max());
            }
        }
    }
}
