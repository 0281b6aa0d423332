//! What `build.rs` generates from `proto/`. Nothing of it is public.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::large_futures,
    clippy::use_self,
    reason = "generated code is not ours to polish"
)]

tonic::include_proto!("etcdserverpb");
