//! The scaling controllers on a real API server and a real Prometheus.
//!
//! Left out, and says so, where they are not built: `cargo xtask testbed build control-plane prometheus`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod acting;
mod aggregation;
mod broken;
mod definitions;
mod external;
mod failover;
mod faults;
mod held;
mod kubelet;
mod learning;
mod load;
mod malformed;
mod modules;
mod quality;
mod relay;
mod rights;
mod skewed;
mod slow;
mod stage;
mod trouble;
mod unanswered;
