//! Digests by which two versions of something are told apart.

use sha2::{Digest as _, Sha256};

/// The first 64 bits of a SHA-256, in hexadecimal digits.
pub(crate) fn short(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
