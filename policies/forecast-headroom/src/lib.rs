//! The built-in policy `forecast-headroom`.
