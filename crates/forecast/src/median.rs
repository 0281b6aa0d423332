//! A running median.

/// A multiset of which the median can be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rolling {
    sorted: Vec<f64>,
}

impl Rolling {
    pub(crate) fn insert(&mut self, value: f64) {
        let at = self.sorted.partition_point(|v| *v < value);
        self.sorted.insert(at, value);
    }

    /// Removes one `value`; without effect if there is none.
    pub(crate) fn remove(&mut self, value: f64) {
        let at = self.sorted.partition_point(|v| *v < value);
        if self.sorted.get(at) == Some(&value) {
            self.sorted.remove(at);
        }
    }

    /// The median; 0 of nothing.
    pub(crate) fn median(&self) -> f64 {
        let n = self.sorted.len();
        match n {
            0 => 0.0,
            _ if n % 2 == 1 => self.sorted[n / 2],
            _ => 0.5 * self.sorted[n / 2] + 0.5 * self.sorted[n / 2 - 1],
        }
    }
}
