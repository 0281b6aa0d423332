//! What is asked of a model and what it answers.

/// The span after `now` whose maximum matters to an action: `[now + lead, now + lead + window]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PeakWindow {
    /// Seconds from now, at least 0.
    pub lead: i64,
    /// Seconds, at least 0.
    pub window: i64,
}

/// What is asked of a fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Unix seconds; nothing at or after it is known.
    pub now: i64,
    /// How far the paths reach from `now`, in seconds; 0: no paths.
    pub horizon: i64,
    /// Quantile levels, ascending, each in (0, 1).
    pub levels: Vec<f64>,
    /// Window maxima; those that the model was fitted for are calibrated as such.
    pub peaks: Vec<PeakWindow>,
}

/// Quantiles of the load to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Unix seconds.
    pub issued_at: i64,
    /// The model's name and what it put its weight on, for people.
    pub model: String,
    /// False: demoted by the skill gate. A forecast whose bands are only widened for missing data stays reliable.
    pub reliable: bool,
    /// Why it is demoted or degraded, one sentence each.
    pub reasons: Vec<String>,
    /// `1 - pinball / pinball of seasonal-naive` at the scaling level; NaN: unknown.
    pub skill: f64,
    /// Quantile levels as asked.
    pub levels: Vec<f64>,
    /// Above this level, window maxima come from an exponential tail, not from past windows.
    pub calibrated_to: f64,
    /// Unix seconds at which the first bin of the paths begins.
    pub start: i64,
    /// Seconds of a bin.
    pub step: i64,
    /// `paths[k][i]`: level `k` of the mean over the bin at `start + i * step`; non-decreasing in `k`.
    pub paths: Vec<Vec<f64>>,
    /// One per asked window, in their order.
    pub peaks: Vec<Peak>,
}

/// Quantiles of the maximum over one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// The window.
    pub window: PeakWindow,
    /// One per level, non-decreasing.
    pub values: Vec<f64>,
}
