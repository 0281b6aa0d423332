//! Which period a series has, by periodogram and autocorrelation.

use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64Mcg;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

const SHUFFLES: usize = 100;
/// The shuffle, in ascending order of its strongest line, that a line must exceed: the 99th percentile.
const THRESHOLD_RANK: usize = 98;

/// The period of `values` in bins: its lines that stand out against shuffles of the same values, of which the one
/// with the highest autocorrelation that is a peak there.
pub(super) fn find(values: &[f64], bins_a_day: usize, random: &mut Pcg64Mcg) -> Option<usize> {
    let count = values.len();
    let threshold = shuffled_threshold(values, random);
    let lines = spectrum(
        values
            .iter()
            .map(|&value| Complex64::new(value, 0.0))
            .collect(),
    );
    let mut candidates: Vec<usize> = Vec::new();
    for (k, line) in lines.iter().enumerate().take(count / 2).skip(2) {
        let period = count / k;
        if line.norm() > threshold && candidates.last().is_none_or(|&last| last > period) {
            candidates.push(period);
        }
    }
    let correlation = autocorrelation(values);
    let mut best = None;
    let mut highest = 0.0;
    for period in candidates {
        if correlation[period] > highest && is_peak(&correlation, period, 4 * bins_a_day / 24) {
            (best, highest) = (Some(period), correlation[period]);
        }
    }
    best
}

fn spectrum(mut values: Vec<Complex64>) -> Vec<Complex64> {
    FftPlanner::new()
        .plan_fft_forward(values.len())
        .process(&mut values);
    values
}

/// The 99th percentile of the strongest line of shuffled values, the constant aside.
fn shuffled_threshold(values: &[f64], random: &mut Pcg64Mcg) -> f64 {
    let count = values.len();
    let fft = FftPlanner::new().plan_fft_forward(count);
    let (mut one, mut other) = (values.to_vec(), values.to_vec());
    let mut buffer = vec![Complex64::default(); count];
    let mut scratch = vec![Complex64::default(); fft.get_inplace_scratch_len()];
    let mut strongest = Vec::with_capacity(SHUFFLES);
    for _ in 0..SHUFFLES / 2 {
        one.shuffle(random);
        other.shuffle(random);
        // Two real series in one complex transform: their spectra are its even and odd parts.
        for ((slot, &re), &im) in buffer.iter_mut().zip(&one).zip(&other) {
            *slot = Complex64::new(re, im);
        }
        fft.process_with_scratch(&mut buffer, &mut scratch);
        let (mut first, mut second) = (0.0_f64, 0.0_f64);
        for k in 1..count / 2 {
            let (line, mirror) = (buffer[k], buffer[count - k].conj());
            first = first.max((line + mirror).norm_sqr());
            second = second.max((line - mirror).norm_sqr());
        }
        strongest.extend([first.sqrt() / 2.0, second.sqrt() / 2.0]);
    }
    strongest.sort_unstable_by(f64::total_cmp);
    strongest[THRESHOLD_RANK]
}

/// The circular autocorrelation at every shift, 1 at shift 0.
fn autocorrelation(values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    let deviation = variance.sqrt() + 1e-12;
    let mut power = spectrum(
        values
            .iter()
            .map(|value| Complex64::new((value - mean) / deviation, 0.0))
            .collect(),
    );
    for line in &mut power {
        *line = Complex64::new(line.norm_sqr(), 0.0);
    }
    FftPlanner::new()
        .plan_fft_inverse(power.len())
        .process(&mut power);
    power.iter().map(|line| line.re / (count * count)).collect()
}

/// Whether `correlation` rises up to `period` and falls after it, by straight lines over up to `reach` bins.
fn is_peak(correlation: &[f64], period: usize, reach: usize) -> bool {
    let reach = reach.min(period / 2);
    let low = period.saturating_sub(reach);
    let high = (period + reach).min(correlation.len() - 1);
    low < period
        && period < high
        && slope(&correlation[low..=period]) > 0.0
        && slope(&correlation[period..=high]) < 0.0
}

/// The slope of the least-squares line, up to a positive factor.
fn slope(values: &[f64]) -> f64 {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    values
        .iter()
        .enumerate()
        .map(|(i, value)| (i as f64 - middle) * value)
        .sum()
}
