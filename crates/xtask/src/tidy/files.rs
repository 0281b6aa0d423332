//! Sizes, headers and words of files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::edges::PURE;
use crate::shell;

/// Most lines of a source file without its tests: what one head holds at once.
const LINES_MAX: usize = 600;

/// Crates whose work needs `unsafe`: loading code that was compiled before.
const UNSAFE_ALLOWED: &[&str] = &["foreshard-policy", "foreshard-policy-sdk"];

/// Folders that are not ours to judge.
const SKIPPED: &[&str] = &["target", "node_modules", "dist", ".git", "snapshots"];

pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let root = shell::root();
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut breaches = Vec::new();
    for path in &files {
        let Ok(text) = fs::read_to_string(path) else {
            continue; // not text: traces, pictures
        };
        let shown = path.strip_prefix(&root).unwrap_or(path);
        if let Some(breach) = check_size(shown, &text) {
            breaches.push(breach);
        }
        breaches.extend(check_words(shown, &text));
    }
    for folder in ["crates", "policies"] {
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                let name = entry.file_name().to_string_lossy().into_owned();
                breaches.extend(check_crate(folder, &name, &entry.path())?);
            }
        }
    }
    Ok(breaches)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                collect(&entry.path(), files)?;
            }
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Lines that are not tests: whole files of tests have none.
fn check_size(path: &Path, text: &str) -> Option<String> {
    let rust = path.extension().is_some_and(|extension| extension == "rs");
    let tests = path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs");
    if !rust || tests {
        return None;
    }
    let lines = text
        .lines()
        .take_while(|line| *line != "mod tests {")
        .count();
    (lines > LINES_MAX).then(|| {
        format!(
            "{}: {lines} lines, at most {LINES_MAX}: give its second noun a file of its own",
            path.display()
        )
    })
}

/// Paths of one person's machine have no place in a file that others run.
fn check_words(path: &Path, text: &str) -> Vec<String> {
    // Put together here, so that this file does not hold them.
    let words = [
        ["/wo", "rk/"].concat(),
        ["../sha", "red"].concat(),
        ["/home", "/"].concat(),
    ];
    let found = text.lines().enumerate().filter_map(|(i, line)| {
        let word = words.iter().find(|word| line.contains(word.as_str()))?;
        Some(format!(
            "{}:{}: `{word}` is a path of one machine",
            path.display(),
            i + 1
        ))
    });
    found.collect()
}

fn check_crate(folder: &str, name: &str, path: &Path) -> anyhow::Result<Vec<String>> {
    let root_file = ["src/lib.rs", "src/main.rs"]
        .iter()
        .map(|file| path.join(file))
        .find(|file| file.is_file());
    let Some(root_file) = root_file else {
        return Ok(vec![format!(
            "{folder}/{name}: has neither src/lib.rs nor src/main.rs"
        )]);
    };
    let text = fs::read_to_string(&root_file)?;
    let package = if folder == "crates" {
        format!("foreshard-{name}")
    } else {
        name.to_owned()
    };
    let mut breaches = Vec::new();
    if !text.starts_with("//!") {
        breaches.push(format!(
            "{folder}/{name}: the crate's first line says what it is for (`//! …`)"
        ));
    }
    let guest = folder == "policies";
    if !guest
        && !UNSAFE_ALLOWED.contains(&package.as_str())
        && !text.contains("#![forbid(unsafe_code)]")
    {
        breaches.push(format!(
            "{folder}/{name}: `#![forbid(unsafe_code)]` is missing"
        ));
    }
    if PURE.contains(&package.as_str()) {
        let bans = fs::read_to_string(path.join("clippy.toml")).unwrap_or_default();
        let template = include_str!("pure-clippy.toml");
        if bans != template {
            breaches.push(format!(
                "{folder}/{name}/clippy.toml: a pure crate holds the bans of crates/xtask/src/tidy/pure-clippy.toml, word for word"
            ));
        }
    }
    Ok(breaches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count_as_lines() {
        let long = "\n".repeat(LINES_MAX + 1);
        assert!(check_size(Path::new("a/src/b.rs"), &long).is_some());
        assert!(check_size(Path::new("a/src/b.rs"), &format!("mod tests {{\n{long}")).is_none());
        assert!(check_size(Path::new("a/src/b/tests.rs"), &long).is_none());
        assert!(check_size(Path::new("a/tests/b.rs"), &long).is_none());
        assert!(check_size(Path::new("a.csv"), &long).is_none());
    }

    #[test]
    fn machine_paths_are_found_by_line() {
        let text = format!("fine\nsee {}x\n", ["/wo", "rk/"].concat());
        assert_eq!(check_words(Path::new("README.md"), &text).len(), 1);
        assert!(check_words(Path::new("README.md"), "the work of sharing").is_empty());
    }
}
