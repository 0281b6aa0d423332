//! How much each member counts, by its past error.

use super::{Kind, POWER, PRUNE, RECENT_HALF, SHARE_LOG, known_rows, recency};

/// Weights `[horizon][member]` from the errors of all members, shared among neighbouring horizons; one with fewer
/// than `evidence_min` errors has none of its own.
pub(super) fn weights(
    horizons: &[usize],
    kinds: &[Kind],
    tables: &[Vec<f64>],
    truths: &[Vec<f64>],
    evidence_min: usize,
) -> Vec<Vec<f64>> {
    let members = kinds.len();
    let errors: Vec<Option<Vec<f64>>> = tables
        .iter()
        .zip(truths)
        .map(|(table, truth)| {
            let (first, rows) = known_rows(truth);
            let mut sums = vec![0.0; members];
            let (mut total, mut count) = (0.0, 0);
            for (row, truth) in truth.iter().enumerate().filter(|(_, t)| t.is_finite()) {
                let weight = recency(row - first, rows, RECENT_HALF);
                for (sum, value) in sums.iter_mut().zip(&table[row * members..]) {
                    *sum += weight * (value - truth).abs();
                }
                total += weight;
                count += 1;
            }
            (count >= evidence_min).then(|| sums.iter().map(|s| s / total + 1e-12).collect())
        })
        .collect();
    let time = |h: usize| (horizons[h] as f64).ln();
    let of = |h: usize| {
        let mut shared = vec![0.0; members];
        let mut total = 0.0;
        for (other, errors) in errors.iter().enumerate() {
            let Some(errors) = errors else { continue };
            let distance = (time(h) - time(other)) / SHARE_LOG;
            let weight = (-0.5 * distance * distance).exp().max(1e-12);
            for (sum, error) in shared.iter_mut().zip(errors) {
                *sum += weight * error;
            }
            total += weight;
        }
        if total == 0.0 {
            // No evidence at all: the last value.
            return kinds
                .iter()
                .map(|k| f64::from(u8::from(*k == Kind::Last)))
                .collect();
        }
        let best = shared.iter().copied().fold(f64::INFINITY, f64::min);
        let raw = shared.iter().map(|&e| {
            if e > PRUNE * best {
                0.0
            } else {
                (e / best).powf(-POWER)
            }
        });
        let raw: Vec<f64> = raw.collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|w| w / sum).collect::<Vec<f64>>()
    };
    (0..horizons.len()).map(of).collect()
}
