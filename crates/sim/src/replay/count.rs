//! Instances that a load needs.

/// The fewest instances a part may have.
pub const MIN_INSTANCES: u32 = 2;
/// The most instances a policy may want.
pub const MAX_INSTANCES: u32 = 80;
/// The share of its capacity at which an instance is meant to run.
pub const TARGET_UTILIZATION: f64 = 0.7;
/// Rounding error that counts and comparisons forgive, in instances.
pub(crate) const SLACK: f64 = 1e-9;

/// `ceil(instances - 1e-9)`, not below zero; what exceeds `u32` saturates.
pub(crate) fn ceil_count(instances: f64) -> u32 {
    // A float-to-int `as` saturates, and NaN becomes 0.
    (instances - SLACK).ceil() as u32
}

/// Instances within what a policy may want.
pub(crate) fn bounded(count: u32) -> u32 {
    count.clamp(MIN_INSTANCES, MAX_INSTANCES)
}

/// The percentile `q` (0..=1) of `values` by linear interpolation between the nearest ranks; none of an empty set.
pub(crate) fn percentile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = q * (sorted.len().checked_sub(1)? as f64);
    let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    Some(low + (high - low) * rank.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_forgive_rounding_and_saturate() {
        for (instances, count) in [
            (3.0, 3),
            (3.000_000_000_5, 3),
            (3.000_001, 4),
            (0.1 + 0.2 + 2.7, 3),
            (0.0, 0),
            (-5.0, 0),
            (f64::NAN, 0),
            (1e300, u32::MAX),
        ] {
            assert_eq!(ceil_count(instances), count, "{instances}");
        }
        assert_eq!((bounded(0), bounded(7), bounded(1000)), (2, 7, 80));
    }

    #[test]
    fn percentiles_interpolate() {
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[4.0], 0.999), Some(4.0));
        assert_eq!(percentile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(percentile(&[0.0, 10.0], 0.25), Some(2.5));
    }
}
