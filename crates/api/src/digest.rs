//! Digests of plans and components.

use sha2::{Digest as _, Sha256};

/// Pattern of a digest.
pub const DIGEST_PATTERN: &str = "^sha256:[0-9a-f]{64}$";

/// `sha256:` and 64 hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
