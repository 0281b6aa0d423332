//! The built-in policy `schedule`.
