//! Where the level broke: a run of hours that are all far on one side of the usual.

use super::fitting::Fitting;
use crate::track::median;

/// Robust standard deviations by which every hour since a break lies beyond the usual, and their mean.
const HOUR_SIGMAS: f64 = 2.0;
const MEAN_SIGMAS: f64 = 4.0;
/// Share of the newest hours' step by which every hour since the break has to lie beyond the usual as well.
const STEP_SHARE: f64 = 0.5;
/// Fewest and most hours since a break: a shorter one may be an event, after a longer one the other members know.
const HOURS_MIN: usize = 6;
const HOURS_MAX: usize = 48;

/// Fewest bins a day: in bins of more than an hour a step is old before it is seen.
const DAY_MIN: usize = 24;

/// The first bin that is wholly after the newest break.
pub(super) fn find(fitting: &Fitting<'_>) -> Option<usize> {
    if fitting.clock.day < DAY_MIN {
        return None;
    }
    let space = fitting.track.waves.len() - 1;
    let seasonals = (0..fitting.seasonals.len()).filter(|&s| fitting.seasonals[s].space == space);
    let (hours, sigma) = seasonals
        .map(|seasonal| {
            let hours = hours(fitting, seasonal);
            let sigma = 1.4826 * median(hours.iter().map(|h| h.abs()).collect());
            (hours, sigma)
        })
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    let step = median(hours.get(..HOURS_MIN)?.to_vec());
    let least = (HOUR_SIGMAS * sigma).max(STEP_SHARE * step.abs());
    let beyond = |hour: &f64| hour * step.signum() > least;
    let run = hours.iter().take_while(|hour| beyond(hour)).count();
    if !(HOURS_MIN + 1..=HOURS_MAX).contains(&run) {
        return None;
    }
    // The oldest hour may lie before it in part.
    let since = &hours[..run - 1];
    let mean = since.iter().sum::<f64>() / since.len() as f64;
    let bins = since.len() * fitting.clock.hour;
    (mean.abs() > MEAN_SIGMAS * sigma).then(|| fitting.track.len() - bins)
}

/// Mean residuals of whole hours, newest first.
fn hours(fitting: &Fitting<'_>, seasonal: usize) -> Vec<f64> {
    let residuals = &fitting.residuals[seasonal];
    let (end, hour) = (fitting.track.len(), fitting.clock.hour);
    let mean = |back: usize| {
        let to = end - back * hour;
        (residuals.sum.at(to) - residuals.sum.at(to - hour)) / hour as f64
    };
    let known = end.saturating_sub(residuals.first);
    (0..known / hour).map(mean).collect()
}
