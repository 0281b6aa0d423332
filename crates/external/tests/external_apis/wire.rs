//! The client that `build.rs` generates: KEDA's side of the same protocol.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::large_futures,
    clippy::use_self,
    reason = "generated code is not ours to polish"
)]

tonic::include_proto!("externalscaler");
