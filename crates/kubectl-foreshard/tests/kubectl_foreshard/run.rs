//! Running the binary.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// It went well; what it printed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout
    }

    /// It ended with this code and said this.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, said: &str) {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.stderr.contains(said), "{said}: {self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }
}

/// The binary, or a copy of it, with nothing of the caller's cluster.
pub(crate) fn command(program: impl AsRef<OsStr>, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("RUST_LOG")
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null());
    command
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
