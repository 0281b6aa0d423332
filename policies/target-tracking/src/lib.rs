//! The built-in policy `target-tracking`.
