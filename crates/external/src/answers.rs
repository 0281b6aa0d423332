//! How often what was answered.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// One kind of answer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct AnswerLabels {
    /// `keda` or `external-metrics`.
    pub api: &'static str,
    /// `served`, or why not.
    pub outcome: &'static str,
}

/// Counts answers. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub struct Answers(pub Family<AnswerLabels, Counter>);

impl Answers {
    pub(crate) fn count(&self, api: &'static str, outcome: &'static str) {
        self.0.get_or_create(&AnswerLabels { api, outcome }).inc();
    }
}
