//! The horizons at which models are fitted.

/// Minutes ahead; in between, the two neighbouring models are blended.
const MINUTES: [i64; 16] = [
    5, 10, 15, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 960, 1200, 1440,
];

/// Horizons in bins, ascending, from 1 to a day.
pub(crate) fn horizons(step: i64, day: usize) -> Vec<usize> {
    let minutes = MINUTES.iter().map(|m| (m * 60 + step / 2) / step);
    // The next bins one by one: the live sample lies in them.
    let mut bins: Vec<usize> = minutes.chain([1, 2, 3]).map(|b| b as usize).collect();
    bins.push(day);
    bins.retain(|b| (1..=day).contains(b));
    bins.sort_unstable();
    bins.dedup();
    bins
}

/// Where a horizon lies between those of the grid: the lower and upper position and the share of the upper.
pub(crate) fn between(horizons: &[usize], bins: usize) -> (usize, usize, f64) {
    let upper = horizons.partition_point(|h| *h < bins);
    if upper >= horizons.len() {
        let last = horizons.len() - 1;
        return (last, last, 1.0);
    }
    if upper == 0 || horizons[upper] == bins {
        return (upper, upper, 1.0);
    }
    let (low, high) = (horizons[upper - 1] as f64, horizons[upper] as f64);
    (upper - 1, upper, (bins as f64 - low) / (high - low))
}
