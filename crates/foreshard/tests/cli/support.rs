//! Running the binary and naming what differs from machine to machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder for one test's files, under whose name they appear in messages as `DIR`.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes a file and gives its name, as it is to be passed to [`Place::run`].
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
        name.to_owned()
    }

    /// Where a file of that name is.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs the binary in the folder.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let output = command(args)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        Ended::new(&output, self.folder.path())
    }
}

impl Ended {
    fn new(output: &Output, folder: &Path) -> Self {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .unwrap()
                .replace(folder.to_str().unwrap(), "DIR")
        };
        Self {
            code: output
                .status
                .code()
                .unwrap_or_else(|| panic!("killed: {}", text(&output.stderr))),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Exit code and error text, for a report of cases.
    pub(crate) fn failure(&self) -> String {
        assert!(
            self.stdout.is_empty(),
            "printed a result and failed: {}",
            self.stdout
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        // Help and usage are clap's; the first paragraph is the message.
        let message = self
            .stderr
            .split("\n\n")
            .next()
            .unwrap_or_default()
            .trim_end();
        format!("[{}] {message}\n", self.code)
    }

    /// The one document on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The binary with these arguments, and nothing of the caller's environment that changes what it prints.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshard"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// A shipped trace.
pub(crate) fn trace(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../examples/traces", name]
        .iter()
        .collect();
    path.to_str().unwrap().to_owned()
}

/// `days` of an hourly wave at 5 minutes, from 2026-01-05 (a Monday) on.
pub(crate) fn wave(days: u32) -> String {
    let mut text = String::from("timestamp,value\n");
    for bin in 0..days * 288 {
        let phase = f64::from(bin % 288) / 288.0 * std::f64::consts::TAU;
        let noise = f64::from(bin * 7919 % 101) / 101.0;
        let value = 100.0 - 50.0 * phase.cos() + 5.0 * noise;
        text.push_str(&format!(
            "{},{value:.3}\n",
            1_767_571_200 + i64::from(bin) * 300
        ));
    }
    text
}
