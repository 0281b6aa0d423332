//! `cargo xtask test`: every check and every test, cheapest first.
//!
//! Everything is built with one profile, so that each dependency is compiled once for the tests and only read once
//! more for clippy and the docs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

use crate::report::Report;
use crate::{console, demo, e2e, lane, policies, shell, tidy, wasm_target};

const DENY_VERSION: &str = "0.20.2";

/// Runs all of it; goes on after a failure wherever what follows can still tell something.
pub(crate) fn run(fast: bool) -> anyhow::Result<ExitCode> {
    let mut report = Report::begin_all();
    report.check("format", || {
        shell::run(&mut shell::cargo(["fmt", "--all", "--check"]))
    });
    report.check("tidy", tidy::run);
    // The binary embeds the policies: without them nothing below compiles.
    let built = report.check("policies", || {
        wasm_target::ensure().and_then(|()| policies::build())
    });
    build_console(&mut report);
    if built {
        compile_and_test(&mut report, fast)?;
    } else {
        report.leave_out("clippy and tests", "the policies were not built");
    }
    if fast {
        report.leave_out("licences and sources", "--fast");
    } else {
        deny(&mut report)?;
    }
    Ok(report.finish())
}

fn compile_and_test(report: &mut Report, fast: bool) -> anyhow::Result<()> {
    report.check("clippy", || {
        let args = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "--deny",
            "warnings",
        ];
        shell::run(&mut shell::cargo(args))?;
        // Tests that nothing runs by default are no targets of all.
        let mut others = shell::cargo(["clippy", "--workspace", "--locked"]);
        for test in e2e::tests() {
            others.args(["--test", test]);
        }
        shell::run(others.args(["--", "--deny", "warnings"]))
    });
    if fast {
        report.leave_out("API docs", "--fast");
    } else {
        report.check("API docs", || {
            let args = [
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ];
            shell::run(shell::cargo(args).env("RUSTDOCFLAGS", "--deny warnings"))
        });
    }
    let mut tests = shell::cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
    // A snapshot that changed is a failure here, not a file to be reviewed.
    tests.env("INSTA_UPDATE", "no");
    // What needs real parts has a lane of its own, after everything that fails sooner.
    tests.env("FORESHARD_TESTBED", "off");
    report.tests("tests", &mut tests);
    policy_fixtures(report)?;
    lane::control_plane(report, fast);
    Ok(())
}

fn build_console(report: &mut Report) {
    let mut left_out = None;
    report.check("console", || {
        if let console::Outcome::LeftOut(reason) = console::build()? {
            left_out = Some(reason);
        }
        Ok(())
    });
    if let Some(reason) = left_out {
        report.leave_out("console's types and build", &reason);
    }
}

/// Every built-in policy against its recorded contexts, through the command that users have for theirs.
fn policy_fixtures(report: &mut Report) -> anyhow::Result<()> {
    let root = shell::root();
    let foreshard = demo::target_folder()?.join("debug/foreshard");
    for policy in folders(&root.join("policies"))? {
        let fixtures = policy.join("fixtures");
        let name = policy
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !fixtures.is_dir() {
            continue;
        }
        let component = root.join(format!("target/policies/{name}.wasm"));
        report.check(&format!("fixtures of {name}"), || {
            if !foreshard.is_file() {
                bail!("{} was not built", foreshard.display());
            }
            shell::run(
                shell::program(&foreshard, ["policy", "test"])
                    .arg(component)
                    .arg("--fixture")
                    .arg(fixtures),
            )
        });
    }
    Ok(())
}

/// Licences, sources and banned crates; advisories need a database that is fetched, so they are not part of it.
fn deny(report: &mut Report) -> anyhow::Result<()> {
    const NAME: &str = "licences and sources";
    let tools = shell::root().join("target/tools");
    let installed = tools.join("bin/cargo-deny");
    let program = if shell::output_of(&mut shell::program("cargo-deny", ["--version"])).is_some() {
        PathBuf::from("cargo-deny")
    } else {
        if !installed.is_file() {
            println!(
                "\n==> cargo-deny {DENY_VERSION} is missing: building it once into target/tools"
            );
            let version = format!("cargo-deny@{DENY_VERSION}");
            let mut install =
                shell::cargo(["install", version.as_str(), "--locked", "--debug", "--root"]);
            install
                .arg(&tools)
                .env("CARGO_TARGET_DIR", tools.join("build"));
            if let Err(error) = shell::run(&mut install) {
                report.leave_out(NAME, &format!("{error:#}"));
                return Ok(());
            }
            // Its objects are larger than everything else here.
            fs::remove_dir_all(tools.join("build")).ok();
        }
        installed
    };
    report.check(NAME, || {
        shell::run(&mut shell::program(
            program,
            ["--workspace", "check", "bans", "licenses", "sources"],
        ))
    });
    Ok(())
}

/// The folders in a folder, sorted.
fn folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(path)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    Ok(found)
}
