//! Errors in words.

use std::error::Error;

/// An error with all that caused it, on one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some libraries repeat their cause.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// What the API server refused, in words that name verb and resource where it is a matter of rights.
#[must_use]
pub fn refusal(error: &kube::Error) -> (&'static str, String) {
    match error {
        kube::Error::Api(status) if status.code == 403 => ("Forbidden", status.message.clone()),
        kube::Error::Api(status) if status.code == 404 => ("NotFound", status.message.clone()),
        kube::Error::Api(status) if status.code == 409 => ("Conflict", status.message.clone()),
        kube::Error::Api(status) if status.code == 429 => {
            ("TooManyRequests", status.message.clone())
        }
        kube::Error::Api(status) => ("APIServerError", status.message.clone()),
        other => ("APIServerUnreachable", chain(other)),
    }
}
