//! Picks up the components that `cargo xtask policies` builds.

use std::{env, fmt::Write as _, fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let here = variable("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&here)
        .ancestors()
        .nth(2)
        .ok_or("this crate is not in a workspace")?;
    let built = root.join("target/policies");
    println!("cargo::rerun-if-changed={}", built.display());
    println!(
        "cargo::rerun-if-changed={}",
        root.join("policies").display()
    );
    let mut code = String::from("pub(crate) const ALL: &[(&str, &[u8])] = &[\n");
    for name in names(&root.join("policies"))? {
        let component = built.join(format!("{name}.wasm"));
        if !component.is_file() {
            return Err(format!(
                "{} is missing: run `cargo xtask policies` first",
                component.display()
            ));
        }
        println!("cargo::rerun-if-changed={}", component.display());
        // Writing into a string does not fail.
        let _ = writeln!(
            code,
            "    ({name:?}, include_bytes!({:?})),",
            component.display().to_string()
        );
    }
    code.push_str("];\n");
    let out = Path::new(&variable("OUT_DIR")?).join("policies.rs");
    fs::write(&out, code).map_err(|error| format!("{}: {error}", out.display()))
}

fn names(policies: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", policies.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(policies).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
