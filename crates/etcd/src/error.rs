//! What can go wrong with a call.

use std::time::Duration;

use tonic::Code;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be one of a member.
    #[error("address {address:?} of etcd: {reason}; write HOST:PORT")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There was no answer in time. Whether the call was carried out is not known.
    #[error("{call} at {address}: no answer within {} s", deadline.as_secs())]
    Deadline {
        /// What was called.
        call: &'static str,
        /// Whom.
        address: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// The member, or the way to it, refused.
    #[error("{call} at {address}: {code:?}: {message}")]
    Status {
        /// What was called.
        call: &'static str,
        /// Whom.
        address: String,
        /// By gRPC's table.
        code: Code,
        /// The member's own words, shortened.
        message: String,
    },
    /// The answer lacks what every answer has.
    #[error("{call} at {address}: answer without {field}")]
    Answer {
        /// What was called.
        call: &'static str,
        /// Whom.
        address: String,
        /// What it lacks.
        field: &'static str,
    },
}

impl Error {
    /// Whether a learner was to be promoted that has not caught up yet.
    #[must_use]
    pub fn is_not_in_sync(&self) -> bool {
        matches!(self, Self::Status { code: Code::FailedPrecondition, message, .. } if message.contains("in sync"))
    }
}

/// A message longer than this is cut.
const MESSAGE_CHARS_MAX: usize = 500;

/// A foreign text, short and on one line.
pub(crate) fn tame(text: &str) -> String {
    let shown = |it: char| if it.is_control() { ' ' } else { it };
    text.chars().take(MESSAGE_CHARS_MAX).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_that_lags_is_told_from_other_refusals() {
        let refused = |code, message: &str| Error::Status {
            call: "MemberPromote",
            address: "a:2379".to_owned(),
            code,
            message: message.to_owned(),
        };
        let words = "etcdserver: can only promote a learner member which is in sync with leader";
        assert!(refused(Code::FailedPrecondition, words).is_not_in_sync());
        assert!(!refused(Code::Unavailable, words).is_not_in_sync());
        assert!(!refused(Code::FailedPrecondition, "unhealthy cluster").is_not_in_sync());
        assert_eq!(
            refused(Code::Unavailable, "no leader").to_string(),
            "MemberPromote at a:2379: Unavailable: no leader"
        );
    }
}
