//! A forecast as a JSON document.

use anyhow::Context as _;
use foreshard_forecast::Forecast;
use jiff::Timestamp;
use serde::Serialize;

/// The document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    issued_at: Timestamp,
    /// When the first bin begins.
    start: Timestamp,
    step_seconds: i64,
    model: &'a str,
    reliable: bool,
    reasons: &'a [String],
    skill: Skill,
    quantiles: Vec<Quantile<'a>>,
    peaks: Vec<Peak>,
}

/// How much better than repeating the season, at the level at which scaling asks.
#[derive(Debug, Serialize)]
struct Skill {
    /// `1 - pinball loss / pinball loss of the reference`; `null`: unknown.
    value: Option<f64>,
    level: f64,
    reference: &'static str,
}

#[derive(Debug, Serialize)]
struct Quantile<'a> {
    q: f64,
    /// One mean a bin.
    values: &'a [f64],
}

/// The maximum over `[issued_at + lead, issued_at + lead + window]`.
#[derive(Debug, Serialize)]
struct Peak {
    lead_seconds: i64,
    window_seconds: i64,
    /// Above this level the values come from an exponential tail, not from past windows.
    calibrated_to: f64,
    quantiles: Vec<PeakQuantile>,
}

#[derive(Debug, Serialize)]
struct PeakQuantile {
    q: f64,
    value: f64,
}

impl<'a> Document<'a> {
    pub(super) fn new(forecast: &'a Forecast) -> anyhow::Result<Self> {
        let time = |seconds| Timestamp::from_second(seconds).context("a time is out of range");
        let levels = || forecast.levels.iter().copied();
        let skill = Skill {
            value: forecast.skill.is_finite().then_some(forecast.skill),
            level: foreshard_forecast::Config::default().skill_level,
            reference: "seasonal-naive",
        };
        let quantiles = levels()
            .zip(&forecast.paths)
            .map(|(q, values)| Quantile { q, values });
        let peaks = forecast.peaks.iter().map(|peak| Peak {
            lead_seconds: peak.window.lead,
            window_seconds: peak.window.window,
            calibrated_to: forecast.calibrated_to,
            quantiles: levels()
                .zip(&peak.values)
                .map(|(q, &value)| PeakQuantile { q, value })
                .collect(),
        });
        Ok(Self {
            issued_at: time(forecast.issued_at)?,
            start: time(forecast.start)?,
            step_seconds: forecast.step,
            model: &forecast.model,
            reliable: forecast.reliable,
            reasons: &forecast.reasons,
            skill,
            quantiles: quantiles.collect(),
            peaks: peaks.collect(),
        })
    }
}
