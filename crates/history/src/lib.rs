//! Trace files and Prometheus range queries, as regular series with gaps marked.
//!
//! [`collector`] keeps many live signals of one server fresh. For what is read once there are
//! two sources, one result: [`trace::read`] reads a csv file, [`prometheus::Source`] asks a server; both give a
//! [`foreshard_forecast::Series`] whose gaps are NaN and whose other values are finite. How old the newest value is can be
//! read off the gap at its end; what that means is for the decision core.
//!
//! What is refused and what becomes a gap is decided here and nowhere else: a source that contradicts itself
//! (unsorted, duplicate or off-grid times, infinities in a file) is refused with the place and the fix; a source that
//! merely does not know (a missing row, an empty field, a scrape that failed) gives a gap. No value is ever invented.
#![forbid(unsafe_code)]

pub mod collector;
pub mod prometheus;
mod text;
pub mod trace;
