//! One evaluation of one target: forecasts kept fitted and calibrated, policies asked, plan made.
#![forbid(unsafe_code)]

mod policies;

pub use policies::{Binding, Policies};
