//! Forecasts of load: regular series in, calibrated quantiles of single bins and of window maxima out.
//!
//! [`fit`] learns from history, [`Model::predict`] answers at every tick, [`Calibration`] carries what truth has taught
//! since.
//!
//! Pure: `now` is an argument; nothing here reads a clock, draws a random number or does I/O.
#![forbid(unsafe_code)]

mod calendar;
mod calibration;
mod config;
mod forecast;
mod model;
mod series;
mod simple;

pub use calendar::{Calendar, UtcOffset};
pub use calibration::{Calibration, Issued};
pub use config::Config;
pub use forecast::{Forecast, Peak, PeakWindow, Request};
pub use model::{Member, Model, fit};
pub use series::{Sample, Series};
