//! What can go wrong with a range query, and how to mend it.

/// Why a series could not be fetched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// The URL is not one.
    #[error(
        "`{url}` is not the URL of a Prometheus: {reason}; write it like http://127.0.0.1:9090"
    )]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A step below one second.
    #[error("the step of {step} s is too short: it must be at least 1 s")]
    Step {
        /// As given.
        step: i64,
    },
    /// Not one whole bin between the ends.
    #[error(
        "from {from} to {to} (Unix seconds) is less than one step of {step} s: widen the range or shorten the step"
    )]
    Range {
        /// Unix seconds.
        from: i64,
        /// Unix seconds.
        to: i64,
        /// Seconds.
        step: i64,
    },
    /// More bins than are worth fetching.
    #[error(
        "the range has {bins} steps, and the limit is {bins_max}: shorten the range or lengthen the step"
    )]
    TooLong {
        /// Bins asked for.
        bins: i64,
        /// The limit.
        bins_max: i64,
    },
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
    /// The connection broke while the answer came.
    #[error("the answer of {url} broke off: {reason}; try again")]
    Interrupted {
        /// Where.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Too slow.
    #[error(
        "{url} did not answer within {seconds} s: allow more time, shorten the range, or record the expression by a rule"
    )]
    TimedOut {
        /// Where.
        url: String,
        /// The time allowed for one request.
        seconds: f64,
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
    /// Prometheus refused the query.
    #[error("Prometheus refused the query `{promql}`: {kind}: {message}")]
    Refused {
        /// The expression.
        promql: String,
        /// Its own word for the kind of error.
        kind: String,
        /// Its message.
        message: String,
    },
    /// The expression gives numbers without labels, or text.
    #[error(
        "the query `{promql}` gives a {kind}, not a series: name a metric, such as sum(rate(requests_total[5m]))"
    )]
    NotASeries {
        /// The expression.
        promql: String,
        /// `scalar` or `string`.
        kind: String,
    },
    /// Nothing matched.
    #[error(
        "the query `{promql}` gives no value in this range: check the metric's name, the labels and the range"
    )]
    NoSeries {
        /// The expression.
        promql: String,
    },
    /// More than one series.
    #[error(
        "the query `{promql}` gives more than one series ({examples}): add them up with sum(…) or choose one by its labels"
    )]
    TooManySeries {
        /// The expression.
        promql: String,
        /// Labels of the first ones.
        examples: String,
    },
    /// The series of a later request is another one.
    #[error("the query gives {first} first and {then} later in the range: add them up with sum(…)")]
    SeriesChanged {
        /// Labels of the first series.
        first: String,
        /// Labels of the later one.
        then: String,
    },
    /// An answer beyond any that one series needs.
    #[error(
        "the answer to `{promql}` is larger than {} MiB, so it holds far more than one series: add them up with sum(…)",
        super::ANSWER_BYTES_MAX >> 20
    )]
    AnswerTooLarge {
        /// The expression.
        promql: String,
    },
}
