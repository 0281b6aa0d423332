//! The recipe for programs of Go modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DebianPackages, GoModule, Job, PartError, debian, toolchain};

/// What the programs follow from. The compiler's version is part of it.
pub(super) fn inputs(module: &GoModule, go_version: &str) -> Vec<String> {
    vec![
        go_version.to_owned(),
        std::env::consts::ARCH.to_owned(),
        module.go_mod.to_owned(),
        module.go_sum.to_owned(),
        module.packages.join(" "),
        module.tags.to_owned(),
        module.link_flags.to_owned(),
        module.cgo.to_string(),
        format!(
            "{:?} {:?}{}",
            module.renamed,
            module.files,
            module.libraries.join(" ")
        ),
    ]
}

/// Builds the programs into `bin/` of the folder, and takes files of modules along into `share/`.
pub(super) fn make(job: &mut Job<'_>, module: &GoModule, into: &Path) -> Result<(), PartError> {
    let go = toolchain::go().ok_or_else(|| PartError::GoMissing("none on the PATH".to_owned()))?;
    let source = into.join("module");
    fs::create_dir_all(&source).map_err(PartError::file(&source))?;
    for (name, text) in [("go.mod", module.go_mod), ("go.sum", module.go_sum)] {
        let path = source.join(name);
        fs::write(&path, text).map_err(PartError::file(&path))?;
    }
    job.step("fetching modules");
    job.run(go_command(&go, &source, module).args(["mod", "download"]))?;
    let libraries = into.join("libraries");
    if !module.libraries.is_empty() {
        debian::make(job, &headers(module), &libraries)?;
    }
    job.step("compiling");
    let bin = into.join("bin");
    let mut install = go_command(&go, &source, module);
    install
        .env("GOBIN", &bin)
        .args(["install", "-trimpath"])
        .arg(format!("-ldflags=-s -w {}", module.link_flags));
    if !module.tags.is_empty() {
        install.args(["-tags", module.tags]);
    }
    if !module.libraries.is_empty() {
        let root = libraries.join("root");
        let described = root.join(format!(
            "usr/lib/{}-linux-gnu/pkgconfig",
            std::env::consts::ARCH
        ));
        install
            .env("PKG_CONFIG_PATH", described)
            .env("PKG_CONFIG_SYSROOT_DIR", root);
    }
    job.run(install.args(module.packages))?;
    if !module.libraries.is_empty() {
        fs::remove_dir_all(&libraries).map_err(PartError::file(&libraries))?;
    }
    for (from, to) in module.renamed {
        let (from, to) = (bin.join(from), bin.join(to));
        fs::rename(&from, &to).map_err(PartError::file(&from))?;
    }
    for (name, paths) in module.files {
        take_files(&go, &source, module, name, paths, into)?;
    }
    Ok(())
}

/// What the C code is compiled with; it is linked in, so it need not stay.
fn headers(module: &GoModule) -> DebianPackages {
    DebianPackages {
        packages: module.libraries,
        split_off: &[],
        release: "bookworm",
        own_libraries: false,
        programs: &[],
    }
}

/// Copies files of a module under their last names.
fn take_files(
    go: &Path,
    source: &Path,
    module: &GoModule,
    name: &str,
    paths: &[&str],
    into: &Path,
) -> Result<(), PartError> {
    let output = go_command(go, source, module)
        .args(["list", "-m", "-f", "{{.Dir}}", name])
        .output()
        .map_err(PartError::file(go))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let share = into.join("share");
    fs::create_dir_all(&share).map_err(PartError::file(&share))?;
    for path in paths {
        let from = folder.join(path);
        let Some(last) = from.file_name() else {
            continue;
        };
        // Read and written: a copy would keep Go's "nobody may write".
        let text = fs::read(&from).map_err(PartError::file(&from))?;
        let to = share.join(last);
        fs::write(&to, text).map_err(PartError::file(&to))?;
    }
    Ok(())
}

/// `go`, as it must be whatever the user set: pinned versions only, no workspace of theirs.
fn go_command(go: &Path, source: &Path, module: &GoModule) -> Command {
    let mut command = Command::new(go);
    command
        .current_dir(source)
        .env("GOWORK", "off")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("CGO_ENABLED", if module.cgo { "1" } else { "0" });
    command
}
