//! The model for series too short, too empty or too constant for anything else: the last value, held.

/// The last value with a spread that grows with the square root of the horizon.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// The newest known value; 0 of nothing.
    pub(crate) last: f64,
    /// Mean absolute change from one bin to the next, at least the floor.
    change: f64,
    /// Largest spread: that of the values themselves, at least the floor.
    spread_max: f64,
}

/// Least spread as a share of the level: a series that never moved may still move.
const FLOOR: f64 = 0.01;

impl Held {
    /// From the known values, oldest first; gaps are skipped.
    pub(crate) fn fit(values: &[f64]) -> Self {
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let level = known.last().map_or(0.0, |v| v.abs());
        let floor = level * FLOOR;
        let pairs = known.len().saturating_sub(1).max(1) as f64;
        let change = known
            .windows(2)
            .map(|w| (w[1] / pairs - w[0] / pairs).abs());
        let change: f64 = change.sum();
        let (low, high) = known.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| {
            (low.min(v), high.max(v))
        });
        let range = if known.is_empty() {
            0.0
        } else {
            high / 2.0 - low / 2.0
        };
        // A single value tells nothing of how it moves: half of it is a guess that errs to the wide side.
        let unknown = if known.len() < 3 { 0.5 * level } else { 0.0 };
        Self {
            last: known.last().copied().unwrap_or(0.0),
            change: change.max(floor).max(unknown),
            spread_max: range.max(floor).max(unknown).max(change),
        }
    }

    /// The value at `level`, `horizon` bins after a bin of value `last`: a Laplace distribution.
    pub(crate) fn quantile(&self, last: f64, horizon: usize, level: f64) -> f64 {
        let scale = (self.change * (horizon.max(1) as f64).sqrt()).min(self.spread_max);
        last + scale * laplace(level)
    }
}

/// Quantile of the Laplace distribution of unit mean absolute value.
pub(crate) fn laplace(level: f64) -> f64 {
    if level < 0.5 {
        (2.0 * level).ln()
    } else {
        -(2.0 * (1.0 - level)).ln()
    }
}
