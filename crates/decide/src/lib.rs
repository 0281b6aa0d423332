//! The decision core: data quality, reactive floor, guardrails, plan and explanation.
//!
//! Pure: `now` is an argument, nothing here reads a clock, draws a random number, or does I/O, and nothing here can
//! fail: what is wrong becomes a finding.
#![forbid(unsafe_code)]

pub mod contract;
