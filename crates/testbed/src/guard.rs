//! Ends a bed that a whole test process shares when that process ends, however it does.
//!
//! Rust runs no destructors of statics, and a killed process runs nothing at all. So a small program of this crate holds
//! the other end of a pipe: the kernel closes the pipe with the process, and that is when the program ends the bed.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::bed::{Bed, BedError};

/// The program's name; `src/main.rs` is it.
const PROGRAM: &str = "foreshard-testbed";

/// How long the dying process may hold on to the lock of its bed.
const LOCK_LIMIT: Duration = Duration::from_secs(30);

/// Has the bed end with this process.
///
/// # Errors
/// The program is not there and cannot be built.
pub fn watch(bed: &Bed) -> Result<(), BedError> {
    let program = find().or_else(|| build().and_then(|()| find()));
    let program = program.ok_or_else(|| BedError::Spawn {
        part: "the guard of the bed".to_owned(),
        program: PathBuf::from(PROGRAM),
        reason: io::Error::new(
            io::ErrorKind::NotFound,
            "run `cargo build --package foreshard-testbed`",
        ),
    })?;
    let mut child = Command::new(&program)
        .args(["guard", bed.name()])
        // Out of the way of a Ctrl-C, which is for the tests: the guard has its work then.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|reason| BedError::Spawn {
            part: "the guard of the bed".to_owned(),
            program,
            reason,
        })?;
    // Never closed by us: the pipe lives exactly as long as this process.
    std::mem::forget(child.stdin.take());
    Ok(())
}

/// What the guard does: waits for the end of its input, then ends the bed.
///
/// # Errors
/// What is left behind.
pub fn run(name: &str) -> Result<(), BedError> {
    // Whatever comes is ignored; only the end counts.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    let begun = Instant::now();
    loop {
        match Bed::open(name) {
            Ok(bed) => return bed.down(),
            // Ended in good order.
            Err(BedError::Unknown { .. }) => return Ok(()),
            Err(BedError::InUse { .. }) if begun.elapsed() < LOCK_LIMIT => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Beside the tests' own programs, which cargo puts into `deps`.
fn find() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(PROGRAM))
        .find(|program| program.is_file())
}

/// Where only another crate's tests were built, nobody has built it yet.
fn build() -> Option<()> {
    let cargo = env::var_os("CARGO")?;
    let own = env::current_exe().ok()?;
    // target/debug/deps/NAME
    let target = own.ancestors().nth(3)?;
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", PROGRAM, "--bin", PROGRAM])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .status();
    status.ok()?.success().then_some(())
}
