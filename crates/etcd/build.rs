//! Compiles `proto/` without `protoc`, which a user's machine need not have.

use anyhow::Context as _;

const PROTO_DIR: &str = "proto";
const ROOT_FILE: &str = "rpc.proto";

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    let descriptors =
        protox::compile([ROOT_FILE], [PROTO_DIR]).context("failed to compile proto/")?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors)
        .context("failed to generate code from proto/")
}
