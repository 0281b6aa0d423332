//! Quantiles of past errors, as split-conformal prediction takes them.

/// Largest spread above the median, in units of P90's, at P99: one past outage must not set P99 for weeks.
const TAIL_MAX: f64 = 3.0;
/// Least spread above the median, in units of P90's, at P99.
const TAIL_MIN: f64 = 1.5;

/// Weighted errors in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors {
    values: Vec<f64>,
    /// Running share of the weight, up to 1.
    shares: Vec<f64>,
    /// The count that the finite-sample correction assumes.
    count: f64,
}

impl Errors {
    /// From (error, weight) pairs; `count` is how many independent errors they stand for.
    pub(crate) fn new(mut weighted: Vec<(f64, f64)>, count: usize) -> Self {
        weighted.retain(|(error, weight)| error.is_finite() && *weight > 0.0);
        // Stable, since it makes use of what is sorted already: neighbouring horizons one after the other.
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let shares = weighted.iter().map(|(_, weight)| {
            sum += weight;
            sum / total
        });
        Self {
            shares: shares.collect(),
            values: weighted.iter().map(|(error, _)| *error).collect(),
            count: count.max(1) as f64,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The highest level that past errors can speak for: above it there is less than one of them.
    pub(crate) fn calibrated_to(&self) -> f64 {
        self.count / (self.count + 1.0)
    }

    /// The error at `level` by conformal rank, nothing beyond the largest seen; 0 of nothing.
    pub(crate) fn quantile(&self, level: f64) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        // The rank of the level among `count + 1`, as split-conformal prediction has it, but not rounded up: between
        // two errors lies what is between them.
        let share = (level * (1.0 + 1.0 / self.count)).min(1.0) - 1e-12;
        let at = self.shares.partition_point(|s| *s < share);
        let at = at.min(self.values.len() - 1);
        let Some(lower) = at.checked_sub(1) else {
            return self.values[0];
        };
        let part = (share - self.shares[lower]) / (self.shares[at] - self.shares[lower]);
        self.values[lower] + part.clamp(0.0, 1.0) * (self.values[at] - self.values[lower])
    }

    /// Mean distance from the median.
    pub(crate) fn deviation(&self) -> f64 {
        let middle = self.quantile(0.5);
        let mut before = 0.0;
        let mut sum = 0.0;
        for (value, share) in self.values.iter().zip(&self.shares) {
            sum += (value - middle).abs() * (share - before);
            before = *share;
        }
        sum
    }

    /// As [`Self::quantile`], with the tail kept between its bounds relative to P90.
    pub(crate) fn capped(&self, level: f64) -> f64 {
        self.bounded(self.quantile(level), level)
    }

    /// `error` at `level`, kept between the bounds of the tail.
    pub(crate) fn bounded(&self, error: f64, level: f64) -> f64 {
        if level <= 0.9 {
            return error;
        }
        let middle = self.quantile(0.5);
        let spread = (self.quantile(0.9) - middle).max(1e-12);
        // An exponential tail grows by the same amount for each factor of ten.
        let tens = (0.1 / (1.0 - level).max(1e-9)).log10();
        let most = 1.0 + (TAIL_MAX - 1.0) * tens;
        let least = 1.0 + (TAIL_MIN - 1.0) * tens;
        middle + spread * ((error - middle) / spread).clamp(least, most)
    }

    /// As [`Self::quantile`] up to `calibrated_to`; above, an exponential tail through the errors over P90.
    pub(crate) fn with_tail(&self, level: f64, calibrated_to: f64) -> f64 {
        const FROM: f64 = 0.9;
        if level <= calibrated_to || level <= FROM || self.values.is_empty() {
            return self.quantile(level);
        }
        let threshold = self.quantile(FROM);
        let (mut excess, mut weight, mut before) = (0.0, 0.0, 0.0);
        for (value, share) in self.values.iter().zip(&self.shares) {
            if *value > threshold {
                excess += (value - threshold) * (share - before);
                weight += share - before;
            }
            before = *share;
        }
        let middle = threshold - self.quantile(0.5);
        // Mean excess of an exponential whose median and P90 are those seen, where nothing lies above.
        let usual = (middle / 5_f64.ln()).max(0.0);
        let scale = if weight > 0.0 { excess / weight } else { usual };
        let tail = threshold + scale * ((1.0 - FROM) / (1.0 - level)).ln();
        tail.max(self.quantile(calibrated_to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(count: usize) -> Errors {
        Errors::new((1..=count).map(|i| (i as f64, 1.0)).collect(), count)
    }

    #[test]
    fn quantiles_are_conformal_ranks() {
        let errors = uniform(99);
        for (level, rank) in [
            (0.5, 50.0),
            (0.9, 90.0),
            (0.99, 99.0),
            (0.9999, 99.0),
            (0.01, 1.0),
            // Not rounded up.
            (0.905, 90.5),
        ] {
            assert!((errors.quantile(level) - rank).abs() < 1e-6, "{level}");
        }
        assert_eq!(Errors::default().quantile(0.9), 0.0);
        assert_eq!(errors.calibrated_to(), 0.99);
    }

    #[test]
    fn newer_errors_count_more() {
        let errors = Errors::new(vec![(1.0, 1.0), (2.0, 1.0), (9.0, 8.0)], 3);
        let older = Errors::new(vec![(1.0, 8.0), (2.0, 1.0), (9.0, 1.0)], 3);
        assert!(errors.quantile(0.5) > 6.0 && older.quantile(0.5) < 2.0);
    }

    #[test]
    fn one_outage_does_not_set_the_tail() {
        let mut weighted: Vec<(f64, f64)> = (0..200).map(|i| (f64::from(i) / 200.0, 1.0)).collect();
        weighted.extend([(1000.0, 1.0), (1001.0, 1.0), (1002.0, 1.0)]);
        let errors = Errors::new(weighted, 203);
        assert!(errors.quantile(0.99) > 900.0);
        assert!(errors.capped(0.99) < 2.0, "{}", errors.capped(0.99));
    }

    #[test]
    fn the_tail_grows_beyond_what_was_seen() {
        let errors = uniform(50);
        let to = errors.calibrated_to();
        let values = [0.9, 0.97, 0.99, 0.999, 0.9995].map(|level| errors.with_tail(level, to));
        assert!(values.is_sorted() && values[4] > 50.0, "{values:?}");
    }
}
