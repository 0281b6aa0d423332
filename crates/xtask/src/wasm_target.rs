//! The compiler target of the policies.

use std::path::Path;

use anyhow::Context as _;

use crate::shell;

const TARGET: &str = "wasm32-unknown-unknown";

/// Adds the target where it is missing.
pub(crate) fn ensure() -> anyhow::Result<()> {
    if installed() {
        return Ok(());
    }
    shell::run(&mut shell::program("rustup", ["target", "add", TARGET])).with_context(|| {
        format!("the policies need Rust's target {TARGET}: install it with rustup, or from where this Rust came from")
    })
}

/// Asks the compiler, not rustup, so that a Rust of another origin counts as well.
fn installed() -> bool {
    let mut rustc = shell::program("rustc", ["--print", "target-libdir", "--target", TARGET]);
    shell::output_of(&mut rustc).is_some_and(|folder| Path::new(&folder).is_dir())
}
