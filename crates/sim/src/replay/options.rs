//! What a replay is asked, and why it may be refused.

/// The longest lag that can be replayed, in seconds: yesterday's load must already be known where a peer looks at it.
pub const MAX_LAG_SECONDS: i64 = 23 * 3600;

/// What a replay is asked beside the trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// From the order of an instance to its being ready, in seconds, 0 to [`MAX_LAG_SECONDS`]; rounded up to whole
    /// minutes.
    pub lag_seconds: i64,
    /// Load that one instance serves, in the trace's unit; above 0. Without it, the 99.9th percentile of the run's
    /// demand takes 40 instances at 70 %.
    pub capacity: Option<f64>,
    /// Seed of the shuffles of the peer `crane`.
    pub seed: u64,
}

/// Why a trace cannot be replayed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The trace holds no value.
    #[error("the trace holds no value: give one with samples in it")]
    NoValues,
    /// The second half is not longer than the time that the world takes to settle.
    #[error(
        "the trace spans {span_seconds} s, and of its second half the first two hours are not scored: \
         give a trace of more than 4 hours"
    )]
    TooShort {
        /// From the first bin's begin to the last bin's end, in seconds.
        span_seconds: i64,
    },
    /// The lag is negative or too long.
    #[error("the lag is {lag_seconds} s: give one from 0 to 23 hours")]
    Lag {
        /// The lag asked for, in seconds.
        lag_seconds: i64,
    },
    /// The given capacity is no positive number.
    #[error("the capacity of an instance is {capacity}: give a number above 0")]
    Capacity {
        /// The capacity asked for.
        capacity: f64,
    },
    /// The load is so low that no capacity follows from it.
    #[error(
        "the load of the second half is not above 0 (99.9th percentile: {percentile}), so no capacity of an \
         instance follows from it: give one with --capacity"
    )]
    NoLoad {
        /// The 99.9th percentile of the run's demand.
        percentile: f64,
    },
    /// The step of the trace is no positive number of seconds.
    #[error("the trace has a step of {step_seconds} s: give one of at least 1 s")]
    Step {
        /// The step, in seconds.
        step_seconds: i64,
    },
}
