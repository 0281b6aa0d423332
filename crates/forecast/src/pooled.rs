//! What is kept of a pool between predictions: parameters, not history.

use crate::{
    bases::Plans,
    clock::Clock,
    coarsen::{covered, to_step},
    config::Config,
    forecast::PeakWindow,
    past::Past,
    peaks::Bins,
    pool::Pool,
    series::Series,
    skill,
    spread::is_capped,
    track::{Scales, Stored, Track},
    widening::Widening,
};

/// Everything that the pool needs to predict, beside the history that it was fitted to.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    /// Its start is the first known bin of the fit.
    pub(crate) clock: Clock,
    pub(crate) scales: Scales,
    /// The series' own scale: one unit inside.
    pub(crate) unit: f64,
    /// Bins from the first to the last known one of the fit.
    bins: usize,
    /// The same as wall-clock bins.
    local_bins: usize,
    /// The oldest of them, which the history will lose before the next fit; NaN unknown.
    head: Box<[f64]>,
    pub(crate) pool: Pool,
    pub(crate) past: Past,
    pub(crate) capped: bool,
    /// Windows with their own errors, in the order of their spans.
    pub(crate) peaks: Vec<PeakWindow>,
    pub(crate) widening: Widening,
    pub(crate) skill: f64,
    /// Days of history that weights and errors were taken from.
    pub(crate) validated_days: f64,
}

impl Pooled {
    /// `values` begins and ends with a known one and is not constant.
    pub(crate) fn fit(clock: Clock, values: &[f64], config: &Config, past_bytes: usize) -> Self {
        let unit = unit(values);
        let local = local_values(&clock, values, unit);
        let plans = Plans::new(&clock, local.len());
        let nothing = Stored::default();
        let (track, scales) = Track::fresh(&local, &clock, &nothing);
        let spans: Vec<(usize, usize)> = config.peaks.iter().map(|p| span(*p, &clock)).collect();
        let (pool, validation) = Pool::fit(&clock, &plans, &track, scales, &spans);
        let newest = validation.origins.first().copied().unwrap_or(0);
        let validated = track.len() - newest;
        let missing = (newest..track.len()).filter(|&i| !track.valid.at(i));
        let missing = missing.count() as f64 / validated.max(1) as f64;
        let head = (config.head.max(0) / clock.step).min(values.len() as i64);
        Self {
            unit,
            scales,
            bins: values.len(),
            local_bins: local.len(),
            head: values[..head as usize].into(),
            past: Past::new(&validation, &pool, &config.peaks, clock.step, past_bytes),
            capped: is_capped(&track),
            skill: skill::at_fit(&track, &validation, &clock, config.skill_level),
            validated_days: validated as f64 / clock.day as f64,
            peaks: config.peaks.clone(),
            widening: Widening::for_missing(missing),
            pool,
            clock,
        }
    }

    /// UTC seconds at which the last known bin of the fit ended.
    pub(crate) fn last_end(&self) -> i64 {
        self.clock.start + self.clock.step * self.bins as i64
    }

    /// The bins of the fit on the wall-clock grid, in units of the series' scale. Those that are neither kept nor in
    /// `series` are gaps.
    pub(crate) fn history(&self, series: &Series) -> Vec<f64> {
        let Clock { start, step, .. } = self.clock;
        let (bins, fine) = covered(series, start, step, self.bins);
        let given = Series {
            start: start + step * bins.start as i64,
            step: series.step.max(1),
            values: series.values[fine].to_vec(),
        };
        let mut values = vec![f64::NAN; self.bins];
        values[..self.head.len()].copy_from_slice(&self.head);
        let given = to_step(&given, step).values;
        for (value, given) in values[bins].iter_mut().zip(given) {
            *value = given;
        }
        let mut local = local_values(&self.clock, &values, self.unit);
        local.resize(self.local_bins, f64::NAN);
        local
    }

    /// How many bins of the fit are neither kept nor in `series`.
    pub(crate) fn lost_bins(&self, series: &Series) -> usize {
        let (bins, _) = covered(series, self.clock.start, self.clock.step, self.bins);
        let kept = self.head.len();
        let before = bins.start.min(self.bins).saturating_sub(kept);
        before + self.bins - bins.end.max(kept).min(self.bins)
    }
}

/// The first bin ahead that `peak` may touch, and how many there are from it on: `now` may be up to two bins after the
/// last known one.
fn span(peak: PeakWindow, clock: &Clock) -> (usize, usize) {
    let (step, day) = (clock.step, clock.day);
    let from = Bins::touched(peak.lead, peak.lead, step).first.min(day);
    let to = Bins::touched(0, peak.lead + peak.window + 2 * step, step).last;
    (from, (to.min(day + 2) + 1).saturating_sub(from).max(1))
}

/// Mean absolute value without overflow; at least the smallest normal number.
fn unit(values: &[f64]) -> f64 {
    let known = values.iter().filter(|v| v.is_finite());
    let most = known.clone().fold(0.0_f64, |most, v| most.max(v.abs()));
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), v| {
        (sum + (v / most).abs(), count + 1.0)
    });
    (sum / count * most).max(f64::MIN_POSITIVE)
}

/// On the wall-clock grid, in units of the series' scale; the last one is known.
fn local_values(clock: &Clock, values: &[f64], unit: f64) -> Vec<f64> {
    let mut local = Vec::with_capacity(values.len());
    for (bin, value) in values.iter().enumerate() {
        let Ok(at) = usize::try_from(clock.local(bin as i64)) else {
            continue;
        };
        if local.len() <= at {
            local.resize(at + 1, f64::NAN);
        }
        if value.is_finite() {
            local[at] = value / unit;
        }
    }
    while local.last().is_some_and(|v: &f64| v.is_nan()) {
        local.pop();
    }
    local
}
