//! What the user asked for, and how the engine works.

use std::sync::Arc;

use foreshard_decide::contract::{Label, LoadEvent, Seconds};
use foreshard_decide::{QualityLimits, Rules};
use foreshard_forecast::Calendar;

/// Settings of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The object's kind.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The object's labels.
    pub labels: Vec<Label>,
    /// What is aimed at.
    pub aims: Aims,
    /// The guardrails' settings.
    pub rules: Arc<Rules>,
    /// What makes data not ok.
    pub quality: QualityLimits,
    /// The name of the time zone that `calendar` stands for.
    pub zone: String,
    /// Local time and holidays, over history and horizon.
    pub calendar: Calendar,
    /// Known events: what raises the load raises the forecast of what it touches.
    pub events: Vec<LoadEvent>,
    /// Seconds after which a model is fitted again.
    pub refit_every: i64,
    /// How many targets the process evaluates.
    pub crowd: Crowd,
}

/// How many targets a process evaluates. Forecasts are the same; time and memory are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Crowd {
    /// A few, often: what predictions need of history is kept as well, 1 to 3 MB for each signal. Models are fitted
    /// again `refit_every` seconds after the last fit.
    #[default]
    Few,
    /// Up to thousands: only models are kept, at most 40 kB for each signal, and history is read again at every step.
    /// Fits of targets that were created at one moment are spread: the first is made at once, the second within
    /// `refit_every` at a moment that follows from the target's and the signal's names, and each one after it
    /// `refit_every` later.
    Many,
}

/// What is aimed at.
#[derive(Clone, Debug, PartialEq)]
pub struct Aims {
    /// Share of time that demand may exceed capacity, above 0, below 1.
    pub violation_budget: f64,
    /// Over this span, in seconds.
    pub budget_window: Seconds,
    /// Utilisation that the reactive rule steers to.
    pub target_utilization: f64,
    /// No plan may expect more than this at the chosen quantile.
    pub max_utilization: f64,
    /// Currency of the costs.
    pub currency: String,
    /// What a minute over capacity costs.
    pub cost_per_violation_minute: f64,
}

impl Default for Aims {
    fn default() -> Self {
        Self {
            violation_budget: 0.01,
            budget_window: 7.0 * 86_400.0,
            target_utilization: 0.7,
            max_utilization: 0.9,
            currency: String::new(),
            cost_per_violation_minute: 0.0,
        }
    }
}

impl Settings {
    /// A number that follows from the names of the target and of one of its signals, and from nothing else (FNV-1a).
    pub(crate) fn place(&self, part: &str, signal: &str) -> u64 {
        let names = [&self.kind, &self.namespace, &self.name].map(String::as_str);
        let names = names.into_iter().chain([part, signal]);
        let bytes = names.flat_map(|name| name.bytes().chain([0]));
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kind: String::new(),
            namespace: String::new(),
            name: String::new(),
            labels: Vec::new(),
            aims: Aims::default(),
            rules: Arc::default(),
            quality: QualityLimits::default(),
            zone: "UTC".to_owned(),
            calendar: Calendar::default(),
            events: Vec::new(),
            refit_every: 6 * 3600,
            crowd: Crowd::default(),
        }
    }
}
