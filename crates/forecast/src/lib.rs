//! Forecasts of load: regular series in, calibrated quantiles of single bins and of window maxima out.
//!
//! [`fit`] learns from history, [`Model::predict`] answers at every tick, [`Calibration`] carries what truth has taught
//! since.
//!
//! Pure: `now` is an argument; nothing here reads a clock, draws a random number or does I/O.
#![forbid(unsafe_code)]

mod bases;
mod calendar;
mod calibration;
mod clock;
mod clock_spread;
mod coarsen;
mod config;
mod errors;
pub mod evaluate;
mod features;
mod forecast;
mod grid;
mod levels;
mod live;
mod median;
mod model;
mod past;
mod peaks;
mod pool;
mod pooled;
mod predict;
mod recalled;
mod ridge;
mod series;
mod simple;
mod skill;
mod spread;
#[cfg(test)]
mod tests;
mod track;
mod unfolded;
mod widening;

pub use calendar::{Calendar, UtcOffset};
pub use calibration::{Calibration, Issued};
pub use config::Config;
pub use forecast::{Forecast, Peak, PeakWindow, Request};
pub use model::{Member, Model, fit};
pub use series::{Sample, Series};
pub use unfolded::Unfolded;
