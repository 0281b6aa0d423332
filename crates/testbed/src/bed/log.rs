//! Ends of logs, for messages.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// What a message shows of a log: enough for a stack of causes, not for a flood.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;

/// The last lines of a log, without control characters; says so if there are none.
pub(crate) fn tail(path: &Path) -> String {
    let text = read_end(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    if shown.is_empty() {
        return "    (nothing)".to_owned();
    }
    let clean = |line: &&str| {
        let line: String = line
            .chars()
            .map(|char| {
                if char.is_control() && char != '\t' {
                    '\u{fffd}'
                } else {
                    char
                }
            })
            .collect();
        format!("    {line}")
    };
    shown.iter().map(clean).collect::<Vec<_>>().join("\n")
}

fn read_end(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_shown_and_nothing_is_said_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert_eq!(tail(&path), "    (nothing)");
        let lines: Vec<String> = (0..10_000).map(|i| format!("line {i}\u{7}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let shown = tail(&path);
        assert_eq!(shown.lines().count(), TAIL_LINES);
        assert!(shown.ends_with("line 9999\u{fffd}"), "{shown}");
    }
}
