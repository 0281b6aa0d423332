//! The skill gate: may this forecast act?
//!
//! Judged where it matters: on the window maxima that were really issued for the action's own lead, at P90, against
//! the seasonal-naive maximum of the same window a week (else a day) before with the P90 of *its* recent errors.

use std::collections::VecDeque;

use foreshard_forecast::{Issued, Model, PeakWindow, Series};
use serde::{Deserialize, Serialize};

use crate::windows::maximum;

/// The level at which both are judged.
const LEVEL: f64 = 0.9;
/// Least skill that lets a forecast act.
const SKILL_MIN: f64 = 0.05;
/// How many standard errors below [`SKILL_MIN`] the skill must lie: a few unlucky windows demote nobody.
const STANDARD_ERRORS: f64 = 1.5;
/// Seconds over which it is judged.
const JUDGED_SECONDS: i64 = 7 * DAY_SECONDS;
/// Fewest outcomes that can demote a forecast.
const OUTCOMES_MIN: u32 = 24;
/// Most windows from which the naive forecast's errors are taken, evenly over [`NAIVE_SECONDS`].
const NAIVE_WINDOWS: i64 = 200;
const NAIVE_SECONDS: i64 = 7 * DAY_SECONDS;
/// Seconds of history below which no forecast is trusted.
const HISTORY_MIN_SECONDS: i64 = 7 * DAY_SECONDS / 2;
const DAY_SECONDS: i64 = 86_400;

/// Seconds of outcomes that are counted together, and forgotten together.
const BUCKET_SECONDS: i64 = 3 * 3600;

/// How forecast and seasonal-naive did of late.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    /// Oldest first.
    buckets: VecDeque<Bucket>,
}

/// Outcomes of forecasts that were issued within [`BUCKET_SECONDS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bucket {
    /// Unix seconds.
    from: i64,
    count: u32,
    /// Sums of the forecast's pinball losses and of the naive ones.
    own: f64,
    naive: f64,
    /// By how much the forecast fell short of [`SKILL_MIN`], and its square, summed up.
    short: f64,
    square: f64,
}

impl Bucket {
    fn add(&mut self, own: f64, naive: f64) {
        let short = own - (1.0 - SKILL_MIN) * naive;
        self.count += 1;
        self.own += own;
        self.naive += naive;
        self.short += short;
        self.square += short * short;
    }
}

impl Gate {
    /// Takes in the truth of one issued maximum; `series` is what is known by now.
    pub(crate) fn learn(&mut self, issued: &Issued, truth: f64, series: &Series) {
        let at_level = issued.levels.iter().zip(&issued.values);
        let value = at_level
            .min_by(|a, b| (a.0 - LEVEL).abs().total_cmp(&(b.0 - LEVEL).abs()))
            .map(|(_, &value)| value);
        let naive = naive(series, issued.at, issued.window);
        if let (Some(value), Some(naive)) = (value, naive) {
            let from = issued.at - issued.at.rem_euclid(BUCKET_SECONDS);
            if self.buckets.back().is_none_or(|newest| newest.from < from) {
                self.buckets.push_back(Bucket {
                    from,
                    ..Bucket::default()
                });
            }
            if let Some(newest) = self.buckets.back_mut() {
                newest.add(pinball(truth - value), pinball(truth - naive));
            }
        }
    }

    /// `1 - loss / naive loss` over the last days; none while too few outcomes are known.
    pub(crate) fn skill(&self) -> Option<f64> {
        self.judged().map(|(skill, _)| skill)
    }

    /// The skill, and whether it is surely too low.
    fn judged(&self) -> Option<(f64, bool)> {
        let outcomes: u32 = self.buckets.iter().map(|bucket| bucket.count).sum();
        if outcomes < OUTCOMES_MIN {
            return None;
        }
        let count = f64::from(outcomes);
        let sum = |of: fn(&Bucket) -> f64| self.buckets.iter().map(of).sum::<f64>();
        let (own, naive) = (sum(|bucket| bucket.own), sum(|bucket| bucket.naive));
        let excess = sum(|bucket| bucket.short) / count;
        let square = sum(|bucket| bucket.square) / count;
        let error = ((square - excess * excess).max(0.0) / count).sqrt();
        (naive > 0.0).then(|| (1.0 - own / naive, excess > STANDARD_ERRORS * error))
    }

    fn forget(&mut self, now: i64) {
        while self
            .buckets
            .pop_front_if(|bucket| bucket.from + BUCKET_SECONDS <= now - JUDGED_SECONDS)
            .is_some()
        {}
    }

    /// Why the forecast may not act; empty: it may.
    pub(crate) fn doubts(&mut self, now: i64, series: &Series, model: &Model) -> Vec<String> {
        self.forget(now);
        let mut doubts = Vec::new();
        let known = series.values.iter().position(|bin| !bin.is_nan());
        let span = known.map_or(0, |first| {
            series.end() - series.start - first as i64 * series.step
        });
        if span < HISTORY_MIN_SECONDS {
            let days = span as f64 / DAY_SECONDS as f64;
            doubts.push(format!("{days:.1} days of history are less than 3.5"));
        } else if model.skill().is_nan() {
            doubts.push("the load has no pattern that a model could be fitted to".to_owned());
        }
        if let Some((skill, true)) = self.judged() {
            doubts.push(format!(
                "skill of {skill:.2} against seasonal-naive over the last days is below {SKILL_MIN}"
            ));
        }
        doubts
    }
}

fn pinball(miss: f64) -> f64 {
    if miss > 0.0 {
        LEVEL * miss
    } else {
        (LEVEL - 1.0) * miss
    }
}

/// What seasonal-naive would have issued at `at`, from what was known then.
fn naive(series: &Series, at: i64, window: PeakWindow) -> Option<f64> {
    [7 * DAY_SECONDS, DAY_SECONDS]
        .into_iter()
        .find_map(|season| {
            let past = maximum(series, at - season, window)?;
            let width = (window.window + window.lead).max(series.step);
            let stride = width.max(NAIVE_SECONDS / NAIVE_WINDOWS);
            let mut errors: Vec<f64> = (1..=NAIVE_SECONDS / stride)
                .filter_map(|back| {
                    let then = at - width - back * stride;
                    Some(maximum(series, then, window)? - maximum(series, then - season, window)?)
                })
                .collect();
            errors.sort_unstable_by(f64::total_cmp);
            let rank = (LEVEL * errors.len() as f64).ceil() as usize;
            Some(past + errors.get(rank.checked_sub(1)?)?)
        })
}
