//! What the policies are told.

use foreshard_decide::contract::{self, Context, Objective, Part, Signal};
use foreshard_decide::{Assessment, Known, QualityLimits, assess};
use foreshard_forecast::{Calendar, Forecast, Series};

use crate::observation::{Observation, SignalSeen};
use crate::policies::Binding;
use crate::settings::Settings;

/// Seconds of bins by which a signal's quality is judged.
const JUDGED_SECONDS: i64 = 7 * 86_400;
/// Seconds of history that every policy is told, asked for or not.
const LOOKBACK_MIN_SECONDS: f64 = 3600.0;

/// Judges one signal.
pub(crate) fn judge(seen: &SignalSeen<'_>, now: i64, limits: &QualityLimits) -> Assessment {
    let history = seen.history;
    let bins = (JUDGED_SECONDS / history.step.max(1)).max(1) as usize;
    let skip = history.values.len().saturating_sub(bins);
    assess(
        &Known {
            now: now as f64,
            start: (history.start + history.step * skip as i64) as f64,
            step: history.step as f64,
            bins: &history.values[skip..],
            latest: seen.latest.map(|sample| (sample.at as f64, sample.value)),
        },
        limits,
    )
}

/// A signal as the policies are told it.
pub(crate) fn signal(
    seen: &SignalSeen<'_>,
    assessment: &Assessment,
    bindings: &[Binding],
) -> Signal {
    let wanted = bindings
        .iter()
        .flat_map(|binding| &binding.needs.signals)
        .filter(|need| need.name == seen.name)
        .map(|need| need.lookback)
        .fold(LOOKBACK_MIN_SECONDS, f64::max);
    let latest = seen.latest.filter(|sample| sample.value.is_finite());
    Signal {
        name: seen.name.to_owned(),
        part: seen.part.to_owned(),
        unit: seen.unit.to_owned(),
        quality: assessment.quality,
        age: assessment.age,
        coverage: assessment.coverage,
        history: history(seen.history, wanted),
        latest: latest.map(|sample| contract::Sample {
            at: sample.at as f64,
            value: sample.value,
        }),
        censored: seen.censored,
    }
}

fn history(series: &Series, lookback: f64) -> contract::Series {
    let step = series.step.max(1);
    let bins = (lookback / step as f64).ceil().max(1.0) as usize;
    let skip = series.values.len().saturating_sub(bins);
    contract::Series {
        start: (series.start + step * skip as i64) as f64,
        step: step as f64,
        values: series.values[skip..].to_vec(),
    }
}

/// A forecast as the policies are told it; `actions` says for each peak whose lead it has.
pub(crate) fn forecast(
    seen: &SignalSeen<'_>,
    actions: Vec<String>,
    made: Forecast,
) -> contract::Forecast {
    let peaks = made.peaks.into_iter().zip(actions);
    let peaks = peaks.map(|(peak, action)| contract::Peak {
        action,
        lead: peak.window.lead as f64,
        window: peak.window.window as f64,
        values: peak.values,
    });
    contract::Forecast {
        signal: seen.name.to_owned(),
        part: seen.part.to_owned(),
        model: made.model,
        issued_at: made.issued_at as f64,
        reliable: made.reliable,
        reasons: made.reasons,
        skill: made.skill,
        levels: made.levels,
        calibrated_to: made.calibrated_to,
        start: made.start as f64,
        step: made.step as f64,
        paths: made.paths,
        peaks: peaks.collect(),
    }
}

/// All that a policy is told but its own config and memory.
pub(crate) fn context(
    settings: &Settings,
    observation: &Observation<'_>,
    parts: Vec<Part>,
    signals: Vec<Signal>,
    forecasts: Vec<contract::Forecast>,
    budget: Budget,
) -> Context {
    let aims = &settings.aims;
    Context {
        now: observation.now as f64,
        next: observation.next as f64,
        config: String::new(),
        kind: settings.kind.clone(),
        namespace: settings.namespace.clone(),
        name: settings.name.clone(),
        labels: settings.labels.clone(),
        objective: Objective {
            violation_budget: aims.violation_budget,
            budget_window: aims.budget_window,
            budget_spent: budget.spent,
            target_utilization: aims.target_utilization,
            max_utilization: aims.max_utilization,
            level: budget.level,
            currency: aims.currency.clone(),
            cost_per_violation_minute: aims.cost_per_violation_minute,
        },
        parts,
        signals,
        forecasts,
        calendar: contract::Calendar {
            events: settings.events.clone(),
            ..calendar(&settings.zone, &settings.calendar)
        },
        recent: observation.recent.clone(),
        memory: Vec::new(),
        extras: Vec::new(),
    }
}

/// How the violation budget stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Share of it that is gone.
    pub(crate) spent: f64,
    /// The quantile level that it implies.
    pub(crate) level: f64,
}

fn calendar(zone: &str, calendar: &Calendar) -> contract::Calendar {
    contract::Calendar {
        zone: zone.to_owned(),
        offsets: calendar
            .offsets
            .iter()
            .map(|offset| contract::UtcOffset {
                since: offset.since as f64,
                seconds: offset.seconds,
            })
            .collect(),
        holidays: calendar.holidays.iter().map(|&day| day as f64).collect(),
        events: Vec::new(),
    }
}
