//! How a scaling policy is judged on a recorded load: the replay model, version 1.
//!
//! A [`World`] is one trace at one lag: the demand at each whole minute of its second half, what a policy may see of it,
//! and how much one instance serves. [`play()`] lives a [`Scaler`] through it and gives the [`Run`]; [`Peers`] are the
//! policies every result is held against; [`Report`] puts both into [`Figures`]; [`Summary`] joins several traces; and
//! [`Timeline`] holds what is needed to recompute every figure of the user's policy.
//!
//! Counts from loads are `ceil(x - 1e-9)` and comparisons carry the same slack, always in units of instances, so that
//! results do not hang on the unit of the load. Percentiles are by linear interpolation.

mod count;
mod figures;
mod fleet;
mod ledger;
mod options;
mod peers;
mod play;
mod report;
mod summary;
mod timeline;
mod window;
mod world;

pub use count::{MAX_INSTANCES, MIN_INSTANCES, TARGET_UTILIZATION};
pub use figures::Figures;
pub use fleet::{Fleet, Pending};
pub use options::{MAX_LAG_SECONDS, Options, ReplayError};
pub use peers::{EqualCost, Peers, Rule};
pub(crate) use play::Life;
pub use play::{Run, Scaler, View, play};
pub use report::{EQUAL_COST, MODEL, PolicyFigures, Report};
pub use summary::{PolicySummary, Ratio, Ratios, Summary};
pub use timeline::{Row, Timeline};
pub use world::{TICK_SECONDS, World};
