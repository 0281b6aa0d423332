//! Skill: how much better the pool is than repeating the past.

use crate::{clock::Clock, errors::Errors, grid, pool::Validation, track::Track};

/// Days over which skill is judged.
const DAYS: usize = 7;

/// `1 - pinball / pinball of the better seasonal-naive` at `level`, an hour ahead, over the newest week of held-out
/// history; NaN when there is none.
pub(crate) fn at_fit(track: &Track<'_>, validation: &Validation, clock: &Clock, level: f64) -> f64 {
    let horizons = grid::horizons(clock.step, clock.day);
    let horizon = grid::between(&horizons, clock.hour).1;
    let ahead = horizons[horizon];
    let newest = track.len().saturating_sub(DAYS * clock.day);
    let rows: Vec<usize> = (0..validation.origins.len())
        .filter(|&row| {
            validation.origins[row] >= newest && validation.truths[horizon][row].is_finite()
        })
        .collect();
    let loss = |errors: Vec<f64>| {
        let quantile = Errors::new(errors.iter().map(|e| (*e, 1.0)).collect(), errors.len());
        let above = quantile.quantile(level);
        let pinball = |e: &f64| {
            let miss = e - above;
            if miss > 0.0 {
                level * miss
            } else {
                (level - 1.0) * miss
            }
        };
        errors.iter().map(pinball).sum::<f64>() / errors.len() as f64
    };
    let naive = |lag: usize| {
        let past = |&row: &usize| {
            let target = validation.origins[row] + ahead;
            target
                .checked_sub(lag)
                .map(|i| validation.truths[horizon][row] - track.values.at(i))
        };
        let errors: Option<Vec<f64>> = rows.iter().map(past).collect();
        errors.map(loss)
    };
    let pooled_loss = loss(
        rows.iter()
            .map(|&row| validation.truths[horizon][row] - validation.forecasts[horizon][row])
            .collect(),
    );
    let day = clock.day;
    let best = [naive(day), naive(7 * day)]
        .into_iter()
        .flatten()
        .fold(f64::NAN, f64::min);
    if best > 0.0 {
        1.0 - pooled_loss / best
    } else {
        f64::NAN
    }
}
