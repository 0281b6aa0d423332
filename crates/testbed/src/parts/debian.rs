//! The recipe for programs of Debian packages: fetched and unpacked, nothing is installed and no service starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{DebianPackages, Job, PartError, loader, toolchain};

/// What the programs follow from. A release that moves on does not make another part of it.
pub(super) fn inputs(packages: &DebianPackages) -> Vec<String> {
    vec![
        std::env::consts::ARCH.to_owned(),
        packages.release.to_owned(),
        packages.packages.join(" "),
        packages.split_off.join(" "),
        packages.own_libraries.to_string(),
    ]
}

/// Unpacks the packages into `root/` of the folder and makes their programs callable in `bin/`.
pub(super) fn make(
    job: &mut Job<'_>,
    packages: &DebianPackages,
    into: &Path,
) -> Result<(), PartError> {
    for program in ["apt-get", "dpkg"] {
        if !toolchain::has(program) {
            return Err(PartError::ProgramMissing {
                part: job.part(),
                program: program.to_owned(),
                fix: "use a Debian or Ubuntu, or put the part's programs on the PATH",
            });
        }
    }
    let (root, scratch) = (into.join("root"), into.join("apt"));
    for folder in [&root, &scratch] {
        fs::create_dir_all(folder).map_err(PartError::file(folder))?;
    }
    let apt = Apt::new(packages, scratch.clone())?;
    if apt.own_lists {
        job.step("reading the list of packages");
        job.run(apt.command().arg("update"))?;
    }
    job.step("fetching packages");
    job.run(apt.fetch().args(packages.packages))?;
    for package in packages.split_off {
        match job.run(apt.fetch().arg(package)) {
            // Its programs are then in the others, or are found missing below.
            Ok(()) | Err(PartError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    job.step("unpacking");
    let fetched = apt.fetched();
    for entry in fs::read_dir(&fetched)
        .map_err(PartError::file(&fetched))?
        .flatten()
    {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            job.run(Command::new("dpkg").arg("--extract").args([&path, &root]))?;
        }
    }
    fs::remove_dir_all(&scratch).map_err(PartError::file(&scratch))?;
    if packages.own_libraries {
        loader::wrap_programs(job.part(), packages.programs, into)
    } else {
        link_programs(job.part(), packages.programs, into)
    }
}

/// `bin/NAME` leads to where the package has it.
fn link_programs(part: &'static str, programs: &[&str], into: &Path) -> Result<(), PartError> {
    let bin = into.join("bin");
    fs::create_dir_all(&bin).map_err(PartError::file(&bin))?;
    for program in programs {
        let place = place_of(part, program, into)?;
        let link = bin.join(program);
        std::os::unix::fs::symlink(Path::new("..").join(place), &link)
            .map_err(PartError::file(&link))?;
    }
    Ok(())
}

/// Where the packages have a program, from the part's folder.
pub(super) fn place_of(
    part: &'static str,
    program: &str,
    into: &Path,
) -> Result<PathBuf, PartError> {
    ["usr/bin", "usr/sbin", "bin", "sbin"]
        .iter()
        .map(|folder| Path::new("root").join(folder).join(program))
        .find(|place| into.join(place).is_file())
        .ok_or_else(|| PartError::Incomplete {
            part,
            what: format!("program `{program}`"),
        })
}

/// apt with sources of its own where the release is another one than the system's; needs no root.
struct Apt {
    scratch: PathBuf,
    own_lists: bool,
    own_libraries: bool,
}

impl Apt {
    fn new(packages: &DebianPackages, scratch: PathBuf) -> Result<Self, PartError> {
        let source = debian_source(packages.release);
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = scratch.join(folder);
            fs::create_dir_all(&folder).map_err(PartError::file(&folder))?;
        }
        // With nothing installed, everything that is depended on has to come along.
        let files = [
            ("sources.list", source.as_deref().unwrap_or_default()),
            ("status", ""),
        ];
        for (name, text) in files {
            let path = scratch.join(name);
            fs::write(&path, text).map_err(PartError::file(&path))?;
        }
        Ok(Self {
            scratch,
            own_lists: source.is_some(),
            own_libraries: packages.own_libraries,
        })
    }

    /// Fetches what is named after it.
    fn fetch(&self) -> Command {
        let mut command = self.command();
        if self.own_libraries {
            command.args([
                "install",
                "--download-only",
                "--yes",
                "--no-install-recommends",
            ]);
        } else {
            command.arg("download");
        }
        command
    }

    /// Where that comes to lie.
    fn fetched(&self) -> PathBuf {
        if self.own_libraries {
            self.scratch.join("cache/archives")
        } else {
            self.scratch.clone()
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        // A refusal is final; what is fetched is checked by signature, whoever the user is that fetches.
        command.current_dir(&self.scratch).args([
            "-o",
            "Acquire::Retries=0",
            "-o",
            "APT::Sandbox::User=",
        ]);
        let place = |name: &str| self.scratch.join(name).display().to_string();
        let mut options = vec![format!("Dir::Cache={}", place("cache"))];
        if self.own_lists {
            options.extend([
                format!("Dir::Etc::sourcelist={}", place("sources.list")),
                "Dir::Etc::sourceparts=-".to_owned(),
                format!("Dir::State::lists={}", place("lists")),
            ]);
        }
        if self.own_libraries {
            options.push(format!("Dir::State::status={}", place("status")));
            options.push(format!("Dir::State::extended_states={}", place("extended")));
        }
        for option in &options {
            command.args(["-o", option]);
        }
        command
    }
}

/// One line for apt: another release from the mirror that this system uses; `None` unless it is a Debian.
fn debian_source(release: &str) -> Option<String> {
    let output = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(REPO_URI) $(SIGNED_BY)",
            "Created-By: Packages",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    source_line(&String::from_utf8_lossy(&output.stdout), release)
}

fn source_line(targets: &str, release: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let (mirror, keyring) = line.split_once(' ').unwrap_or((line, ""));
        if !mirror.trim_end_matches('/').ends_with("/debian") {
            return None;
        }
        let keyring = keyring.trim();
        let options = if keyring.starts_with('/') {
            format!("[signed-by={keyring}] ")
        } else {
            String::new()
        };
        Some(format!("deb {options}{mirror} {release} main\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_comes_from_the_systems_own_mirror() {
        let targets = "https://packages.example/apt/ \n\
                       http://mirror.example/debian/ /usr/share/keyrings/debian.gpg\n";
        assert_eq!(
            source_line(targets, "sid").unwrap(),
            "deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.example/debian/ sid main\n"
        );
        assert_eq!(source_line("http://mirror.example/ubuntu/ \n", "sid"), None);
    }
}
