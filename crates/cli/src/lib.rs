//! What the command lines share: how results and errors are printed, spans and moments as options.
#![forbid(unsafe_code)]

pub mod output;
pub mod time;
