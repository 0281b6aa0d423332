//! What a fit is asked to cover.

use crate::forecast::PeakWindow;

/// Bounds and aims of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Window maxima to calibrate as such; others are answered from the paths.
    pub peaks: Vec<PeakWindow>,
    /// Newest seconds of history that are used; 28 days, since nothing is gained from more at these horizons.
    pub history_max: i64,
    /// Seconds of the oldest history that the model keeps, since the series will lose them while it is in use: at least
    /// the time between two fits. 12 hours, 1 kB at 5 minutes.
    pub head: i64,
    /// Level at which skill is judged: the one that scaling asks for.
    pub skill_level: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            peaks: Vec::new(),
            history_max: 28 * 86_400,
            head: 12 * 3600,
            skill_level: 0.9,
        }
    }
}
