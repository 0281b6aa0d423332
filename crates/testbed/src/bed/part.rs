//! Starting parts, waiting for them, and faults.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::record::{self, PartRecord};
use super::teardown::MARK_VARIABLE;
use super::{Bed, BedError, PartSpec, log};
use crate::home;
use crate::process::Identity;

/// Between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A part that was started; `child` only in the process that did.
#[derive(Debug)]
pub(super) struct Part {
    record: PartRecord,
    child: Option<Child>,
}

impl From<PartRecord> for Part {
    fn from(record: PartRecord) -> Self {
        Self {
            record,
            child: None,
        }
    }
}

impl Part {
    /// How it ended; `None` while it runs.
    fn ended(&mut self) -> Option<String> {
        if let Some(child) = &mut self.child {
            return match child.try_wait() {
                Ok(None) => None,
                Ok(Some(status)) => Some(status.to_string()),
                Err(error) => Some(error.to_string()),
            };
        }
        (!self.record.identity.is_alive()).then(|| "gone".to_owned())
    }

    /// Takes the ended child off the system's table.
    pub(super) fn reap(&mut self) {
        if !self.record.identity.is_alive()
            && let Some(child) = &mut self.child
        {
            let _ = child.wait();
        }
    }
}

impl Bed {
    /// Starts a part in a process group of its own, its output going to its log.
    ///
    /// # Errors
    /// A part of that name, a program that cannot be started, root needed for its user or namespace.
    pub fn spawn(&mut self, spec: PartSpec) -> Result<(), BedError> {
        if self
            .parts
            .iter()
            .any(|part| part.record.spec.name == spec.name)
        {
            return Err(BedError::PartExists {
                bed: self.record.name.clone(),
                part: spec.name,
            });
        }
        let child = self.start(&spec)?;
        let record = PartRecord {
            identity: Identity::of_child(&child),
            spec,
        };
        record::write(&self.part_path(self.parts.len(), &record.spec), &record)?;
        self.parts.push(Part {
            record,
            child: Some(child),
        });
        Ok(())
    }

    /// Runs a program to its end within the limit, as [`spawn`](Self::spawn) would; it does not become a part.
    ///
    /// # Errors
    /// As for `spawn`; that it failed, or took longer, with the end of its log.
    pub fn run(&mut self, spec: PartSpec, limit: Duration) -> Result<(), BedError> {
        let what = "it was done";
        let mut child = self.start(&spec)?;
        let identity = Identity::of_child(&child);
        let in_time = identity.wait_end(limit);
        identity.end(Duration::ZERO);
        let status = child.wait().map_err(BedError::file(&spec.program))?;
        let log = || log::tail(&log_path(&self.folder, &spec.name));
        if !in_time {
            return Err(BedError::Late {
                log: log(),
                part: spec.name,
                what: what.to_owned(),
                limit,
                seen: "still running".to_owned(),
            });
        }
        if !status.success() {
            return Err(BedError::Ended {
                log: log(),
                part: spec.name,
                what: what.to_owned(),
                status: status.to_string(),
            });
        }
        Ok(())
    }

    /// Waits until `ready` has no objection any more; how long that took.
    ///
    /// `what` completes the sentence "PART: WHAT took more than …", such as `answering /readyz`.
    ///
    /// # Errors
    /// The part ended, or the limit passed; either way with the last objection and the end of the part's log.
    pub fn wait_until(
        &mut self,
        part: &str,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut() -> Result<(), String>,
    ) -> Result<Duration, BedError> {
        let begun = Instant::now();
        loop {
            let Err(seen) = ready() else {
                return Ok(begun.elapsed());
            };
            let ended = self.part_mut(part)?.ended();
            let log = || log::tail(&log_path(&self.folder, part));
            if let Some(status) = ended {
                return Err(BedError::Ended {
                    part: part.to_owned(),
                    what: what.to_owned(),
                    status,
                    log: log(),
                });
            }
            if begun.elapsed() >= limit {
                return Err(BedError::Late {
                    part: part.to_owned(),
                    what: what.to_owned(),
                    limit,
                    seen,
                    log: log(),
                });
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The names of the parts, in the order in which they were started.
    pub fn part_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.record.spec.name.as_str())
    }

    /// Where a part's output goes.
    ///
    /// # Errors
    /// There is no such part.
    pub fn log(&self, part: &str) -> Result<PathBuf, BedError> {
        self.index(part)?;
        Ok(log_path(&self.folder, part))
    }

    /// A part's process.
    ///
    /// # Errors
    /// There is no such part.
    pub fn process(&self, part: &str) -> Result<Identity, BedError> {
        Ok(self.parts[self.index(part)?].record.identity)
    }

    /// Ends a part as its host would when it is shut down.
    ///
    /// # Errors
    /// There is no such part.
    pub fn stop(&mut self, part: &str) -> Result<(), BedError> {
        let part = self.part_mut(part)?;
        part.record.identity.end(part.record.spec.grace);
        part.reap();
        Ok(())
    }

    /// Kills a part, as a crash would.
    ///
    /// # Errors
    /// There is no such part.
    pub fn kill(&mut self, part: &str) -> Result<(), BedError> {
        let part = self.part_mut(part)?;
        part.record.identity.end(Duration::ZERO);
        part.reap();
        Ok(())
    }

    /// Has a part stand still until [`resume`](Self::resume), as an overloaded host would.
    ///
    /// # Errors
    /// There is no such part.
    pub fn pause(&mut self, part: &str) -> Result<(), BedError> {
        self.part_mut(part)?.record.identity.signal(Signal::STOP);
        Ok(())
    }

    /// Lets a paused part go on.
    ///
    /// # Errors
    /// There is no such part.
    pub fn resume(&mut self, part: &str) -> Result<(), BedError> {
        self.part_mut(part)?.record.identity.signal(Signal::CONT);
        Ok(())
    }

    /// Starts a part again as it was started before, after ending it if it still runs. Its log goes on.
    ///
    /// # Errors
    /// There is no such part, or it cannot be started.
    pub fn restart(&mut self, part: &str) -> Result<(), BedError> {
        self.stop(part)?;
        let index = self.index(part)?;
        let mut record = self.parts[index].record.clone();
        let child = self.start(&record.spec)?;
        record.identity = Identity::of_child(&child);
        record::write(&self.part_path(index, &record.spec), &record)?;
        self.parts[index] = Part {
            record,
            child: Some(child),
        };
        Ok(())
    }

    fn start(&self, spec: &PartSpec) -> Result<Child, BedError> {
        if (spec.run_as.is_some() || spec.netns.is_some()) && !home::is_root() {
            return Err(BedError::NeedsRoot(spec.name.clone()));
        }
        let path = log_path(&self.folder, &spec.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(BedError::file(&path))?;
        let errors = log.try_clone().map_err(BedError::file(&path))?;
        let mut command = command(spec);
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &self.folder)
            .env("TMPDIR", self.folder.join("tmp"))
            .env(MARK_VARIABLE, &self.record.mark)
            .envs(&spec.env)
            .current_dir(&self.folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        command.spawn().map_err(|reason| BedError::Spawn {
            part: spec.name.clone(),
            program: spec.program.clone(),
            reason,
        })
    }

    fn part_path(&self, index: usize, spec: &PartSpec) -> PathBuf {
        self.folder
            .join("parts")
            .join(format!("{index:03}-{}.json", spec.name))
    }

    fn index(&self, part: &str) -> Result<usize, BedError> {
        let found = self.part_names().position(|name| name == part);
        found.ok_or_else(|| BedError::UnknownPart {
            bed: self.record.name.clone(),
            part: part.to_owned(),
            parts: self.part_names().collect::<Vec<_>>().join(", "),
        })
    }

    fn part_mut(&mut self, part: &str) -> Result<&mut Part, BedError> {
        let index = self.index(part)?;
        Ok(&mut self.parts[index])
    }
}

/// The program itself, or the system's tool that becomes it inside of the namespace.
fn command(spec: &PartSpec) -> Command {
    let mut command = match &spec.netns {
        Some(netns) => {
            let mut enter = Command::new("nsenter");
            enter.arg(format!("--net=/run/netns/{netns}"));
            if let Some(user) = spec.run_as {
                enter.arg(format!("--setuid={}", user.uid));
                enter.arg(format!("--setgid={}", user.gid));
            }
            enter.arg("--").arg(&spec.program);
            enter
        }
        None => {
            let mut plain = Command::new(&spec.program);
            if let Some(user) = spec.run_as {
                plain.uid(user.uid).gid(user.gid);
            }
            plain
        }
    };
    command.args(&spec.args);
    command
}

pub(super) fn log_path(folder: &Path, part: &str) -> PathBuf {
    folder.join("log").join(format!("{part}.log"))
}
