//! The console: TypeScript, built by npm into `console/dist`, from where the server embeds it.

use std::path::Path;
use std::time::SystemTime;

use anyhow::bail;

use crate::shell;

/// The first Node that the console's build tools run on.
const NODE_MIN: (u32, u32) = (20, 19);

/// Whether there is a console now.
pub(crate) enum Outcome {
    /// It was built.
    Built,
    /// It was not, for this reason; the binary says so in its place.
    LeftOut(String),
}

impl Outcome {
    /// For whoever asked for the console and nothing else.
    pub(crate) fn required(self) -> anyhow::Result<()> {
        match self {
            Self::Built => Ok(()),
            Self::LeftOut(reason) => bail!("{reason}"),
        }
    }
}

/// Builds the console, after installing Node where that can be done without asking.
pub(crate) fn build() -> anyhow::Result<Outcome> {
    let folder = shell::root().join("console");
    if let Some(reason) = missing_node() {
        return Ok(Outcome::LeftOut(reason));
    }
    if !packages_are_current(&folder) {
        shell::run(shell::program("npm", ["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    shell::run(shell::program("npm", ["run", "build"]).current_dir(&folder))?;
    Ok(Outcome::Built)
}

/// Why the console cannot be built here; `None` when it can.
fn missing_node() -> Option<String> {
    if node().is_none() && shell::may_install_packages() {
        println!("    Node is missing: installing it with apt-get");
        // What is wrong with an install that failed is in its own output; what counts is whether Node is there now.
        let _ = shell::run(&mut shell::program("apt-get", ["update"]));
        let _ = shell::run(&mut shell::program(
            "apt-get",
            [
                "install",
                "--yes",
                "--no-install-recommends",
                "nodejs",
                "npm",
            ],
        ));
    }
    let (major, minor) = NODE_MIN;
    match node() {
        None => Some(format!(
            "Node is not installed: the console needs Node {major}.{minor} with npm"
        )),
        Some(found) if found < NODE_MIN => {
            let (old_major, old_minor) = found;
            Some(format!(
                "Node {old_major}.{old_minor} is too old: the console needs {major}.{minor} or newer"
            ))
        }
        Some(_) if shell::output_of(&mut shell::program("npm", ["--version"])).is_none() => {
            Some("npm is not installed: the console needs it beside Node".to_owned())
        }
        Some(_) => None,
    }
}

/// Major and minor version of Node.
fn node() -> Option<(u32, u32)> {
    let version = shell::output_of(&mut shell::program("node", ["--version"]))?;
    let mut numbers = version
        .strip_prefix('v')?
        .split('.')
        .map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// npm leaves a copy of the lock file where it has installed; an older one means that the packages are older.
fn packages_are_current(folder: &Path) -> bool {
    let time =
        |file: &str| -> Option<SystemTime> { folder.join(file).metadata().ok()?.modified().ok() };
    match (
        time("node_modules/.package-lock.json"),
        time("package-lock.json"),
    ) {
        (Some(installed), Some(locked)) => installed >= locked,
        _ => false,
    }
}
