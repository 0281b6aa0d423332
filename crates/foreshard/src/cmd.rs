//! One module per subcommand.

pub(crate) mod backtest;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod forecast;
pub(crate) mod policy;
