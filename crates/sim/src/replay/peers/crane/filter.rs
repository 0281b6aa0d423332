//! Low-pass filters on the spectrum, of which the one that predicts the last period best is taken.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

/// What is added to the prediction.
const MARGIN: f64 = 0.1;
/// The prediction where the filtered load is not above zero.
const LEAST: f64 = 0.01;
/// How many of the strongest lines decide the amplitude below which fast lines are dropped.
const STRONGEST_LINES: usize = 100;
/// The base of the logarithm that makes a shortfall weigh more than an excess.
const SHORTFALL_BASE: f64 = 1.25;
/// Below this load, errors are taken as they are, not relative to the load.
const NEAR_ZERO: f64 = 1e-3;

/// A low-pass filter: of lines faster than one an hour, the weak ones are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Filter {
    /// Strongest lines that are always kept.
    at_least: usize,
    /// Lines below this amplitude, in the load's unit, are dropped unless they are among those.
    amplitude: f64,
}

/// The filters that compete.
const FILTERS: [Filter; 2] = [
    Filter {
        at_least: 3,
        amplitude: 1.0,
    },
    Filter {
        at_least: 50,
        amplitude: 0.05,
    },
];

/// The filter that predicts the last period from those before it best; the first where they tie.
pub(super) fn best(values: &[f64], period: usize, bins_a_day: usize) -> Filter {
    let (before, actual) = values.split_at(values.len() - period);
    let errors =
        FILTERS.map(|filter| error(actual, &filter.last_period(before, period, bins_a_day)));
    FILTERS[usize::from(errors[1] < errors[0])]
}

impl Filter {
    /// The last period of the filtered `values`, with the margin.
    pub(super) fn last_period(self, values: &[f64], period: usize, bins_a_day: usize) -> Vec<f64> {
        let count = values.len();
        let mut planner = FftPlanner::new();
        let mut lines: Vec<Complex64> = values
            .iter()
            .map(|&value| Complex64::new(value, 0.0))
            .collect();
        planner.plan_fft_forward(count).process(&mut lines);
        // A real series has mirrored lines; rounding must not let one pass the threshold and not the other.
        for k in count / 2 + 1..count {
            lines[k] = lines[count - k].conj();
        }
        let threshold = self.threshold(&lines);
        for (k, line) in lines.iter_mut().enumerate() {
            // Mirrored lines count as fast ones, as they do in the original.
            let per_hour = k as f64 * bins_a_day as f64 / count as f64 / 24.0;
            if per_hour > 1.0 && line.norm() / (count as f64) < threshold {
                *line = Complex64::default();
            }
        }
        planner.plan_fft_inverse(count).process(&mut lines);
        lines[count - period..]
            .iter()
            .map(|value| value.re / count as f64)
            .map(|load| if load > 0.0 { load } else { LEAST } * (1.0 + MARGIN))
            .collect()
    }

    /// The amplitude below which fast lines are dropped.
    fn threshold(self, lines: &[Complex64]) -> f64 {
        let count = lines.len();
        let mut amplitudes: Vec<f64> = lines[1..count / 2]
            .iter()
            .map(|line| line.norm() / count as f64)
            .collect();
        amplitudes.sort_unstable_by(|one, other| other.total_cmp(one));
        let weakest = amplitudes
            .get(STRONGEST_LINES - 1)
            .or(amplitudes.last())
            .copied();
        let threshold = weakest.unwrap_or(0.0).max(self.amplitude);
        amplitudes
            .get(self.at_least - 1)
            .map_or(threshold, |&least| least.min(threshold))
    }
}

/// The mean error of a prediction, a shortfall weighing more than an excess.
fn error(actual: &[f64], predicted: &[f64]) -> f64 {
    let near_zero = actual.iter().any(|&load| load < NEAR_ZERO);
    let sum: f64 = actual
        .iter()
        .zip(predicted)
        .map(|(&load, &predicted)| {
            let missing = load - predicted;
            if near_zero {
                return missing.abs();
            }
            let share = (missing / load).min(0.999_999);
            if share > 0.0 {
                -(1.0 - share).ln() / SHORTFALL_BASE.ln()
            } else {
                -share
            }
        })
        .sum();
    sum / actual.len() as f64
}
