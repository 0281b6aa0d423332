//! Rolling-origin accuracy: what the forecasts would have been, scored against what came.
//!
//! The protocol: origins evenly over the tail of a series, at most 28 days of history, 24 hours ahead at the native
//! step; scored over the first hour and over the day, relative to seasonal-naive-week.

mod naive;
mod origins;
mod run;
mod score;
mod summary;

#[cfg(test)]
mod tests;

pub use naive::seasonal_naive;
pub use origins::origins;
pub use run::{Issue, PeakIssue, Protocol, TraceRun, run};
pub use score::{LEVELS, PathScore, PeakScore, path_score, peak_score};
pub use summary::{Group, PathSummary, PeakSummary, PeakVerdict, summarise_paths, summarise_peaks};
