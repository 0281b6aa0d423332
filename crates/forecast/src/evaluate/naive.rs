//! Seasonal naive: the yardstick.

/// Fewest differences that give quantiles.
const DIFFERENCES_MIN: usize = 20;

/// What was a week before (a day, with less than a week of history), plus the quantile at `level` of how much weeks
/// differed; the median is the value itself. `bins` bins ahead of `history`, which may hold gaps but not only gaps.
#[must_use]
pub fn seasonal_naive(history: &[f64], day: usize, bins: usize, level: f64) -> Vec<f64> {
    let filled = fill(history);
    if filled.is_empty() {
        return vec![0.0; bins];
    }
    let season = if filled.len() >= 7 * day {
        7 * day
    } else {
        day
    };
    let season = season.clamp(1, filled.len().max(1));
    let repeated = (0..bins).map(|i| filled[filled.len() - season + i % season]);
    if level == 0.5 {
        return repeated.collect();
    }
    let mut differences = lagged(&filled, season);
    if differences.len() <= DIFFERENCES_MIN {
        differences = lagged(&filled, (season / 7).max(1));
    }
    let enough = differences.len() > DIFFERENCES_MIN;
    let above = if enough {
        linear_quantile(differences, level)
    } else {
        0.0
    };
    repeated.map(|v| v + above).collect()
}

fn lagged(values: &[f64], lag: usize) -> Vec<f64> {
    let pairs = values.iter().zip(values.get(lag..).unwrap_or(&[]));
    pairs.map(|(before, after)| after - before).collect()
}

/// Gaps bridged by straight lines, flat at the ends.
fn fill(values: &[f64]) -> Vec<f64> {
    let known: Vec<usize> = (0..values.len())
        .filter(|&i| values[i].is_finite())
        .collect();
    let at = |i: usize| {
        let after = known.partition_point(|k| *k < i);
        match (after.checked_sub(1).map(|b| known[b]), known.get(after)) {
            (_, Some(&next)) if next == i => values[i],
            (Some(before), Some(&next)) => {
                let share = (i - before) as f64 / (next - before) as f64;
                values[before] + (values[next] - values[before]) * share
            }
            (Some(only), None) => values[only],
            (None, Some(&only)) => values[only],
            (None, None) => 0.0,
        }
    };
    (0..values.len()).map(at).collect()
}

/// By linear interpolation between order statistics.
fn linear_quantile(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let at = level * (values.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(values.len() - 1);
    values[low] + (values[high] - values[low]) * at.fract()
}
