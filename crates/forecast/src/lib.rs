//! Forecasts of load: regular series in, calibrated quantiles of single bins and of window maxima out.
//!
//! Pure: `now` is an argument; nothing here reads a clock, draws a random number or does I/O.
#![forbid(unsafe_code)]

mod calendar;
mod forecast;
mod series;

pub use calendar::{Calendar, UtcOffset};
pub use forecast::{Forecast, Peak, PeakWindow, Request};
pub use series::{Sample, Series};
