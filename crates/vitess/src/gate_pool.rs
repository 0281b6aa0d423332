//! The gateways of a cell.

pub(crate) mod build;
pub(crate) mod worker;
