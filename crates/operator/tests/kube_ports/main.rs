//! The HTTP API in front of a real API server: who is let in, where modules are kept, what orders become.
//!
//! Left out, and says so, where it is not built: `cargo xtask testbed build control-plane`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod access;
mod cluster;
mod modules;
mod narrowed;
mod orders;
