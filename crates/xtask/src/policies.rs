//! Builds the policies in `policies/` as WebAssembly components: `target/policies/<name>.wasm`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "guest";
/// The guest that the policy host's tests load.
const HOSTILE: &str = "hostile";

/// Compiles every policy of the workspace for its own target and encodes it as a component.
pub(crate) fn build() -> anyhow::Result<()> {
    let root = workspace_root()?;
    let names = names(&root)?;
    let mut packages: Vec<String> = names.iter().map(|name| format!("policy-{name}")).collect();
    packages.push(format!("policy-{HOSTILE}"));
    let builds = root.join("target/policies-build");
    compile(&root, &packages, &builds)?;
    let out = root.join("target/policies");
    for name in &names {
        component(&builds, name, &out)?;
    }
    // Only the host's tests load this one, so nothing embeds it.
    component(&builds, HOSTILE, &out.join("test"))
}

/// Encodes what cargo built of a policy as `<name>.wasm` of a directory.
fn component(builds: &Path, name: &str, out: &Path) -> anyhow::Result<()> {
    let file = format!("policy_{}.wasm", name.replace('-', "_"));
    let component = encode(&builds.join(TARGET).join(PROFILE).join(file))?;
    fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
    let path = out.join(format!("{name}.wasm"));
    write_if_changed(&path, &component)?;
    println!("{} ({} KiB)", path.display(), component.len() / 1024);
    Ok(())
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .ancestors()
        .nth(2)
        .context("xtask is in crates/xtask of the workspace")?;
    Ok(root.to_owned())
}

/// The directories of `policies/` that are crates, sorted.
fn names(root: &Path) -> anyhow::Result<Vec<String>> {
    let directory = root.join("policies");
    let mut names = Vec::new();
    for entry in
        fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))?
    {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    ensure!(!names.is_empty(), "{} has no policies", directory.display());
    names.sort();
    Ok(names)
}

fn compile(root: &Path, packages: &[String], builds: &Path) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command.args(["build", "--lib", "--target", TARGET, "--profile", PROFILE]);
    command.arg("--target-dir").arg(builds);
    for package in packages {
        command.args(["--package", package]);
    }
    // The flags of whoever calls (coverage, sanitizers) are for the native build.
    for variable in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        command.env_remove(variable);
    }
    let status = command.status().context("run cargo")?;
    ensure!(
        status.success(),
        "the policies do not compile for {TARGET} (`rustup target add {TARGET}` adds the target)"
    );
    Ok(())
}

/// Wraps the core module that cargo built; the interface that it speaks is in a custom section of it.
fn encode(module: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = fs::read(module).with_context(|| format!("read {}", module.display()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("encode {} as a component", module.display()))
}

/// An unchanged file keeps its time, so nothing that embeds it is built again.
fn write_if_changed(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
