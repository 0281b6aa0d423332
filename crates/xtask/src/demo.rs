//! `cargo xtask demo`: from a clean clone to a running demo.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;

use crate::{console, policies, shell, wasm_target};

/// Builds everything and runs `foreshard demo` with these arguments.
pub(crate) fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let binary = build_release()?;
    println!("==> {} demo {}\n", binary.display(), args.join(" "));
    let status = Command::new(&binary)
        .arg("demo")
        .args(args)
        .current_dir(shell::root())
        .status()
        .with_context(|| format!("failed to start {}", binary.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Builds the policies, the console and the release binary with both inside; where the binary is.
pub(crate) fn build_release() -> anyhow::Result<PathBuf> {
    let begun = Instant::now();
    let step = |what: &str| println!("==> {what} (at {:.0} s)", begun.elapsed().as_secs_f64());
    step("1/3 policies");
    wasm_target::ensure()?;
    policies::build()?;
    step("2/3 console");
    if let console::Outcome::LeftOut(reason) = console::build()? {
        println!("    going on without the console: {reason}");
    }
    step("3/3 release binary (the first time takes minutes)");
    shell::run(&mut shell::cargo([
        "build",
        "--release",
        "--locked",
        "--package",
        "foreshard",
    ]))?;
    step("built");
    Ok(target_folder()?.join("release/foreshard"))
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> anyhow::Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .current_dir(shell::root())
        .no_deps()
        .exec()
        .context("failed to run cargo metadata")?;
    Ok(metadata.target_directory.into_std_path_buf())
}
