//! Which tests failed and with what words, as read from the output of the test harness.

/// The characters of a failure that a summary shows.
const SHOWN_CHARS: usize = 400;

/// The failed tests of test binaries that ran one after another, each with its first words.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    found: Vec<Failure>,
    /// Whether the line before said where a test panicked: its words follow.
    panicked: bool,
    /// Within the block that the harness shows of a failed test.
    within: bool,
}

#[derive(Debug)]
struct Failure {
    test: String,
    words: String,
}

impl Failures {
    /// Reads one line of output.
    pub(crate) fn add(&mut self, line: &str) {
        if let Some(test) = block_of(line) {
            self.within = true;
            self.panicked = false;
            self.found.push(Failure {
                test: test.to_owned(),
                words: String::new(),
            });
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.within = false;
        } else if self.within {
            self.read(line.trim());
        }
    }

    /// A line each: the test, the place and the words.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.found.iter().map(|failure| {
            let line = format!("{}: {}", failure.test, failure.words.trim());
            line.chars().take(SHOWN_CHARS).collect()
        })
    }

    /// Keeps the first panic, or the error that the test returned.
    fn read(&mut self, line: &str) {
        let Some(failure) = self.found.last_mut() else {
            return;
        };
        if let Some((_, place)) = line.split_once(" panicked at ") {
            if failure.words.is_empty() {
                failure.words = format!("{place} ");
                self.panicked = true;
            }
        } else if line.starts_with("note: ") || line.starts_with("stack backtrace:") {
            self.panicked = false;
        } else if self.panicked {
            failure.words.push_str(line);
            failure.words.push(' ');
        } else if failure.words.is_empty() && line.starts_with("Error: ") {
            failure.words = line.to_owned();
        }
    }
}

/// The test whose output begins with this line.
fn block_of(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test acting::b ... ok
test acting::a ... FAILED
test acting::c ... FAILED

failures:

---- acting::a stdout ----
the operator says: something
thread 'acting::a' (77) panicked at crates/x/tests/acting.rs:12:5:
assertion `left == right` failed: replicas
  left: 3
 right: 9
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
thread 'helper' panicked at crates/x/tests/acting.rs:99:5:
later

---- acting::c stdout ----
Error: no such bed


failures:
    acting::a
    acting::c

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn each_failed_test_is_named_with_its_place_and_words() {
        let mut failures = Failures::default();
        OUTPUT.lines().for_each(|line| failures.add(line));
        assert_eq!(
            failures.lines().collect::<Vec<_>>(),
            [
                "acting::a: crates/x/tests/acting.rs:12:5: assertion `left == right` failed: replicas left: 3 right: 9",
                "acting::c: Error: no such bed",
            ]
        );
    }

    #[test]
    fn long_words_are_cut() {
        let mut failures = Failures::default();
        let words = "ä".repeat(2 * SHOWN_CHARS);
        let output = format!("---- t stdout ----\nthread 't' panicked at a.rs:1:1:\n{words}\n");
        output.lines().for_each(|line| failures.add(line));
        let lines: Vec<String> = failures.lines().collect();
        assert_eq!(lines[0].chars().count(), SHOWN_CHARS);
    }
}
