//! Parts of a bed as files: built from pinned sources once, cached by what they were built from, found again.

mod cache;
mod debian;
mod error;
mod go;
mod loader;
mod output;
mod table;
mod toolchain;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::home;
use cache::Entry;
pub use cache::last_duration;
pub use error::PartError;
use output::Log;
pub use table::{CONTROL_PLANE, PARTS, Part};

/// How a part comes into being.
#[derive(Debug)]
pub enum Recipe {
    /// Programs of Go modules, at the versions that a checked-in `go.mod` pins.
    Go(GoModule),
    /// Packages of Debian, unpacked and not installed.
    Debian(DebianPackages),
    /// Anything else that can be made by code.
    Custom(Custom),
}

/// Programs of Go modules.
#[derive(Debug)]
pub struct GoModule {
    /// The checked-in `go.mod`, whose `tool` lines are the pinned programs.
    pub go_mod: &'static str,
    /// The checked-in `go.sum`.
    pub go_sum: &'static str,
    /// The packages to build of them.
    pub packages: &'static [&'static str],
    /// Build tags.
    pub tags: &'static str,
    /// Flags for the linker beside `-s -w`.
    pub link_flags: &'static str,
    /// Whether C code is part of it; needs a C compiler.
    pub cgo: bool,
    /// Packages of Debian with headers and libraries that its C code is compiled with.
    pub libraries: &'static [&'static str],
    /// Programs to rename, from and to, where the package's name says nothing.
    pub renamed: &'static [(&'static str, &'static str)],
    /// Files to take along from modules: module, then paths in it; they come into `share/`.
    pub files: &'static [(&'static str, &'static [&'static str])],
}

/// Packages of Debian.
#[derive(Debug)]
pub struct DebianPackages {
    /// Their names.
    pub packages: &'static [&'static str],
    /// Packages that some releases have split off from those, and others know nothing of.
    pub split_off: &'static [&'static str],
    /// The release to take them from, where this system is a Debian; other systems give their own.
    pub release: &'static str,
    /// Whether all that they depend on comes along, down to the C library, because this system's may be older.
    pub own_libraries: bool,
    /// The programs that must be there afterwards, by name.
    pub programs: &'static [&'static str],
}

/// A part made by code.
#[derive(Debug)]
pub struct Custom {
    /// What the result follows from, such as names and versions: another text is another part.
    pub inputs: &'static str,
    /// Fills the folder. Output of commands goes to the job.
    pub make: fn(&mut Job<'_>, &Path) -> Result<(), PartError>,
}

/// A part that is there.
#[derive(Debug, Clone)]
pub struct Built {
    folder: PathBuf,
}

impl Built {
    /// Its folder; nothing in it is to be changed.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of its programs, by name.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

/// What a build tells while it goes on, about once a second and at its end.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The part.
    pub part: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What is going on, in words.
    pub step: String,
    /// Since the part was begun.
    pub elapsed: Duration,
    /// How long it took when it was last built here.
    pub last: Option<Duration>,
    /// How many parts wait after this one.
    pub left: usize,
    /// Whether the part is done.
    pub done: bool,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, version, step) = (self.part, self.version, &self.step);
        write!(f, "{part} {version}: {step}, {}", clock(self.elapsed))?;
        if let Some(last) = self.last.filter(|_| !self.done) {
            write!(f, " (last time {})", clock(last))?;
        }
        match self.left {
            0 => Ok(()),
            1 => f.write_str("; 1 part left"),
            left => write!(f, "; {left} parts left"),
        }
    }
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// One part being made: where its output goes, and whom to tell.
pub struct Job<'a> {
    progress: Progress,
    begun: Instant,
    log: Log,
    tell: &'a mut dyn FnMut(&Progress),
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Job<'_> {
    /// The part's name.
    #[must_use]
    pub fn part(&self) -> &'static str {
        self.progress.part
    }

    /// Says what comes next, in words such as `compiling`.
    pub fn step(&mut self, step: impl Into<String>) {
        self.progress.step = step.into();
        self.tell();
    }

    fn tell(&mut self) {
        self.progress.elapsed = self.begun.elapsed();
        (self.tell)(&self.progress);
    }
}

/// Parts by name; a name of a group stands for its parts; none at all for every part.
///
/// # Errors
/// A name that is neither, with the names that there are.
pub fn select(names: &[String]) -> Result<Vec<&'static Part>, PartError> {
    if names.is_empty() {
        return Ok(PARTS.iter().collect());
    }
    let mut chosen: Vec<&'static Part> = Vec::new();
    for name in names {
        let found: Vec<_> = PARTS
            .iter()
            .filter(|part| part.name == name || part.beds.contains(&name.as_str()))
            .collect();
        if found.is_empty() {
            return Err(PartError::unknown(name));
        }
        for part in found {
            if !chosen.iter().any(|other| other.name == part.name) {
                chosen.push(part);
            }
        }
    }
    // In the table's order: what fast tests need comes first.
    chosen.sort_by_key(|part| PARTS.iter().position(|other| other.name == part.name));
    Ok(chosen)
}

/// A part that was built before; nothing is built.
///
/// # Errors
/// An unknown name; a part that is not there, or is damaged: what to run. With `FORESHARD_TESTBED=off` there is none.
pub fn find(name: &str) -> Result<Built, PartError> {
    let part = table::by_name(name)?;
    if std::env::var_os("FORESHARD_TESTBED").is_some_and(|value| value == "off") {
        return Err(PartError::Off);
    }
    let missing = || PartError::NotBuilt { part: part.name };
    // Without its tools nothing can be said about what it would be built from.
    let digest = digest(part).map_err(|_| missing())?;
    Entry::new(part.name, &digest).find().ok_or_else(missing)
}

/// Builds what is not there yet, one part after another.
///
/// # Errors
/// The first part that could not be built, and what to do about it.
pub fn build(
    parts: &[&'static Part],
    tell: &mut dyn FnMut(&Progress),
) -> Result<Vec<Built>, PartError> {
    let mut built = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        built.push(build_one(part, parts.len() - 1 - i, tell)?);
    }
    Ok(built)
}

fn build_one(
    part: &'static Part,
    left: usize,
    tell: &mut dyn FnMut(&Progress),
) -> Result<Built, PartError> {
    let mut job = Job {
        progress: Progress {
            part: part.name,
            version: part.version,
            step: "looking for it".to_owned(),
            elapsed: Duration::ZERO,
            last: cache::last_duration(part.name),
            left,
            done: false,
        },
        begun: Instant::now(),
        log: Log::create(part.name)?,
        tell,
    };
    if let Recipe::Go(_) = part.recipe {
        toolchain::ensure(&mut job)?;
    }
    let entry = Entry::new(part.name, &digest(part)?);
    if let Some(built) = entry.find() {
        return finish(job, "there already", built);
    }
    job.step("waiting for another build of it to end");
    let lock = entry.lock()?;
    // The other build may have made it; or else it was interrupted, or the entry is damaged.
    if let Some(built) = entry.find() {
        return finish(job, "built meanwhile", built);
    }
    check_space(part)?;
    let staging = entry.begin()?;
    match &part.recipe {
        Recipe::Go(module) => go::make(&mut job, module, &staging)?,
        Recipe::Debian(packages) => debian::make(&mut job, packages, &staging)?,
        Recipe::Custom(custom) => (custom.make)(&mut job, &staging)?,
    }
    job.step("writing checksums");
    let built = entry.commit(&staging)?;
    cache::set_last_duration(part.name, job.begun.elapsed())?;
    drop(lock);
    finish(job, "built", built)
}

fn finish(mut job: Job<'_>, step: &str, built: Built) -> Result<Built, PartError> {
    job.progress.done = true;
    job.step(step);
    Ok(built)
}

/// Of everything that the result follows from.
fn digest(part: &Part) -> Result<String, PartError> {
    let inputs = match &part.recipe {
        Recipe::Go(module) => go::inputs(module, &toolchain::version()?),
        Recipe::Debian(packages) => debian::inputs(packages),
        Recipe::Custom(custom) => vec![custom.inputs.to_owned()],
    };
    Ok(cache::digest(&inputs))
}

/// Before anything is begun: a full disk in the middle of a build is found out late and hurts others.
fn check_space(part: &'static Part) -> Result<(), PartError> {
    let mut folders = vec![home::folder()];
    if let Recipe::Go(_) = part.recipe {
        folders.extend(toolchain::cache_folders());
    }
    for folder in folders {
        let Some(free) = cache::free_bytes(&folder) else {
            continue;
        };
        if free < part.disk_bytes {
            return Err(PartError::DiskLow {
                part: part.name,
                folder,
                free_bytes: free,
                needed_bytes: part.disk_bytes,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_long_it_took_and_how_much_is_left() {
        let mut progress = Progress {
            part: "etcd",
            version: "v3",
            step: "compiling".to_owned(),
            elapsed: Duration::from_secs(61),
            last: Some(Duration::from_secs(600)),
            left: 2,
            done: false,
        };
        assert_eq!(
            progress.to_string(),
            "etcd v3: compiling, 1:01 (last time 10:00); 2 parts left"
        );
        progress.done = true;
        progress.left = 0;
        assert_eq!(progress.to_string(), "etcd v3: compiling, 1:01");
    }

    #[test]
    fn a_build_that_would_fill_the_disk_is_not_begun() {
        static HUGE: Part = Part {
            name: "huge",
            version: "1",
            beds: &[],
            recipe: Recipe::Custom(Custom {
                inputs: "",
                make: |_, _| Ok(()),
            }),
            disk_bytes: u64::MAX,
        };
        let error = check_space(&HUGE).unwrap_err();
        assert!(matches!(error, PartError::DiskLow { .. }), "{error}");
        let shown = error.to_string();
        assert!(
            shown.contains("huge needs 18446744073.7 GB free in "),
            "{shown}"
        );
    }

    #[test]
    fn beds_stand_for_their_parts_and_unknown_names_for_nothing() {
        let names = |chosen: Vec<&'static Part>| -> Vec<&str> {
            chosen.iter().map(|part| part.name).collect()
        };
        let chosen = select(&["kubernetes".to_owned(), "control-plane".to_owned()]).unwrap();
        assert_eq!(names(chosen), ["etcd", "kubernetes"]);
        assert_eq!(select(&[]).unwrap().len(), PARTS.len());
        let error = select(&["kubernets".to_owned()]).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no part `kubernets` of the test bed; there are: ")
                && error.contains(", kubernetes, "),
            "{error}"
        );
    }
}
