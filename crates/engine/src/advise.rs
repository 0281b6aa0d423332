//! What to advise where no forecast helps: head-room for the reactive rule.

use foreshard_forecast::{PeakWindow, Series};

use crate::windows::maximum;

/// Seconds of history that are looked at.
const LOOKBACK_SECONDS: i64 = 28 * 86_400;
/// HPA does nothing while utilisation is within this share of its target.
const TOLERANCE: f64 = 0.1;
/// Fewest past moments that an advice can rest on.
const MOMENTS_MIN: usize = 100;

/// The head-room, as a share (0.15: 15 % more than plain HPA has), with which HPA at `target_utilization` would have
/// kept time over capacity to `budget` in `history`, had orders taken `lead` seconds.
///
/// It is read off how much the load grew within the lead: HPA's capacity is the load that it saw, over its target and
/// within its tolerance. At least 0; none where history is too short or empty.
#[must_use]
pub fn advised_headroom(
    history: &Series,
    lead: i64,
    target_utilization: f64,
    budget: f64,
) -> Option<f64> {
    let step = history.step.max(1);
    let bins = history.values.len();
    let first = bins.saturating_sub((LOOKBACK_SECONDS / step) as usize);
    let window = PeakWindow {
        lead: 0,
        window: lead.max(0) + step,
    };
    let mut growth: Vec<f64> = (first..bins)
        .filter_map(|bin| {
            let seen = history.values[bin];
            let after = history.start + step * (bin as i64 + 1);
            let most = maximum(history, after, window)?;
            (seen > 0.0).then(|| most / seen)
        })
        .collect();
    if growth.len() < MOMENTS_MIN {
        return None;
    }
    growth.sort_unstable_by(f64::total_cmp);
    let rank = ((1.0 - budget) * growth.len() as f64).ceil() as usize;
    let usual = growth[rank.clamp(1, growth.len()) - 1];
    Some((target_utilization * (1.0 + TOLERANCE) * usual - 1.0).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(value: impl Fn(usize) -> f64) -> Series {
        Series {
            start: 0,
            step: 300,
            values: (0..2000).map(value).collect(),
        }
    }

    #[test]
    fn calm_load_needs_none_and_jumps_need_what_they_add() {
        let calm = series(|_| 100.0);
        assert_eq!(advised_headroom(&calm, 600, 0.7, 0.01), Some(0.0));
        // Every tenth bin is three times the others.
        let jumps = series(|bin| if bin % 10 == 0 { 300.0 } else { 100.0 });
        let advised = advised_headroom(&jumps, 600, 0.7, 0.01).unwrap();
        assert!(
            (advised - (0.7 * 1.1 * 3.0 - 1.0)).abs() < 1e-9,
            "{advised}"
        );
        let generous = advised_headroom(&jumps, 600, 0.7, 0.9).unwrap();
        assert!(generous < advised);
    }

    #[test]
    fn nothing_is_advised_from_nothing() {
        assert_eq!(
            advised_headroom(&series(|_| f64::NAN), 600, 0.7, 0.01),
            None
        );
        assert_eq!(advised_headroom(&series(|_| 0.0), 600, 0.7, 0.01), None);
    }
}
