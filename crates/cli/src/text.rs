//! What others said, fit for a terminal.

use std::error::Error;

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        // Many errors repeat their cause.
        if !text.contains(&next_text) {
            text += &format!(": {next_text}");
        }
        cause = next.source();
    }
    short(&text)
}

/// Foreign text, made fit for a terminal.
#[must_use]
pub fn short(text: &str) -> String {
    const CHARS_MAX: usize = 600;
    let plain = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    let mut shortened: String = plain.take(CHARS_MAX).collect();
    if text.trim().chars().count() > CHARS_MAX {
        shortened.push('…');
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_length_is_bounded() {
        assert_eq!(short(" a\u{1b}[31mb\n"), "a [31mb");
        let long = short(&"ä".repeat(700));
        assert_eq!(long.chars().count(), 601);
        assert!(long.ends_with('…'));
    }
}
