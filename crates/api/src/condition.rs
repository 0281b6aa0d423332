//! Conditions: their types and how they change.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The types of conditions. Absent means unknown.
pub mod kind {
    /// All that is needed to decide is there. Summary of the others.
    pub const READY: &str = "Ready";
    /// The target exists, has a `/scale`, and nobody else scales it.
    pub const TARGET_RESOLVED: &str = "TargetResolved";
    /// Every signal has a fresh sample.
    pub const METRICS_FRESH: &str = "MetricsFresh";
    /// The forecast may act: it has beaten seasonal-naive.
    pub const FORECAST_RELIABLE: &str = "ForecastReliable";
    /// Every policy module is there, accepted, and takes its config.
    pub const POLICY_ACCEPTED: &str = "PolicyAccepted";
    /// No guardrail changed what the policies asked for.
    pub const WITHIN_GUARDRAILS: &str = "WithinGuardrails";
    /// What was decided was carried out, where the mode says so.
    pub const ACTUATED: &str = "Actuated";
    /// Trying again is pointless until somebody changes something.
    pub const STALLED: &str = "Stalled";
    /// Of a cluster: as many members as wanted answer.
    pub const MEMBERS_READY: &str = "MembersReady";
    /// Of a topology: it has room for what is to come.
    pub const WITHIN_QUOTA: &str = "WithinQuota";
    /// Of a cluster: something is being made, changed or waited for.
    pub const PROGRESSING: &str = "Progressing";
    /// Of a cluster of Vitess: its topology is there, with all that was recorded in it.
    pub const TOPOLOGY_READY: &str = "TopologyReady";
    /// Of a cluster of Vitess: every shard has a primary and all of its tablets.
    pub const SHARDS_READY: &str = "ShardsReady";
    /// Of a cluster of Vitess: gateways run in every cell, and a query through one is answered by each shard.
    pub const VTGATES_READY: &str = "VTGatesReady";
    /// Of a cluster of Vitess or a shard with backups: the last one that was due was made, and can be found.
    pub const BACKUPS_HEALTHY: &str = "BackupsHealthy";
    /// Of a shard: it takes its part of the traffic, and has a primary.
    pub const SERVING: &str = "Serving";
    /// Everything that the spec names is carried out by this version.
    pub const SUPPORTED: &str = "Supported";
    /// Of a module: it can run here.
    pub const ACCEPTED: &str = "Accepted";
    /// Of a source: it answers.
    pub const REACHABLE: &str = "Reachable";
}

/// What was found out for one condition type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One of [`kind`].
    pub kind: &'static str,
    /// `Some(true)`: True; `Some(false)`: False; none: Unknown.
    pub holds: Option<bool>,
    /// Why, CamelCase.
    pub reason: &'static str,
    /// Why and what to do, a sentence.
    pub message: String,
}

/// Most characters of a condition's message.
const MESSAGE_CHARS_MAX: usize = 1024;

impl Finding {
    /// It holds.
    #[must_use]
    pub fn yes(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(kind, Some(true), reason, message)
    }

    /// It does not hold.
    #[must_use]
    pub fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(kind, Some(false), reason, message)
    }

    /// It is not known whether it holds.
    #[must_use]
    pub fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(kind, None, reason, message)
    }

    fn new(
        kind: &'static str,
        holds: Option<bool>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            holds,
            reason,
            message: message.into(),
        }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// The new list of conditions. Times of those whose status did not flip stay; those that nothing was found out about
/// stay as they are.
#[must_use]
pub fn merge(old: &[Condition], found: &[Finding], generation: i64, now: &Time) -> Vec<Condition> {
    let mut all: Vec<Condition> = old.to_vec();
    for finding in found {
        let status = finding.status();
        let since = old
            .iter()
            .find(|it| it.type_ == finding.kind && it.status == status)
            .map_or_else(|| now.clone(), |it| it.last_transition_time.clone());
        let condition = Condition {
            type_: finding.kind.to_owned(),
            status: status.to_owned(),
            reason: finding.reason.to_owned(),
            message: finding.message.chars().take(MESSAGE_CHARS_MAX).collect(),
            last_transition_time: since,
            observed_generation: Some(generation),
        };
        match all.iter_mut().find(|it| it.type_ == finding.kind) {
            Some(known) => *known = condition,
            None => all.push(condition),
        }
    }
    all
}

/// Whether a condition's status is True.
#[must_use]
pub fn is_true(all: &[Condition], kind: &str) -> bool {
    all.iter().any(|it| it.type_ == kind && it.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        crate::time::from_unix(seconds)
    }

    #[test]
    fn the_time_moves_only_when_the_status_flips() {
        let first = merge(
            &[],
            &[Finding::no(kind::READY, "Starting", "Wait.")],
            1,
            &at(10),
        );
        let same = merge(
            &first,
            &[Finding::no(kind::READY, "NoMetrics", "Look.")],
            2,
            &at(20),
        );
        assert_eq!(same[0].last_transition_time, at(10));
        assert_eq!(
            (same[0].reason.as_str(), same[0].observed_generation),
            ("NoMetrics", Some(2))
        );
        let flipped = merge(
            &same,
            &[Finding::yes(kind::READY, "Decides", "All is there.")],
            2,
            &at(30),
        );
        assert_eq!(flipped[0].last_transition_time, at(30));
        assert_eq!(flipped.len(), 1);
        assert!(is_true(&flipped, kind::READY) && !is_true(&flipped, kind::STALLED));
    }

    #[test]
    fn what_nothing_was_found_out_about_stays() {
        let first = merge(
            &[],
            &[Finding::yes(kind::ACTUATED, "Done", "Done.")],
            1,
            &at(10),
        );
        let next = merge(
            &first,
            &[Finding::unknown(kind::READY, "Starting", "Wait.")],
            1,
            &at(20),
        );
        assert_eq!(next.len(), 2);
        assert!(is_true(&next, kind::ACTUATED));
    }
}
