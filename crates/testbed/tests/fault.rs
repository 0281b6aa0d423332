//! Faults on beds of harmless programs: each is there, and is undone.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not see as such"
)]

use std::fs;
use std::time::Duration;

use foreshard_testbed::fault::{Corrupted, FaultError, FilledDisk, Killed, Paused, SmallDisk};
use foreshard_testbed::{Bed, Identity, PartSpec, home};

const LIMIT: Duration = Duration::from_secs(20);
const MIB: u64 = 1024 * 1024;

fn sleeper(bed: &mut Bed) -> Identity {
    bed.spawn(PartSpec::new("sleeper", "/bin/sleep").arg("1000"))
        .unwrap();
    bed.process("sleeper").unwrap()
}

/// The state letter of a process: `S` sleeps, `T` is stopped.
fn state(process: Identity) -> Result<String, String> {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.pid))
        .map_err(|error| error.to_string())?;
    let (_, after_name) = text.rsplit_once(") ").unwrap();
    Ok(after_name[..1].to_owned())
}

fn await_state(bed: &mut Bed, process: Identity, letter: &str) {
    let what = format!("being in state {letter}");
    bed.wait_until("sleeper", &what, LIMIT, || {
        let seen = state(process)?;
        (seen == letter).then_some(()).ok_or(seen)
    })
    .unwrap();
}

#[test]
fn a_paused_part_goes_on() {
    let mut bed = Bed::unique("paused").unwrap();
    let process = sleeper(&mut bed);
    let paused = Paused::part(&bed, "sleeper").unwrap();
    await_state(&mut bed, process, "T");
    drop(paused);
    await_state(&mut bed, process, "S");
}

#[test]
fn a_killed_part_is_started_again() {
    let mut bed = Bed::unique("killed").unwrap();
    let first = sleeper(&mut bed);
    let killed = Killed::part(&mut bed, "sleeper").unwrap();
    assert!(!first.is_alive());
    drop(killed);
    let second = bed.process("sleeper").unwrap();
    assert!(second.is_alive());
    assert_ne!(first, second);

    let killed = Killed::part(&mut bed, "sleeper").unwrap();
    killed.restart().unwrap();
    assert!(!second.is_alive());
    assert!(bed.process("sleeper").unwrap().is_alive());
}

#[test]
fn a_full_disk_has_room_again() {
    if !home::is_root() {
        println!("LEFT OUT: a full disk: a disk of its own needs root");
        return;
    }
    let bed = Bed::unique("filled").unwrap();
    let folder = bed.subfolder("small", None).unwrap();
    let disk = SmallDisk::mount(&folder, 4 * MIB).unwrap();
    let half = vec![7; 2 * MIB as usize];
    let filled = FilledDisk::fill(&folder, MIB, 4 * MIB).unwrap();
    let error = fs::write(folder.join("file"), &half).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    drop(filled);
    fs::write(folder.join("file"), &half).unwrap();
    drop(disk);
    assert!(!folder.join("file").exists());
    bed.down().unwrap();
}

#[test]
fn the_machines_own_disk_is_not_filled() {
    let folder = tempfile::tempdir().unwrap();
    let error = FilledDisk::fill(folder.path(), 0, MIB).unwrap_err();
    assert!(matches!(error, FaultError::TooMuch { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_corrupted_file_is_whole_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "0123456789").unwrap();
    let corrupted = Corrupted::bytes(&path, 8, 100).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[..8], *b"01234567");
    assert_eq!(bytes[8..], [!b'8', !b'9']);
    drop(corrupted);
    assert_eq!(fs::read(&path).unwrap(), b"0123456789");
    let error = Corrupted::bytes(&path, 10, 1).unwrap_err();
    assert!(matches!(error, FaultError::Beyond { .. }), "{error}");
}
