//! A seasonal member: a base in a space, and how far the load was above it lately.

use half::f16;

use crate::track::Lane;

/// How far the load was above one base, summed up.
#[derive(Clone, Debug)]
pub(crate) struct Residuals<'a> {
    /// First bin at which the base is known.
    pub(crate) first: usize,
    /// First bin that is summed.
    pub(crate) from: usize,
    /// `sum[i]`: over the `i` bins from `from` on.
    pub(crate) sum: Lane<'a, f64>,
}

/// Lengths in bins of the windows that residuals are averaged over: a bin, 15 min, 1 h, 3 h, 6 h and a day.
pub(crate) fn windows(day: usize, hour: usize) -> Vec<usize> {
    let mut windows = vec![1, (hour / 4).max(1), hour, 3 * hour, (day / 4).max(1), day];
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// Most windows there are.
pub(crate) const WINDOWS_MAX: usize = 6;

impl<'a> Residuals<'a> {
    /// To be filled from bin `from` on.
    pub(crate) fn empty(first: usize, from: usize) -> Self {
        Self {
            first,
            from,
            sum: Lane::starting_with(0.0),
        }
    }

    /// What `stored` sums up from bin `from` on, to be continued.
    pub(crate) fn continued(first: usize, from: usize, stored: &'a [f64]) -> Self {
        Self {
            first,
            from,
            sum: Lane::new(stored, stored.len()),
        }
    }

    pub(crate) fn push(&mut self, residual: f64) {
        let sum = self.sum.at(self.sum.len() - 1);
        self.sum
            .push(sum + if residual.is_finite() { residual } else { 0.0 });
    }

    /// Mean residuals over each window that ends with bin `i`; none may begin before `from` unless that is 0.
    #[inline]
    pub(crate) fn means(&self, windows: &[usize], i: usize) -> [f64; WINDOWS_MAX] {
        let mut means = [0.0; WINDOWS_MAX];
        let end = self.sum.at(i + 1 - self.from);
        let known = (i + 1).saturating_sub(self.first).max(1);
        for (mean, &window) in means.iter_mut().zip(windows) {
            let from = (i + 1).saturating_sub(window);
            *mean = (end - self.sum.at(from - self.from)) / window.min(known) as f64;
        }
        means
    }
}

/// What the coefficients make of the residuals, kept within what was just seen: no extrapolation.
#[inline]
pub(crate) fn correction(means: &[f64], coefficients: &[f16]) -> f64 {
    let (mut sum, mut low, mut high) = (0.0, 0.0_f64, 0.0_f64);
    for (mean, coefficient) in means.iter().zip(coefficients) {
        sum += mean * coefficient.to_f64();
        low = low.min(*mean);
        high = high.max(*mean);
    }
    sum.clamp(low, high)
}
