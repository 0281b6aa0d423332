//! Trace files and Prometheus range queries, as regular series with gaps and freshness marked.
//!
//! Two sources, one result: [`trace::read`] reads a csv file, [`prometheus::Source`] asks a server; both give a
//! [`foreshard_forecast::Series`] whose gaps are NaN and whose other values are finite. [`freshness::Freshness`] says
//! how far such a series can be trusted now.
//!
//! What is refused and what becomes a gap is decided here and nowhere else: a source that contradicts itself
//! (unsorted, duplicate or off-grid times, infinities in a file) is refused with the place and the fix; a source that
//! merely does not know (a missing row, an empty field, a scrape that failed) gives a gap. No value is ever invented.
#![forbid(unsafe_code)]

pub mod freshness;
pub mod prometheus;
pub mod trace;
