//! What nobody should upload, sent to an operator that runs as its users run it, on a real API server and a real
//! Prometheus: it is refused, it is told, and nobody else notices.
//!
//! Left out, and says so, where they are not built: `cargo xtask testbed build control-plane prometheus`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod bombs;
mod components;
mod latency;
mod operator;
mod refusals;
