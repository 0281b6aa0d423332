//! The plugin as a user runs it, on a real API server with our definitions, roles and admission policy.
//!
//! Left out, and says so, where they are not built: `cargo xtask testbed build control-plane prometheus`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod adopting;
mod approving;
mod backtesting;
mod cluster;
mod operating;
mod run;
mod showing;
