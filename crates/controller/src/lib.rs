//! What all controllers share: objects kept by watches, the lease, bounded calls, one task for each object.
//!
//! It knows no kind of ours and decides nothing.
#![forbid(unsafe_code)]

pub mod call;
pub mod error;
pub mod index;
pub mod lease;
pub mod supervisor;
pub mod wakes;
