//! How many requests come in each second.

use std::time::Duration;

/// The highest rate that is taken: more than any test bed on one machine serves.
const PER_SECOND_MAX: f64 = 100_000.0;

/// Requests for each second, over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    step: Duration,
    per_second: Vec<f64>,
}

impl Rate {
    /// The same all the time.
    #[must_use]
    pub fn constant(per_second: f64) -> Self {
        Self::steps(Duration::from_secs(3_600), vec![per_second])
    }

    /// One rate for each step, from the beginning again after the last: a trace, as fast as the step says.
    #[must_use]
    pub fn steps(step: Duration, per_second: Vec<f64>) -> Self {
        Self { step, per_second }
    }

    /// A trace whose gaps stand for "as before", scaled so that its highest value becomes `peak_per_second`.
    #[must_use]
    pub fn of_trace(values: &[f64], step: Duration, peak_per_second: f64) -> Self {
        let highest = values
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .fold(0.0, f64::max);
        let mut last = 0.0;
        let scaled = values.iter().map(|&value| {
            if value.is_finite() {
                last = value.max(0.0);
            }
            if highest > 0.0 {
                last / highest * peak_per_second
            } else {
                0.0
            }
        });
        Self::steps(step, scaled.collect())
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.step.is_zero()
            && !self.per_second.is_empty()
            && self
                .per_second
                .iter()
                .all(|rate| (0.0..=PER_SECOND_MAX).contains(rate))
    }

    /// When the request after one that was due at `due` is due, both since the beginning.
    pub(super) fn next_due(&self, due: Duration) -> Duration {
        let step_seconds = self.step.as_secs_f64();
        let mut now = due.as_secs_f64();
        // What is left of one request's worth of time.
        let mut left = 1.0;
        // Two rounds through a trace without a request: there are none.
        for _ in 0..2 * self.per_second.len() {
            let index = (now / step_seconds).floor();
            let rate = self.at(index);
            let step_end = (index + 1.0) * step_seconds;
            let in_step = (step_end - now) * rate;
            if in_step >= left && rate > 0.0 {
                return Duration::from_secs_f64(now + left / rate);
            }
            left -= in_step;
            now = step_end;
        }
        Duration::MAX
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of steps since the beginning of a run"
    )]
    fn at(&self, index: f64) -> f64 {
        self.per_second[index as usize % self.per_second.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due_within(rate: &Rate, seconds: f64) -> usize {
        let mut due = Duration::ZERO;
        let mut count = 0;
        loop {
            due = rate.next_due(due);
            if due.as_secs_f64() > seconds + 1e-6 {
                return count;
            }
            count += 1;
        }
    }

    #[test]
    fn gives_as_many_requests_as_it_says() {
        assert_eq!(due_within(&Rate::constant(50.0), 10.0), 500);
        let steps = Rate::steps(Duration::from_secs(2), vec![10.0, 0.0, 5.5]);
        // 20 + 0 + 11, twice.
        assert_eq!(due_within(&steps, 12.0), 62);
        assert_eq!(due_within(&Rate::constant(0.0), 1_000.0), 0);
        assert_eq!(due_within(&Rate::constant(0.1), 20.0), 2);
    }

    #[test]
    fn follows_a_trace() {
        let trace = [50.0, f64::NAN, 100.0, -3.0];
        let rate = Rate::of_trace(&trace, Duration::from_secs(1), 10.0);
        let expected = Rate::steps(Duration::from_secs(1), vec![5.0, 5.0, 10.0, 0.0]);
        assert_eq!(rate, expected);
        assert!(Rate::of_trace(&[f64::NAN], Duration::from_secs(1), 10.0).is_usable());
        assert!(!Rate::of_trace(&[], Duration::from_secs(1), 10.0).is_usable());
    }
}
