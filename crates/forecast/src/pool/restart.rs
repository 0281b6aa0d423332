//! A member that begins anew where the level broke.
//!
//! After a step of the load every base is wrong by that step until its lags lie behind it, and corrections, trained to
//! let residuals fade, take it back too early at long horizons. This member reads the rhythm before the break only, and
//! the level after it only. It joins the pool when a break is seen and what came since has borne it out.

use super::{
    FADE_DAYS, Inverse, Kind, Validation, break_point, fitting::Fitting, weights::weights,
};
use crate::{
    bases::Plans,
    clock::Clock,
    track::{Track, Wave},
};

/// Fewest rows since the break for a horizon to have evidence of its own.
const EVIDENCE_MIN: usize = 6;
/// A restart's errors count for so much more than the pool's: it knows where the break was, and most breaks that
/// are seen are events which end.
const MARGIN: f64 = 2.0;

/// Where the level broke, and by which base the rhythm from before is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Break {
    /// First bin after the break.
    from: usize,
    /// Bins of the history that it was found in.
    known: usize,
    space: usize,
    pub(crate) base: usize,
}

/// The rhythm from before a break, to be moved to the level since.
#[derive(Clone, Debug)]
pub(crate) struct Restart {
    pub(crate) found: Break,
    /// The base from bins before the break, of the bins from `from` on.
    usual: Vec<f64>,
    day: usize,
    hour: usize,
}

/// A restart at one origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restarted<'a> {
    restart: &'a Restart,
    /// Mean of what came since the break above the usual.
    above: f64,
    /// How much more it was in the last hour.
    lately: f64,
    /// The last known bin.
    origin: usize,
}

/// A restart as it would have done since the break.
pub(super) struct Tried {
    pub(super) restart: Restart,
    /// `[horizon]`: its share of the forecast, 0 to 1.
    pub(super) shares: Vec<f64>,
    /// `[horizon][row]` of the validation; NaN before the break.
    table: Vec<Vec<f64>>,
}

impl Tried {
    /// The restart that did best since the break, if there was one; `None` where the pool did better.
    pub(super) fn best(fitting: &Fitting<'_>, validation: &Validation) -> Option<Self> {
        let from = break_point::find(fitting)?;
        let truths = since(fitting, validation, from);
        let tried = candidates(fitting, from).into_iter().map(|restart| {
            let table = restart.table(fitting, validation, &truths);
            (error(&table, &truths), restart, table)
        });
        let (_, restart, table) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let rivals: Vec<Vec<f64>> = table
            .iter()
            .zip(&truths)
            .zip(&validation.forecasts)
            .map(|((own, truths), pool)| rivals(own, truths, pool))
            .collect();
        // The pool stands where the last value does: what is left without evidence.
        let kinds = [Kind::Restart, Kind::Last];
        let weights = weights(&fitting.horizons, &kinds, &rivals, &truths, EVIDENCE_MIN);
        let shares: Vec<f64> = weights.iter().map(|pair| pair[0]).collect();
        shares.iter().any(|share| *share > 0.0).then_some(Self {
            restart,
            shares,
            table,
        })
    }

    /// Makes the past forecasts since the break those with the restart, and forgets those that the break took by
    /// surprise: they would widen the bands for weeks, relative to a level that has changed.
    pub(super) fn revise(&self, horizons: &[usize], validation: &mut Validation) {
        let Restart { found, hour, .. } = self.restart;
        let from = found.from;
        for (horizon, &bins) in horizons.iter().enumerate() {
            for (row, &origin) in validation.origins.iter().enumerate() {
                if origin >= from + hour {
                    let forecast = &mut validation.forecasts[horizon][row];
                    *forecast += self.shares[horizon] * (self.table[horizon][row] - *forecast);
                } else if origin + bins + 2 * hour >= from {
                    validation.truths[horizon][row] = f64::NAN;
                }
            }
        }
    }
}

impl Break {
    /// The first bin that the rhythm is not read from: the hour before the break holds it, or lies after it already.
    fn before(self, clock: &Clock) -> usize {
        self.from.saturating_sub(2 * clock.hour).max(1)
    }

    /// Reads the rhythm off the history that the break was found in.
    pub(crate) fn restart(self, clock: &Clock, plans: &Plans, waves: &[Wave<'_>]) -> Restart {
        let (wave, before) = (&waves[self.space], self.before(clock));
        // A day ahead, until the next fit.
        let end = self.known + clock.day + clock.day / 4;
        let usual = |i| plans.values(clock, wave, i, before)[self.base];
        Restart {
            found: self,
            usual: (self.from..end).map(usual).collect(),
            day: clock.day,
            hour: clock.hour,
        }
    }
}

impl Restart {
    /// At bin `origin` of `track`, which is at or after the break.
    pub(crate) fn at<'a>(&'a self, track: &Track<'_>, origin: usize) -> Restarted<'a> {
        let Break { from, space, .. } = self.found;
        let live = &track.waves[space].live;
        let above = |from: usize| {
            let sum: f64 = (from..=origin).map(|i| live.at(i) - self.usual(i)).sum();
            sum / (origin + 1 - from) as f64
        };
        let level = above(from);
        let last_hour = from.max((origin + 1).saturating_sub(self.hour));
        Restarted {
            restart: self,
            above: level,
            lately: above(last_hour) - level,
            origin,
        }
    }

    /// The usual value of bin `i`; beyond what was made ready, that of the day before.
    fn usual(&self, i: usize) -> f64 {
        let since = i - self.found.from;
        let beyond = (since + 1).saturating_sub(self.usual.len());
        self.usual[since - beyond.div_ceil(self.day) * self.day]
    }

    /// `[horizon][row]`: what it would have forecast where a truth is known.
    fn table(
        &self,
        fitting: &Fitting<'_>,
        validation: &Validation,
        truths: &[Vec<f64>],
    ) -> Vec<Vec<f64>> {
        let mut table = vec![vec![f64::NAN; validation.origins.len()]; truths.len()];
        for (row, &origin) in validation.origins.iter().enumerate() {
            if origin < self.found.from {
                continue;
            }
            let restarted = self.at(fitting.track, origin);
            for (horizon, &bins) in fitting.horizons.iter().enumerate() {
                if truths[horizon][row].is_finite() {
                    table[horizon][row] = restarted.load(bins, fitting.inverse);
                }
            }
        }
        table
    }
}

impl Restarted<'_> {
    /// The load `bins` after the origin.
    pub(crate) fn load(&self, bins: usize, inverse: Inverse) -> f64 {
        let restart = self.restart;
        let usual = restart.usual(self.origin + bins);
        let fade = (-(bins as f64) / (FADE_DAYS * restart.day as f64)).exp();
        inverse.beyond(restart.found.space, usual + self.above + fade * self.lately)
    }
}

/// For each space a restart of the base that was best before the break: the hours since tell additive from
/// proportional steps, but not one day's rhythm from another's.
fn candidates(fitting: &Fitting<'_>, from: usize) -> Vec<Restart> {
    let candidate = |space: usize| {
        let mut found = Break {
            from,
            known: fitting.track.len(),
            space,
            base: 0,
        };
        found.base = best_base(fitting, space, found.before(fitting.clock))?;
        let restart = found.restart(fitting.clock, fitting.plans, &fitting.track.waves);
        let known = restart.usual.iter().all(|v| v.is_finite());
        known.then_some(restart)
    };
    (0..fitting.track.waves.len())
        .filter_map(candidate)
        .collect()
}

/// The base with the least mean error in the bins before `before`.
fn best_base(fitting: &Fitting<'_>, space: usize, before: usize) -> Option<usize> {
    let live = &fitting.track.waves[space].live;
    let error = |bases: &[f64]| {
        let pairs = bases[..before].iter().enumerate();
        let errors = pairs.map(|(i, base)| (live.at(i) - base).abs());
        let known = errors.filter(|error| error.is_finite());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), e| (sum + e, count + 1.0));
        sum / count
    };
    let ours = fitting.seasonals.iter().zip(&fitting.bases);
    ours.filter(|(seasonal, _)| seasonal.space == space)
        .map(|(seasonal, bases)| (seasonal.base, error(bases)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(base, _)| base)
}

/// The truths of the validation, as far as an hour of the new level was known at their origin.
fn since(fitting: &Fitting<'_>, validation: &Validation, from: usize) -> Vec<Vec<f64>> {
    let mut truths = validation.truths.clone();
    let origins = &validation.origins;
    let old = origins.partition_point(|origin| *origin < from + fitting.clock.hour);
    for truths in &mut truths {
        truths[..old].fill(f64::NAN);
    }
    truths
}

/// Sum of the absolute errors where both are known.
fn error(table: &[Vec<f64>], truths: &[Vec<f64>]) -> f64 {
    let pairs = table.iter().flatten().zip(truths.iter().flatten());
    let errors = pairs.map(|(forecast, truth)| (forecast - truth).abs());
    errors.filter(|error| error.is_finite()).sum()
}

/// The two rows by row, the restart's errors enlarged by [`MARGIN`].
fn rivals(own: &[f64], truths: &[f64], pool: &[f64]) -> Vec<f64> {
    let own = own.iter().zip(truths);
    let enlarged = own.map(|(forecast, truth)| truth + MARGIN * (forecast - truth));
    enlarged
        .zip(pool)
        .flat_map(|(own, pool)| [own, *pool])
        .collect()
}
