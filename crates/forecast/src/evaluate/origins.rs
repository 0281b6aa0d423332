//! Where forecasts are issued.

/// Positions of the first bin to forecast: `count` of them spread evenly over the tail of a series of `bins` bins with
/// `day` bins a day, each with at least a week before it and a day after it. Empty if the series is too short.
#[must_use]
pub fn origins(bins: usize, day: usize, count: usize) -> Vec<usize> {
    // The protocol's own rounding: 0.6 of it in floating point, cut.
    let most = (0.6 * bins as f64) as usize;
    let tail = if bins >= 35 * day {
        bins.saturating_sub(60 * day)
    } else {
        most
    };
    let mut first = tail.max(7 * day);
    if bins > 30 * day {
        first = first.max((28 * day).min(bins / 2));
    }
    let Some(room) = bins
        .checked_sub(day)
        .and_then(|last| last.checked_sub(first))
    else {
        return Vec::new();
    };
    if day == 0 || count == 0 {
        return Vec::new();
    }
    let spacing = room as f64 / (count.max(2) - 1) as f64;
    let mut found: Vec<usize> = (0..count)
        .map(|i| (first as f64 + i as f64 * spacing).round_ties_even() as usize)
        .map(|o| o.min(first + room))
        .collect();
    found.dedup();
    found
}
