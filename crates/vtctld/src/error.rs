//! What can go wrong with a call, and whether to repeat it.

use std::time::Duration;

use tonic::Code;

use crate::{Call, Effect};

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be one of a server.
    #[error(
        "address {address:?}: {reason}; write HOST:PORT, or http://HOST:PORT where there is no TLS"
    )]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request contradicts itself, and was not sent.
    #[error("{call}: {field}: {reason}")]
    Request {
        /// What was to be called.
        call: Call,
        /// The field at fault.
        field: &'static str,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// There was no answer in time. Whether the server did, or still does, what it was asked to is not known.
    #[error("{call} at {address}: no answer within {} s", deadline.as_secs_f64())]
    Deadline {
        /// What was called.
        call: Call,
        /// Whom.
        address: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// The server, or the way to it, refused.
    #[error("{call} at {address}: {}: {message}", code_name(*code))]
    Status {
        /// What was called.
        call: Call,
        /// Whom.
        address: String,
        /// By gRPC's table. vtctld says `Unknown` for much that has a better code: see [`Error::is_not_found`].
        code: Code,
        /// The server's own words, shortened.
        message: String,
    },
    /// The answer lacks what every answer has, or contradicts itself.
    #[error("{call} at {address}: answer without a usable {field}: {reason}")]
    Answer {
        /// What was called.
        call: Call,
        /// Whom.
        address: String,
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Yes, after a pause: nothing was changed, and the cause may pass.
    Sane,
    /// Only after reading how far it got: it may have been carried out, in part or whole.
    LookFirst,
    /// No: the same request will be refused again until something else changes.
    Futile,
}

/// A message longer than this is cut: vtctld quotes whole records.
const MAX_MESSAGE_CHARACTERS: usize = 1_000;

impl Error {
    /// Whether to repeat the call that failed.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Address { .. } | Self::Request { .. } => Retry::Futile,
            Self::Deadline { call, .. } | Self::Answer { call, .. } => after(*call),
            Self::Status { .. } if self.is_not_found() => Retry::Futile,
            Self::Status { call, code, .. } => match code {
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Unauthenticated => Retry::Futile,
                _ => after(*call),
            },
        }
    }

    /// Whether the thing that was asked for does not exist. vtctld 24 says so in words, under the code `Unknown`.
    pub fn is_not_found(&self) -> bool {
        let Self::Status { code, message, .. } = self else {
            return false;
        };
        let in_words = ["node doesn't exist", "no streams found"];
        *code == Code::NotFound
            || (*code == Code::Unknown && in_words.iter().any(|words| message.contains(words)))
    }

    /// Whether the thing that was to be made exists already. vtctld 24 says so in words, under the code `Unknown`.
    pub fn is_already_exists(&self) -> bool {
        let Self::Status { code, message, .. } = self else {
            return false;
        };
        *code == Code::AlreadyExists
            || (*code == Code::Unknown && message.contains("node already exists"))
    }
}

fn after(call: Call) -> Retry {
    match call.effect {
        Effect::Reads => Retry::Sane,
        Effect::Changes => Retry::LookFirst,
    }
}

/// A foreign text, short and on one line.
pub(crate) fn tame(text: &str) -> String {
    let mut tamed: String = text
        .chars()
        .take(MAX_MESSAGE_CHARACTERS)
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    if text.chars().nth(MAX_MESSAGE_CHARACTERS).is_some() {
        tamed.push('…');
    }
    tamed
}

fn code_name(code: Code) -> String {
    format!("{code:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;

    fn status(call: Call, code: Code, message: &str) -> Error {
        Error::Status {
            call,
            address: "127.0.0.1:15999".to_owned(),
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn says_whether_to_repeat() {
        let table = [
            (call::GET_SHARD, Code::Unavailable, "", Retry::Sane),
            (call::GET_SHARD, Code::Unknown, "lost leader", Retry::Sane),
            (
                call::RESHARD_CREATE,
                Code::Unavailable,
                "",
                Retry::LookFirst,
            ),
            (call::RESHARD_CREATE, Code::Unknown, "", Retry::LookFirst),
            (
                call::VDIFF_CREATE,
                Code::FailedPrecondition,
                "",
                Retry::Futile,
            ),
            (
                call::GET_SHARD,
                Code::Unknown,
                "node doesn't exist: /vitess/global/keyspaces/commerce/shards/-/Shard",
                Retry::Futile,
            ),
        ];
        for (call, code, message, expected) in table {
            assert_eq!(
                status(call, code, message).retry(),
                expected,
                "{call} {code:?} {message}"
            );
        }
    }

    #[test]
    fn knows_what_is_missing_by_the_servers_words() {
        let missing = status(
            call::WORKFLOW_STATUS,
            Code::Unknown,
            "failed to get workflow state for commerce.cust workflow: no streams found in keyspace commerce for cust",
        );
        assert!(missing.is_not_found());
        let exists = status(
            call::ADD_CELL_INFO,
            Code::Unknown,
            "node already exists: cells/zone1/CellInfo",
        );
        assert!(exists.is_already_exists());
        assert!(!exists.is_not_found());
    }

    #[test]
    fn reads_as_a_sentence() {
        let error = status(call::GET_SHARD, Code::Unavailable, "connection refused");
        insta::assert_snapshot!(error, @"GetShard at 127.0.0.1:15999: Unavailable: connection refused");
        let error = Error::Deadline {
            call: call::GET_SHARD,
            address: "127.0.0.1:15999".to_owned(),
            deadline: Duration::from_millis(2_500),
        };
        insta::assert_snapshot!(error, @"GetShard at 127.0.0.1:15999: no answer within 2.5 s");
    }

    #[test]
    fn tames_foreign_text() {
        assert_eq!(tame("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(
            tame(&"é".repeat(2_000)).chars().count(),
            MAX_MESSAGE_CHARACTERS + 1
        );
    }
}
