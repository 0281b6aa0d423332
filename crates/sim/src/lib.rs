//! The replay model, its peer policies, and a Vitess cluster in virtual time.
//!
//! Nothing here reads a clock or does I/O: loads come as [`foreshard_forecast::Series`], and the only randomness (the
//! shuffles of one peer) follows a seed.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod replay;
mod user;

pub use user::{Trust, User};

#[cfg(test)]
mod replay_testing;
