//! The status of a `ScalingPolicy`, and when it is worth a write. Pure but for the shared ration.
//!
//! A write is worth it at once when a condition changes its status or reason, or when we have acted. Numbers that drift
//! are rounded, and written at most every five minutes and only so many a minute over all policies: the API and the
//! metrics have them at each tick.

use std::sync::{Arc, Mutex, PoisonError};

use foreshard_api::condition::{self, Finding};
use foreshard_api::v1alpha1::{ScalingPolicyStatus, ShadowScore};
use foreshard_api::{Quantity, time};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::outlook::DayPeak;
use crate::shadow::Score;

/// Seconds between two writes of one policy's drifting numbers.
const DRIFT_SECONDS: i64 = 300;
/// Writes of drifting numbers in a minute, over all policies.
pub(crate) const DRIFTS_PER_MINUTE: u32 = 6;
/// Longest list of writes that may be made up for.
const DRIFTS_SAVED: f64 = 6.0;

/// What one pass found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// The generation of the spec.
    pub(crate) generation: i64,
    /// `Kind/name`.
    pub(crate) target: String,
    /// The mode in force.
    pub(crate) mode: String,
    /// Replicas asked for; none: unknown.
    pub(crate) current: Option<u32>,
    /// Replicas that we would ask for.
    pub(crate) recommended: Option<u32>,
    /// Highest expected load with its unit, and when, in Unix seconds.
    pub(crate) peak: Option<DayPeak>,
    /// Skill of the forecast, or none while unknown.
    pub(crate) skill: Option<f64>,
    /// It may not act.
    pub(crate) demoted: bool,
    /// Observed lead time; none: not observed yet.
    pub(crate) lead_seconds: Option<f64>,
    /// Following us beside what was done.
    pub(crate) shadow: Option<Score>,
    /// When we last changed the target, in Unix seconds.
    pub(crate) last_scale: Option<i64>,
    /// The newest recommendation.
    pub(crate) last_recommendation: Option<String>,
    /// Conditions.
    pub(crate) findings: Vec<Finding>,
}

/// Writes that drifting numbers may cost, over all policies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drifts {
    saved: Arc<Mutex<(f64, i64)>>,
}

impl Drifts {
    /// Takes one at `now`, if there is one.
    fn take(&self, now: i64) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = (now - saved.1).max(0) as f64;
        let count = (saved.0 + passed * f64::from(DRIFTS_PER_MINUTE) / 60.0).min(DRIFTS_SAVED);
        *saved = (count, now);
        if count < 1.0 {
            return false;
        }
        saved.0 -= 1.0;
        true
    }
}

/// The status to write at `now`, where it is worth it; `written` is when it was written last.
#[must_use]
pub(crate) fn next(
    old: &ScalingPolicyStatus,
    report: &Report,
    written: Option<i64>,
    drifts: &Drifts,
    now: i64,
) -> Option<ScalingPolicyStatus> {
    let new = status(old, report, now);
    if new == *old {
        return None;
    }
    let urgent = verdicts(&old.conditions) != verdicts(&new.conditions)
        || old.observed_generation != new.observed_generation
        || old.last_scale_time != new.last_scale_time
        || old.mode != new.mode;
    if urgent {
        return Some(new);
    }
    // Sentences with numbers in them are no reason to write.
    let still = ScalingPolicyStatus {
        conditions: old.conditions.clone(),
        ..new.clone()
    };
    let due = written.is_none_or(|at| now - at >= DRIFT_SECONDS);
    (still != *old && due && drifts.take(now)).then_some(new)
}

fn verdicts(conditions: &[Condition]) -> Vec<(&str, &str, &str, Option<i64>)> {
    conditions
        .iter()
        .map(|it| {
            (
                it.type_.as_str(),
                it.status.as_str(),
                it.reason.as_str(),
                it.observed_generation,
            )
        })
        .collect()
}

fn status(old: &ScalingPolicyStatus, report: &Report, now: i64) -> ScalingPolicyStatus {
    let signed = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let stamp = time::from_unix(now);
    let peak = report.peak.as_ref();
    ScalingPolicyStatus {
        observed_generation: Some(report.generation),
        target: Some(report.target.clone()),
        mode: Some(report.mode.clone()),
        current_replicas: report.current.map(signed),
        recommended_replicas: report.recommended.map(signed),
        forecast_peak: peak.map(|peak| {
            format!("{} {}", Quantity::show(two_digits(peak.value)), peak.unit)
                .trim_end()
                .to_owned()
        }),
        forecast_peak_time: peak.map(|peak| time::from_unix(peak.at - peak.at.rem_euclid(1800))),
        forecast_skill: skill(report),
        observed_lead_time_seconds: report.lead_seconds.map(|it| two_digits(it) as i32),
        shadow_score: report.shadow.as_ref().and_then(shadow),
        last_scale_time: report
            .last_scale
            .map(time::from_unix)
            .or_else(|| old.last_scale_time.clone()),
        last_recommendation: report
            .last_recommendation
            .clone()
            .or_else(|| old.last_recommendation.clone()),
        conditions: condition::merge(&old.conditions, &report.findings, report.generation, &stamp),
    }
}

/// In tenths.
fn skill(report: &Report) -> Option<String> {
    if report.demoted {
        return Some("demoted".to_owned());
    }
    let skill = report.skill.filter(|skill| skill.is_finite())?;
    Some(format!("{}%", (skill * 10.0).round() as i64 * 10))
}

/// Tells nothing before a whole hour was scored.
fn shadow(score: &Score) -> Option<ShadowScore> {
    if score.hours < 1.0 || !score.cost_ratio.is_finite() {
        return None;
    }
    let whole = |value: f64| two_digits(value) as i32;
    let percent = (score.cost_ratio * 20.0).round() as i32 * 5;
    let (ours, live) = (
        whole(score.harm_seconds_per_day),
        whole(score.live_harm_seconds_per_day),
    );
    Some(ShadowScore {
        hours: if score.hours >= 24.0 {
            (score.hours / 24.0) as i32 * 24
        } else {
            score.hours as i32
        },
        harm_seconds_per_day: ours,
        live_harm_seconds_per_day: live,
        cost_percent: percent,
        summary: format!("{ours} s/day over capacity instead of {live}, at {percent}% of the cost"),
    })
}

/// Rounded, so that it does not change all the time.
fn two_digits(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let unit = 10_f64.powf(value.abs().log10().floor() - 1.0);
    (value / unit).round() * unit
}

#[cfg(test)]
mod tests {
    use foreshard_api::condition::kind;

    use super::*;

    fn peak(value: f64, at: i64) -> DayPeak {
        let unit = "requests/s".to_owned();
        DayPeak { value, unit, at }
    }

    fn report() -> Report {
        Report {
            generation: 1,
            target: "Deployment/web".to_owned(),
            mode: "Observe".to_owned(),
            current: Some(3),
            recommended: Some(4),
            peak: Some(peak(123.4, 7300)),
            skill: Some(0.43),
            findings: vec![Finding::yes(kind::READY, "Decides", "Load 12.3.")],
            ..Report::default()
        }
    }

    #[test]
    fn a_pass_that_found_nothing_new_writes_nothing() {
        let drifts = Drifts::default();
        let empty = ScalingPolicyStatus::default();
        let first = next(&empty, &report(), None, &drifts, 1000).unwrap();
        assert_eq!(first.forecast_peak.as_deref(), Some("120 requests/s"));
        assert_eq!(first.forecast_skill.as_deref(), Some("40%"));
        assert_eq!(first.forecast_peak_time, Some(time::from_unix(7200)));
        let mut drifted = report();
        drifted.skill = Some(0.41);
        drifted.peak = Some(peak(121.0, 7900));
        drifted.findings = vec![Finding::yes(kind::READY, "Decides", "Load 99.")];
        assert_eq!(next(&first, &drifted, Some(1000), &drifts, 5000), None);
    }

    #[test]
    fn numbers_drift_slowly_and_conditions_at_once() {
        let drifts = Drifts::default();
        let first = next(
            &ScalingPolicyStatus::default(),
            &report(),
            None,
            &drifts,
            1000,
        )
        .unwrap();
        let mut more = report();
        more.recommended = Some(9);
        assert_eq!(next(&first, &more, Some(1000), &drifts, 1060), None);
        assert!(next(&first, &more, Some(1000), &drifts, 1300).is_some());
        let mut broken = more.clone();
        broken.findings = vec![Finding::no(kind::READY, "MetricsStale", "")];
        assert!(next(&first, &broken, Some(1000), &drifts, 1001).is_some());
    }

    #[test]
    fn a_thousand_policies_share_the_ration() {
        let drifts = Drifts::default();
        let first = next(&ScalingPolicyStatus::default(), &report(), None, &drifts, 0).unwrap();
        let mut more = report();
        more.recommended = Some(9);
        let mut written = 0;
        for second in 1000..1600 {
            for _ in 0..2 {
                written += usize::from(next(&first, &more, Some(0), &drifts, second).is_some());
            }
        }
        assert!(written <= 66, "{written} in ten minutes");
    }

    #[test]
    fn rounding_keeps_two_digits() {
        let rounded = [0.0, 1234.0, 0.0567, 99.7].map(two_digits);
        for (value, expected) in rounded.into_iter().zip([0.0, 1200.0, 0.057, 100.0]) {
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
        }
    }
}
