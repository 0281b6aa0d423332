//! The binary as a user runs it: bad input ends with a message that helps and the right exit code, good input with a
//! document that means what it says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod bad_input;
mod demo;
mod forecast;
mod support;
mod surface;
