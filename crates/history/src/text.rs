//! Foreign text in messages: shortened, on one line, without credentials.

use std::error::Error;

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some layers repeat what is below them.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// A URL for messages.
pub(crate) fn shown_url<U: std::fmt::Display>(url: &U) -> String {
    let text = url.to_string();
    let shown = text.trim_end_matches('/');
    match (shown.split_once("://"), shown.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => shown.to_owned(),
    }
}

/// How a text begins, on one line and without what a terminal would act on.
pub(crate) fn beginning(text: &[u8]) -> String {
    const SHOWN: usize = 60;
    shortened(
        &String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN)]),
        SHOWN,
    )
}

/// At most so many characters of a text, on one line and without what a terminal would act on.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words
        .chars()
        .take(chars_max)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Labels as PromQL writes them, shortened.
pub(crate) fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    const SHOWN: usize = 4;
    let mut name = "";
    let mut shown = Vec::new();
    for (label, value) in labels {
        if label == "__name__" {
            name = value;
        } else if shown.len() < SHOWN {
            shown.push(format!("{label}={value:?}"));
        } else {
            shown.push("…".to_owned());
            break;
        }
    }
    format!("{name}{{{}}}", shown.join(","))
}
