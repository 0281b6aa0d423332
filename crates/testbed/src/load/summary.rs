//! What load came to, by kind and by second.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Kind;

/// What load came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// By kind, over the whole run.
    pub totals: BTreeMap<Kind, KindTotal>,
    /// Errors of attempts, whether a later attempt succeeded or not.
    pub errors: Vec<ErrorLine>,
    /// Requests that were due and not made, because as many as may wait were waiting already.
    pub missed: u64,
    /// By second since the beginning; seconds without a request are left out.
    pub seconds: Vec<Second>,
}

/// One kind's counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct KindTotal {
    /// Requests that were made.
    pub requests: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Requests none of whose attempts succeeded.
    pub failed_requests: u64,
    /// The longest time from when a request was due to its last answer, in milliseconds.
    pub worst_ms: u64,
}

/// An error, and how often and when it was met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorLine {
    /// By what kind of request.
    pub kind: Kind,
    /// Its class: a server's code, and Vitess's own where it has one; else what happened.
    pub error: String,
    /// How often.
    pub count: u64,
    /// The first second since the beginning.
    pub first_second: u64,
    /// The last second since the beginning.
    pub last_second: u64,
    /// One of them in full.
    pub example: String,
}

/// One second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Second {
    /// Seconds since the beginning, rounded down.
    pub second: u64,
    /// By kind, by when the request ended.
    pub kinds: BTreeMap<Kind, KindTotal>,
}

impl Summary {
    /// Failed attempts of a kind.
    #[must_use]
    pub fn failed_attempts(&self, kind: Kind) -> u64 {
        self.totals
            .get(&kind)
            .map_or(0, |total| total.failed_attempts)
    }

    /// The whole as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers, strings and maps with string keys: there is nothing that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// A summary that is being written.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    totals: BTreeMap<Kind, KindTotal>,
    errors: BTreeMap<(Kind, String), ErrorLine>,
    seconds: BTreeMap<u64, BTreeMap<Kind, KindTotal>>,
    missed: u64,
}

impl Recorder {
    /// An attempt failed, `at` since the beginning.
    pub(super) fn attempt_failed(&mut self, kind: Kind, at: Duration, class: &str, text: &str) {
        let second = at.as_secs();
        self.count(kind, second, |total| total.failed_attempts += 1);
        let line = self
            .errors
            .entry((kind, class.to_owned()))
            .or_insert_with(|| ErrorLine {
                kind,
                error: class.to_owned(),
                count: 0,
                first_second: second,
                last_second: second,
                example: text.to_owned(),
            });
        line.count += 1;
        line.last_second = second;
    }

    /// A request ended, `at` since the beginning, `took` after it was due.
    pub(super) fn request_ended(&mut self, kind: Kind, at: Duration, took: Duration, ok: bool) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.count(kind, at.as_secs(), |total| {
            total.requests += 1;
            total.failed_requests += u64::from(!ok);
            total.worst_ms = total.worst_ms.max(took_ms);
        });
    }

    /// A request was due and not made.
    pub(super) fn request_missed(&mut self) {
        self.missed += 1;
    }

    pub(super) fn finish(self) -> Summary {
        let seconds = self.seconds.into_iter();
        Summary {
            totals: self.totals,
            errors: self.errors.into_values().collect(),
            missed: self.missed,
            seconds: seconds
                .map(|(second, kinds)| Second { second, kinds })
                .collect(),
        }
    }

    fn count(&mut self, kind: Kind, second: u64, change: impl Fn(&mut KindTotal)) {
        change(self.totals.entry(kind).or_default());
        let kinds = self.seconds.entry(second).or_default();
        change(kinds.entry(kind).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_kind_and_second() {
        let second = Duration::from_secs;
        let mut recorder = Recorder::default();
        recorder.attempt_failed(Kind::Update, second(3), "1815 VT13001", "first");
        recorder.attempt_failed(Kind::Update, second(4), "1815 VT13001", "second");
        recorder.request_ended(Kind::Update, second(4), Duration::from_millis(1_200), true);
        recorder.request_ended(Kind::Read, second(4), Duration::from_millis(2), true);
        recorder.request_missed();
        let summary = recorder.finish();
        assert_eq!(summary.failed_attempts(Kind::Update), 2);
        assert_eq!(summary.failed_attempts(Kind::Read), 0);
        assert_eq!(summary.totals[&Kind::Update].failed_requests, 0);
        assert_eq!(summary.totals[&Kind::Update].worst_ms, 1_200);
        assert_eq!(summary.errors.len(), 1);
        let line = &summary.errors[0];
        assert_eq!((line.count, line.first_second, line.last_second), (2, 3, 4));
        assert_eq!(line.example, "first");
        assert_eq!(summary.seconds.len(), 2);
        assert!(summary.to_json().contains("\"failed_attempts\": 2"));
    }
}
