//! A regular series of load.

/// A regular series: `values[i]` is the mean load over `[start + i * step, start + (i + 1) * step)`.
///
/// A gap is NaN; every other value is finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Unix seconds at which the first bin begins; any integer.
    pub start: i64,
    /// Length of a bin in seconds, at least 1.
    pub step: i64,
    /// One mean per bin, NaN where nothing is known.
    pub values: Vec<f64>,
}

/// One live measurement, newer than the last complete bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Unix seconds.
    pub at: i64,
    /// Load at that moment, finite.
    pub value: f64,
}

impl Series {
    /// Where the last bin ends, in Unix seconds; `start` for an empty series.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.start + self.step * self.values.len() as i64
    }

    /// The bins that end at or before `time`: what was known then, were there no delay.
    #[must_use]
    pub fn until(&self, time: i64) -> Self {
        let bins = ((time - self.start).max(0) / self.step).min(self.values.len() as i64);
        Self {
            values: self.values[..bins as usize].to_vec(),
            ..*self
        }
    }

    /// The newest `bins` bins.
    #[must_use]
    pub fn tail(&self, bins: usize) -> Self {
        let skip = self.values.len().saturating_sub(bins);
        Self {
            start: self.start + self.step * skip as i64,
            step: self.step,
            values: self.values[skip..].to_vec(),
        }
    }
}
