//! What a prediction needs of the history that a model was fitted to: made of it again when needed, not kept.

use crate::{
    bases::{Plans, Values},
    clock_spread::ClockSpread,
    features::{Residuals, windows},
    grid,
    past::Evidence,
    pool::{Point, Restart},
    pooled::Pooled,
    series::Series,
    spread::Spread,
    track::{Stored, Track},
};

/// The cleaned history up to the fit, and what follows from it.
#[derive(Clone, Debug)]
pub(crate) struct Recalled {
    pub(crate) plans: Plans,
    pub(crate) stored: Stored,
    windows: Vec<usize>,
    /// First bin of `residuals`, and how many bins of `stored` they and all else stay valid for.
    from: usize,
    pub(crate) keep: usize,
    /// `[seasonal]`: running sums of the residuals of the newest day.
    residuals: Vec<Vec<f64>>,
    restart: Option<Restart>,
    pub(crate) evidence: Evidence,
    pub(crate) spread: Spread,
}

impl Recalled {
    pub(crate) fn new(pooled: &Pooled, series: &Series) -> Self {
        let clock = &pooled.clock;
        let values = pooled.history(series);
        let plans = Plans::new(clock, values.len());
        let nothing = Stored::default();
        let track = Track::continued(&nothing, 0, &values, clock, pooled.scales);
        let restart = pooled.pool.restart;
        let restart = restart.map(|found| found.restart(clock, &plans, &track.waves));
        let keep = track.len().saturating_sub(2 * clock.hour);
        let from = track.len().saturating_sub(clock.day).min(keep);
        let mut sums: Vec<Residuals<'_>> = pooled
            .pool
            .seasonals
            .iter()
            .map(|seasonal| Residuals::empty(seasonal.first, from))
            .collect();
        pooled.extend(&plans, &track, from..keep, track.len(), &mut sums);
        let residuals = sums.into_iter().map(|r| r.sum.into_vec()).collect();
        let stored = track.into_stored();
        let horizons = grid::horizons(clock.step, clock.day);
        let evidence = pooled
            .past
            .evidence(horizons, pooled.pool.levels, stored.values());
        let by_clock = ClockSpread::new(clock, stored.values().len());
        Self {
            windows: windows(clock.day, clock.hour),
            spread: Spread::new(&evidence, by_clock, pooled.capped, clock.day),
            plans,
            stored,
            from,
            keep,
            residuals,
            restart,
            evidence,
        }
    }

    /// The pool at the end of `track`, which shares its first `keep` bins with the fit.
    pub(crate) fn point<'a>(&'a self, pooled: &'a Pooled, track: &Track<'_>) -> Point<'a> {
        let known = track.len();
        let pool = &pooled.pool;
        let pairs = self.residuals.iter().zip(&pool.seasonals);
        let mut residuals: Vec<Residuals<'_>> = pairs
            .map(|(sums, seasonal)| Residuals::continued(seasonal.first, self.from, sums))
            .collect();
        pooled.extend(&self.plans, track, self.keep..known, known, &mut residuals);
        let live = &track.waves[0].live;
        let level = |bins: usize| {
            let from = known.saturating_sub(bins);
            (from..known).map(|i| live.at(i)).sum::<f64>() / (known - from) as f64
        };
        let last = live.at(known - 1);
        let means = residuals
            .iter()
            .map(|r| r.means(&self.windows, known - 1))
            .collect();
        Point {
            horizons: &self.evidence.horizons,
            windows: &self.windows,
            seasonals: &pool.seasonals,
            fitted: &pool.fitted,
            inverse: pool.inverse.widened(last),
            features: means,
            levels: [level(pooled.clock.hour), level(pooled.clock.day), last],
            restarted: self.restart.as_ref().map(|r| r.at(track, known - 1)),
        }
    }
}

impl Pooled {
    /// Sums up the residuals of `bins`, with `known` bins to read bases off.
    fn extend(
        &self,
        plans: &Plans,
        track: &Track<'_>,
        bins: std::ops::Range<usize>,
        known: usize,
        residuals: &mut [Residuals<'_>],
    ) {
        for i in bins {
            let spaces: Vec<Values> = track
                .waves
                .iter()
                .map(|wave| plans.values(&self.clock, wave, i, known))
                .collect();
            for (lane, seasonal) in residuals.iter_mut().zip(&self.pool.seasonals) {
                let base = spaces[seasonal.space][seasonal.base];
                lane.push(track.waves[seasonal.space].live.at(i) - base);
            }
        }
    }
}
