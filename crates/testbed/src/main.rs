//! The guard of a shared bed: `foreshard-testbed guard NAME` ends the bed once its input ends.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next(), args.next()) {
        (Some("guard"), Some(name), None) => match foreshard_testbed::guard::run(&name) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: foreshard-testbed guard BED; people use `cargo xtask testbed`");
            ExitCode::FAILURE
        }
    }
}
