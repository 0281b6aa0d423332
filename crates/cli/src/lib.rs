//! What the command lines share: how results and errors are printed, the words of others, spans and moments as options.
#![forbid(unsafe_code)]

pub mod output;
pub mod text;
pub mod time;
