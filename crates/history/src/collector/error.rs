//! What is refused before anything is sent.

/// Why a source cannot be used as configured. No text in it holds a credential.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The URL is not one, or holds credentials.
    #[error("url: `{url}` cannot be used: {reason}; write it like https://example.com/prometheus")]
    Url {
        /// As given, without its credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A field that cannot be used.
    #[error("{field}: {reason}")]
    Field {
        /// The field, such as `tls.authorities_pem`.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}

/// Why a query is not watched.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// An empty or overlong text.
    #[error("the query has {bytes} bytes: it must have 1 to {bytes_max}")]
    Length {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A matcher is enforced, and the query cannot be read to put it in.
    #[error(
        "the query cannot be read, so that `{label}=\"{value}\"`, which this source enforces, cannot be put in: {reason}"
    )]
    Unreadable {
        /// The enforced label.
        label: String,
        /// Its value.
        value: String,
        /// What the parser says.
        reason: String,
    },
    /// A selector asks for other series than those enforced.
    #[error(
        "the query selects `{found}`, and this source enforces `{label}=\"{value}\"`: leave the label out"
    )]
    OtherTenant {
        /// The matcher in the query.
        found: String,
        /// The enforced label.
        label: String,
        /// Its value.
        value: String,
    },
    /// Something that reads series without a selector of its own.
    #[error(
        "the query uses {what}, which cannot be narrowed to `{label}=\"{value}\"`: leave it out"
    )]
    Unenforceable {
        /// The function or construct.
        what: String,
        /// The enforced label.
        label: String,
        /// Its value.
        value: String,
    },
    /// One too many.
    #[error(
        "{signals_max} signals are watched already: raise the source's limit of signals, or watch fewer"
    )]
    TooManySignals {
        /// The limit.
        signals_max: usize,
    },
    /// The collector has ended.
    #[error("the collector has ended")]
    Ended,
}
