//! `cargo xtask tidy`: the house rules that neither compiler nor clippy checks.

mod edges;
mod files;

use anyhow::bail;

/// Checks all rules and lists every breach at once.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut breaches = edges::check()?;
    breaches.extend(files::check()?);
    for breach in &breaches {
        eprintln!("tidy: {breach}");
    }
    if !breaches.is_empty() {
        bail!(
            "{} breach(es) of the house rules; STYLE.md says why they are there",
            breaches.len()
        );
    }
    println!("    crate edges, file sizes, headers and words are in order");
    Ok(())
}
