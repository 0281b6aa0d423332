//! The pool's forecast from one origin.

use super::{Fitted, Inverse, Kind, Restarted, Seasonal};
use crate::{
    features::{WINDOWS_MAX, correction},
    grid,
};

/// The pool at one origin.
pub(crate) struct Point<'a> {
    pub(crate) horizons: &'a [usize],
    pub(crate) windows: &'a [usize],
    pub(crate) seasonals: &'a [Seasonal],
    pub(crate) fitted: &'a [Fitted],
    pub(crate) inverse: Inverse,
    /// Mean residuals per seasonal.
    pub(crate) features: Vec<[f64; WINDOWS_MAX]>,
    /// Last hour's and day's mean and the last value.
    pub(crate) levels: [f64; 3],
    pub(crate) restarted: Option<Restarted<'a>>,
}

impl Point<'_> {
    /// The pooled forecast `bins` ahead, given the bases of that bin.
    pub(crate) fn forecast(&self, bins: usize, base: impl Fn(usize) -> f64) -> f64 {
        let (low, high, share) = grid::between(self.horizons, bins);
        let upper = self.at(high, bins, &base);
        if low == high {
            return upper;
        }
        let lower = self.at(low, bins, &base);
        lower + (upper - lower) * share
    }

    fn at(&self, horizon: usize, bins: usize, base: &impl Fn(usize) -> f64) -> f64 {
        let fitted = &self.fitted[horizon];
        let windows = self.windows.len();
        let mut coefficients = fitted.coefficients.iter();
        let mut value = |kind: Kind| match kind {
            Kind::Corrected(s) => {
                let s = usize::from(s);
                let own = coefficients.next().map_or(&[][..], |own| &own[..windows]);
                self.seasonal(s, base(s), correction(&self.features[s][..windows], own))
            }
            Kind::Plain(s) => self.seasonal(usize::from(s), base(usize::from(s)), 0.0),
            Kind::HourLevel => self.levels[0],
            Kind::DayLevel => self.levels[1],
            Kind::Last => self.levels[2],
            Kind::Restart => match &self.restarted {
                Some(restarted) => restarted.load(bins, self.inverse),
                None => self.levels[2],
            },
        };
        let weights = fitted.weights.iter();
        let members = weights.map(|&(kind, weight)| (value(kind), f64::from(weight)));
        members.map(|(value, weight)| weight * value).sum()
    }

    /// The load that seasonal `s` stands for, moved; where its base is not known, the last value.
    fn seasonal(&self, s: usize, base: f64, moved: f64) -> f64 {
        if base.is_finite() {
            self.inverse.load(self.seasonals[s].space, base + moved)
        } else {
            self.levels[2]
        }
    }
}
