//! What can be wrong with an answer, and how to mend it.

use std::time::Duration;

/// Why there is no new sample. No text in it holds a credential.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No connection.
    #[error(
        "failed to reach Prometheus at {url}: {reason}; is it running, and is the address right?"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Too slow.
    #[error(
        "{url} did not answer within {seconds} s: allow more time, or record the expression by a rule"
    )]
    TimedOut {
        /// Where.
        url: String,
        /// The time allowed for one request.
        seconds: f64,
    },
    /// The connection broke while the answer came.
    #[error("the answer of {url} broke off: {reason}")]
    Interrupted {
        /// Where.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// 401 or 403.
    #[error(
        "{url} refused our credentials with status {status}: check the token, the password or the tenant of the source"
    )]
    Unauthorized {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// 429.
    #[error(
        "{url} says that it is asked too often{}: lower the source's queries per minute",
        after(*.retry_after)
    )]
    TooManyRequests {
        /// Where.
        url: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// 5xx, from the server or from what stands before it.
    #[error("{url} answered with status {status} (`{beginning}`){}", after(*.retry_after))]
    Unavailable {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How the answer begins.
        beginning: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
    /// A redirect to another host, which would get our credentials.
    #[error(
        "{url} redirects to {to}, which is not followed: name the final address in the source's url"
    )]
    Redirected {
        /// Where.
        url: String,
        /// Where to.
        to: String,
    },
    /// An answer that is not Prometheus's, such as the page of a login or of a proxy.
    #[error(
        "{url} answered with status {status} and not as Prometheus does (`{beginning}`): check the address and its path, and whether it wants a login"
    )]
    NotPrometheus {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How the answer begins.
        beginning: String,
    },
    /// Prometheus refused the query, or failed in it.
    #[error("Prometheus refused the query: {kind}: {message}")]
    Refused {
        /// Its own word for the kind of error, such as `bad_data` or `execution`.
        kind: String,
        /// Its message.
        message: String,
    },
    /// The answer came with a warning: something may be missing in it, as when a Thanos does not reach a store.
    #[error("the answer is not used, since something may be missing in it: {warning}")]
    Partial {
        /// What the server warned of.
        warning: String,
    },
    /// More than one series.
    #[error(
        "the query gives more than one series ({examples}): add them up with sum(…) or choose one by its labels"
    )]
    TooManySeries {
        /// Labels of the first ones.
        examples: String,
    },
    /// Text, samples over a range, or something newer than this program.
    #[error(
        "the query gives a {kind}, not one number at a time: ask for a number, such as sum(rate(requests_total[5m]))"
    )]
    NotNumbers {
        /// `string`, `matrix`, or the unknown word.
        kind: String,
    },
    /// A native histogram.
    #[error(
        "the query gives a native histogram, not numbers: take histogram_quantile(…), histogram_count(…) or histogram_sum(…) of it"
    )]
    Histogram,
    /// More bytes than allowed.
    #[error(
        "the answer is larger than {bytes_max} bytes: add the series up with sum(…), or raise the source's limit of bytes per answer"
    )]
    AnswerTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// More series or samples than allowed.
    #[error(
        "the answer holds more than {limit} {what}: add the series up with sum(…), or raise the source's limit"
    )]
    TooMuch {
        /// `series` or `samples`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The server's clock is ahead of ours.
    #[error(
        "{url} gives samples {seconds} s in the future, which are not used: set the clocks of both machines by NTP"
    )]
    FromTheFuture {
        /// Where.
        url: String,
        /// How far ahead.
        seconds: i64,
    },
}

/// How a fault is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// No connection.
    Unreachable,
    /// Too slow.
    TimedOut,
    /// Broke off.
    Interrupted,
    /// 401 or 403.
    Unauthorized,
    /// 429.
    TooManyRequests,
    /// 5xx.
    Unavailable,
    /// A redirect to elsewhere.
    Redirected,
    /// Something else than Prometheus.
    NotPrometheus,
    /// The query was refused or failed.
    Refused,
    /// More than one series for a signal.
    TooManySeries,
    /// Text or histograms.
    NotNumbers,
    /// Beyond a limit of bytes, series or samples.
    TooLarge,
    /// Clocks that differ.
    FromTheFuture,
    /// Answered with a warning.
    Partial,
}

impl FaultKind {
    /// All of them, in the order of [`CollectorStats::failures`](super::CollectorStats::failures).
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Interrupted,
        Self::Unauthorized,
        Self::TooManyRequests,
        Self::Unavailable,
        Self::Redirected,
        Self::NotPrometheus,
        Self::Refused,
        Self::TooManySeries,
        Self::NotNumbers,
        Self::TooLarge,
        Self::FromTheFuture,
        Self::Partial,
    ];

    /// A label value for metrics, such as `timed_out`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::Unauthorized => "unauthorized",
            Self::TooManyRequests => "too_many_requests",
            Self::Unavailable => "unavailable",
            Self::Redirected => "redirected",
            Self::NotPrometheus => "not_prometheus",
            Self::Refused => "refused",
            Self::TooManySeries => "too_many_series",
            Self::NotNumbers => "not_numbers",
            Self::TooLarge => "too_large",
            Self::FromTheFuture => "from_the_future",
            Self::Partial => "partial",
        }
    }
}

/// Whom a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Whatever is asked of this server now fails alike.
    Server,
    /// The query; others may do well.
    Query,
}

impl Fault {
    /// How it is counted.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Unreachable { .. } => FaultKind::Unreachable,
            Self::TimedOut { .. } => FaultKind::TimedOut,
            Self::Interrupted { .. } => FaultKind::Interrupted,
            Self::Unauthorized { .. } => FaultKind::Unauthorized,
            Self::TooManyRequests { .. } => FaultKind::TooManyRequests,
            Self::Unavailable { .. } => FaultKind::Unavailable,
            Self::Redirected { .. } => FaultKind::Redirected,
            Self::NotPrometheus { .. } => FaultKind::NotPrometheus,
            Self::Refused { .. } => FaultKind::Refused,
            Self::TooManySeries { .. } => FaultKind::TooManySeries,
            Self::NotNumbers { .. } | Self::Histogram => FaultKind::NotNumbers,
            Self::AnswerTooLarge { .. } | Self::TooMuch { .. } => FaultKind::TooLarge,
            Self::FromTheFuture { .. } => FaultKind::FromTheFuture,
            Self::Partial { .. } => FaultKind::Partial,
        }
    }

    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Unreachable { .. }
            | Self::TooManyRequests { .. }
            | Self::Unavailable { .. }
            | Self::Redirected { .. }
            | Self::NotPrometheus { .. }
            | Self::FromTheFuture { .. } => Scope::Server,
            // Gateways that know tenants refuse single queries with 403.
            Self::Unauthorized { status, .. } if *status == 401 => Scope::Server,
            _ => Scope::Query,
        }
    }

    /// Whether the same question may be answered at another time, or a smaller one now: Prometheus says so of a query
    /// that took too long, or too much memory, and of trouble of its own.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { kind, message } => {
                let passes = ["timeout", "canceled", "unavailable", "internal"];
                passes.contains(&kind.as_str()) || message.contains("too many samples")
            }
            Self::Partial { .. } => true,
            _ => false,
        }
    }

    /// How long the server asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}

/// The end of a message about a server that wants to be left alone.
fn after(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| {
        format!(", and to ask again in {} s", wait.as_secs())
    })
}
