//! `cargo xtask tidy`: the house rules that neither compiler nor clippy checks.

mod edges;
mod files;

use anyhow::bail;

use crate::generate;

/// Checks all rules and lists every breach at once.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut breaches = edges::check()?;
    breaches.extend(files::check()?);
    breaches.extend(generate::breaches()?);
    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    if !breaches.is_empty() {
        bail!(
            "{} breach(es) of the house rules; STYLE.md says why they are there",
            breaches.len()
        );
    }
    println!("    crate edges, file sizes, headers, words and generated files are in order");
    Ok(())
}
