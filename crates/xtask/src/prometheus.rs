//! A real Prometheus for the tests of `foreshard-history`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context as _, bail};

use crate::shell;

/// Where the tests look for it besides the PATH.
pub(crate) const FOLDER_VARIABLE: &str = "FORESHARD_PROMETHEUS_DIR";

/// A folder with `prometheus` and `promtool`, unless they are on the PATH.
pub(crate) fn ensure() -> anyhow::Result<Option<PathBuf>> {
    let complete = |folder: &PathBuf| {
        ["prometheus", "promtool"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let path: OsString = env::var_os(FOLDER_VARIABLE)
        .or_else(|| env::var_os("PATH"))
        .unwrap_or_default();
    if env::split_paths(&path).any(|folder| complete(&folder)) {
        return Ok(None);
    }
    let folder = shell::root().join("target/tools/prometheus");
    let programs = folder.join("usr/bin");
    if !complete(&programs) {
        unpack_package(&folder)?;
    }
    if !complete(&programs) {
        bail!("the package of this system holds no `prometheus` and `promtool`");
    }
    Ok(Some(programs))
}

/// Unpacks the system's package beside the build: nothing is installed and no service starts.
fn unpack_package(folder: &PathBuf) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let download =
        || shell::run(shell::program("apt-get", ["download", "prometheus"]).current_dir(folder));
    if download().is_err() {
        if !shell::may_install_packages() {
            bail!(
                "`prometheus` and `promtool` are not on the PATH, and apt-get cannot download them"
            );
        }
        shell::run(&mut shell::program("apt-get", ["update"]))?;
        download()?;
    }
    for entry in fs::read_dir(folder)? {
        let package = entry?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            shell::run(
                shell::program(
                    "dpkg",
                    [
                        "--extract".as_ref(),
                        package.as_os_str(),
                        folder.as_os_str(),
                    ],
                )
                .current_dir(folder),
            )?;
            fs::remove_file(&package)?;
        }
    }
    Ok(())
}
