//! Compiles `proto/` without `protoc`, which a user's machine need not have.

use anyhow::Context as _;

const PROTO_DIR: &str = "proto";
const FILE: &str = "externalscaler.proto";

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    let descriptors = protox::compile([FILE], [PROTO_DIR]).context("failed to compile proto/")?;
    tonic_prost_build::configure()
        // The client is what the tests ask with, as KEDA does.
        .client_mod_attribute(".", "#[cfg(test)]")
        .btree_map(".")
        .compile_fds(descriptors)
        .context("failed to generate code from proto/")
}
