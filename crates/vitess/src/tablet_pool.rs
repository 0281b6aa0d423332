//! Tablets of one type of one shard in one cell: a pod and a volume for each.
//!
//! [`plan`] and [`build`] are pure. A volume is made only while its shard has no data: later, an empty one would be a
//! replica without rows, so that growing needs a source of data, and without one it is refused.

pub mod build;
pub mod plan;
pub(crate) mod status;
pub(crate) mod worker;
