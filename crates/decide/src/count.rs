//! From load to a number of instances.

/// The least whole number that is not below `share`, with a slack of 1e-9 so that rounding noise buys no instance;
/// 0 for what is not positive or not a number, `u32::MAX` for what is too large.
///
/// ```
/// # use foreshard_decide::ceil_count;
/// assert_eq!(ceil_count(3.0000000001), 3);
/// assert_eq!(ceil_count(3.1), 4);
/// ```
#[must_use]
pub fn ceil_count(share: f64) -> u32 {
    // A float cast saturates, and NaN becomes 0.
    (share - 1e-9).ceil() as u32
}

/// How many instances serve `load` when each serves at most `utilization * per_replica`; none when that is not positive.
#[must_use]
pub fn needed(load: f64, utilization: f64, per_replica: f64) -> Option<u32> {
    let each = utilization * per_replica;
    (each > 0.0 && each.is_finite() && load.is_finite()).then(|| ceil_count(load / each))
}
