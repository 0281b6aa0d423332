//! The whole collector in virtual time, against a server in memory.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which clippy does not see as such"
)]

mod fake;
mod faults;
mod pace;
mod series;

use std::time::Duration;

use super::*;
use fake::{Fake, T0};

/// Lets the collector work for so long.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn seconds(latest: Option<foreshard_forecast::Sample>) -> Option<i64> {
    latest.map(|sample| sample.at - T0)
}
