//! One module per subcommand.

pub(crate) mod backtest;
pub(crate) mod crds;
pub(crate) mod demo;
pub(crate) mod evaluate;
pub(crate) mod forecast;
pub(crate) mod operator;
pub(crate) mod policy;
