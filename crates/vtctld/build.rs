//! Compiles `proto/` without `protoc`, which a user's machine need not have.

use std::path::PathBuf;

use anyhow::Context as _;
use prost::Message as _;

const PROTO_DIR: &str = "proto";
const ROOT_FILES: [&str; 2] = ["vtctlservice.proto", "vtgateservice.proto"];

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    let mut descriptors =
        protox::compile(ROOT_FILES, [PROTO_DIR]).context("failed to compile proto/")?;
    tonic_prost_build::configure()
        // The servers are what tests stand false ones on.
        .server_mod_attribute(".", "#[cfg(any(test, feature = \"stand-in\"))]")
        .generate_default_stubs(true)
        .btree_map(".")
        .compile_fds(descriptors.clone())
        .context("failed to generate code from proto/")?;

    // Comments were needed for the code only.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let folder = std::env::var_os("OUT_DIR").context("OUT_DIR is set by cargo")?;
    std::fs::write(
        PathBuf::from(folder).join("descriptors.bin"),
        descriptors.encode_to_vec(),
    )
    .context("failed to write the descriptors")
}
