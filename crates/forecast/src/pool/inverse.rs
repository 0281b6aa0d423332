//! From the space of a base back to load.

use crate::track::{Scales, Track};

/// Turns values of a space into load, within what history makes plausible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inverse {
    low: f64,
    high: f64,
    log_shift: f64,
}

impl Inverse {
    pub(crate) fn new(track: &Track<'_>, scales: Scales) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for i in 0..track.len() {
            let value = track.waves[0].live.at(i);
            low = low.min(value);
            high = high.max(value);
        }
        let range = high - low;
        let low = low - 0.2 * range;
        Self {
            low: if scales.log_shift.is_some() {
                low.max(0.0)
            } else {
                low
            },
            high: high + 0.3 * range,
            log_shift: scales.log_shift.unwrap_or(0.0),
        }
    }

    /// A new highest value widens what is plausible.
    pub(crate) fn widened(self, value: f64) -> Self {
        Self {
            high: self.high.max(1.3 * value),
            low: self.low.min(value),
            ..self
        }
    }

    #[inline]
    pub(crate) fn load(&self, space: usize, value: f64) -> f64 {
        self.beyond(space, value).min(self.high)
    }

    /// Also above what history makes plausible, for a level that history has not seen.
    #[inline]
    pub(crate) fn beyond(&self, space: usize, value: f64) -> f64 {
        let value = if space == 1 {
            value.min(60.0).exp() - self.log_shift
        } else {
            value
        };
        value.max(self.low)
    }
}
