//! What was run, how long it took and how it ended.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::failures::Failures;
use crate::shell;

/// The line of a test that leaves something out begins with this.
const LEFT_OUT: &str = "LEFT OUT: ";

/// Collects the outcomes of steps.
#[derive(Debug)]
pub(crate) struct Report {
    begun: Instant,
    passed: u64,
    failed: Vec<String>,
    ignored: u64,
    left_out: Vec<String>,
    lines: Vec<String>,
}

/// What a run of test binaries said at its ends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// How a run of test binaries went.
#[derive(Debug, Default)]
struct Run {
    counts: Counts,
    failures: Failures,
    /// Whether all of it ran to its end without a failure.
    succeeded: bool,
}

impl Report {
    /// Nothing yet; the time runs from here.
    pub(crate) fn begin_all() -> Self {
        Self {
            begun: Instant::now(),
            passed: 0,
            failed: Vec::new(),
            ignored: 0,
            left_out: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Runs a step that counts as one test. Whether it passed.
    pub(crate) fn check(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<()>) -> bool {
        let begun = self.begin(name);
        let result = step();
        match &result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed.push(name.to_owned());
            }
        }
        self.end(name, begun, result.is_ok());
        result.is_ok()
    }

    /// Runs test binaries and counts what they count. Whether all passed.
    pub(crate) fn tests(&mut self, name: &str, command: &mut Command) -> bool {
        let begun = self.begin(name);
        let result = self.count(command);
        let ok = match result {
            Ok(run) => {
                self.passed += run.counts.passed;
                self.ignored += run.counts.ignored;
                self.failed.extend(run.failed(name));
                run.succeeded
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                self.failed.push(name.to_owned());
                false
            }
        };
        self.end(name, begun, ok);
        ok
    }

    /// Records that something was not run.
    pub(crate) fn leave_out(&mut self, name: &str, reason: &str) {
        println!("\n==> {name}: left out: {reason}");
        self.left_out.push(format!("{name}: {reason}"));
    }

    /// Prints the summary; its last line is the one to read.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n==> summary");
        self.lines.iter().for_each(|line| println!("{line}"));
        self.left_out
            .iter()
            .for_each(|what| println!("    left out: {what}"));
        self.failed
            .iter()
            .for_each(|what| println!("    FAILED: {what}"));
        let verdict = if self.failed.is_empty() {
            "ok"
        } else {
            "FAILED"
        };
        let skipped = self.ignored + self.left_out.len() as u64;
        let (passed, failed) = (self.passed, self.failed.len());
        let seconds = self.begun.elapsed().as_secs_f64();
        // In the words of cargo's own test harness, which whoever reads logs knows.
        println!(
            "test result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; \
             0 measured; 0 filtered out; finished in {seconds:.2}s"
        );
        if self.failed.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn begin(&self, name: &str) -> Instant {
        println!("\n==> {name}");
        Instant::now()
    }

    fn end(&mut self, name: &str, begun: Instant, ok: bool) {
        let verdict = if ok { "ok" } else { "FAILED" };
        let seconds = begun.elapsed().as_secs_f64();
        println!("==> {name}: {verdict} in {seconds:.1} s");
        self.lines
            .push(format!("    {seconds:7.1} s  {verdict:6}  {name}"));
    }

    /// Runs the command, shows its output, and adds up its result lines.
    fn count(&mut self, command: &mut Command) -> anyhow::Result<Run> {
        let shown = shell::show(command);
        println!("    $ {shown}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start `{shown}`"))?;
        let Some(stdout) = child.stdout.take() else {
            bail!("`{shown}` has no output to read");
        };
        let mut run = Run::default();
        for line in BufReader::new(stdout).lines() {
            let line = line.with_context(|| format!("failed to read the output of `{shown}`"))?;
            println!("{line}");
            run.counts.add(&line);
            run.failures.add(&line);
            // Many tests may lack the same thing.
            if let Some((_, what)) = line.split_once(LEFT_OUT)
                && !self.left_out.iter().any(|known| known == what)
            {
                self.left_out.push(what.to_owned());
            }
        }
        let status = child
            .wait()
            .with_context(|| format!("failed to wait for `{shown}`"))?;
        run.succeeded = status.success();
        Ok(run)
    }
}

impl Run {
    /// An entry for each failed test, so that the summary alone says what to look at.
    fn failed(&self, name: &str) -> Vec<String> {
        let mut failed: Vec<String> = self
            .failures
            .lines()
            .map(|line| format!("{name}: {line}"))
            .collect();
        // Each counts, also one whose output was not understood.
        for number in failed.len() as u64..self.counts.failed {
            failed.push(format!("{name} ({})", number + 1));
        }
        if failed.is_empty() && !self.succeeded {
            // It did not compile, or a test brought its process down.
            failed.push(name.to_owned());
        }
        failed
    }
}

impl Counts {
    /// Adds one line of output when it is a result line of the test harness.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        // `ok. 26 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.47s`
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        for part in counts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_an_entry() {
        let failed = |output: &str| {
            let mut run = Run::default();
            for line in output.lines() {
                run.counts.add(line);
                run.failures.add(line);
            }
            run.failed("lane")
        };
        let block = "---- a::b stdout ----\nthread 'a::b' panicked at x.rs:1:2:\nno\n";
        let result = "test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(
            failed(&format!("{block}{result}")),
            ["lane: a::b: x.rs:1:2: no", "lane (2)"]
        );
        assert_eq!(failed(""), ["lane"]);
    }

    #[test]
    fn result_lines_add_up_and_others_do_not_count() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test a::passed; 7 passed ... ok",
            "test result: ok. 26 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.47s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s",
        ] {
            counts.add(line);
        }
        assert_eq!(
            counts,
            Counts {
                passed: 28,
                failed: 3,
                ignored: 1
            }
        );
    }
}
