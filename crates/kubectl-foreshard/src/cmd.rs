//! One file for each command.

pub(crate) mod adopt;
pub(crate) mod approve;
pub(crate) mod backtest;
pub(crate) mod explain;
pub(crate) mod pause;
pub(crate) mod resume;
pub(crate) mod status;
