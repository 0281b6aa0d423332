//! What the author of a Rust policy depends on.
