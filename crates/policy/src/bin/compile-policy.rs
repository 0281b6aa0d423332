//! The compiling child process by itself: `foreshard` re-executes itself instead, tests use this.

use std::process::ExitCode;

fn main() -> ExitCode {
    foreshard_policy::jail::child_main()
}
