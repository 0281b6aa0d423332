//! The built-in policy `forecast-headroom`: enough replicas for the highest load that is expected before the next
//! decision can take effect, and no fewer than what would be needed again soon after.

pub mod rule;

use foreshard_policy_sdk::{
    Action, ConfigIssue, Context, ContextExt as _, Descriptor, Forecast, ForecastNeed, Measure,
    Needs, Part, Peak, PeakNeed, Policy, Proposal, Quality, SignalNeed, Verdict, decide,
};
use rule::{Aims, Count, Load, Wanted, rule};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct ForecastHeadroom;

foreshard_policy_sdk::export_policy!(ForecastHeadroom);

/// What the user may set.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The signals that are divided by the capacity per replica; a part without one of them is left alone.
    signals: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            signals: vec!["demand".to_owned()],
        }
    }
}

impl Policy for ForecastHeadroom {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "forecast-headroom".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "scales for the highest load expected until the next decision takes effect"
                .to_owned(),
            target_kinds: Vec::new(),
            actions: vec!["replicas".to_owned()],
            config_schema: include_str!("../config.schema.json").to_owned(),
            memory_version: 1,
        }
    }

    fn configure(config: &Config, _target_kind: &str) -> Result<Needs, Vec<ConfigIssue>> {
        if config.signals.is_empty() || config.signals.iter().any(String::is_empty) {
            return Err(vec![ConfigIssue {
                path: "/signals".to_owned(),
                message: "name at least one signal, for example \"demand\"".to_owned(),
            }]);
        }
        let signal = |name: &String| SignalNeed {
            name: name.clone(),
            unit: String::new(),
            summary: "load, summed over the replicas of a part".to_owned(),
            step: 300.0,
            lookback: 3600.0,
            per_part: true,
            required: true,
            example_promql: "sum(rate(requests_total[1m]))".to_owned(),
        };
        let forecast = |name: &String| ForecastNeed {
            signal: name.clone(),
            horizon: 0.0,
            levels: rule::LEVELS.to_vec(),
            peaks: vec![PeakNeed {
                action: "replicas".to_owned(),
                lead: None,
                window: rule::WINDOW_SECONDS,
            }],
        };
        Ok(Needs {
            signals: config.signals.iter().map(signal).collect(),
            forecasts: config.signals.iter().map(forecast).collect(),
            part_kinds: Vec::new(),
            recent_changes: 0,
        })
    }

    fn evaluate(config: &Config, context: &Context) -> Result<Verdict, String> {
        let mut proposals = Vec::new();
        let mut measures = Vec::new();
        let mut left_alone = Vec::new();
        for part in context.scalable_parts() {
            match wanted(config, context, part) {
                Ok(wanted) => {
                    let named = |(name, value): (&'static str, f64)| Measure {
                        name: measure_name(part, name),
                        value,
                    };
                    if measures.len() + wanted.measures.len() <= MEASURES_MAX {
                        measures.extend(wanted.measures.into_iter().map(named));
                    }
                    proposals.push(Proposal {
                        part: part.id.clone(),
                        action: Action::Replicas(wanted.count),
                        not_before: None,
                        reason: wanted.reason,
                    });
                }
                Err(reason) => left_alone.push(reason),
            }
        }
        if proposals.is_empty() {
            let first = left_alone.into_iter().next();
            let reason = first.unwrap_or_else(|| "no part has a replica count".to_owned());
            return Ok(Verdict::Abstain(reason));
        }
        let mut decision = decide(proposals, "forecast load needs these counts");
        decision.measures = measures;
        Ok(Verdict::Decide(decision))
    }
}

/// The platform takes 64.
const MEASURES_MAX: usize = 60;

fn measure_name(part: &Part, name: &str) -> String {
    if part.id.is_empty() {
        name.to_owned()
    } else {
        format!("{}/{name}", part.id)
    }
}

/// The count that the rule wants for a part, or why it is left alone.
fn wanted(config: &Config, context: &Context, part: &Part) -> Result<Wanted, String> {
    let state = part
        .replicas
        .as_ref()
        .ok_or("the part has no replica count")?;
    let mut loads = Vec::new();
    for name in &config.signals {
        loads.push(load(context, part, name)?);
    }
    let count = Count {
        wanted: state.wanted,
        reactive: state.floor,
        min: state.min,
        max: state.max,
    };
    let objective = &context.objective;
    let aims = Aims {
        target_utilization: objective.target_utilization,
        max_utilization: objective.max_utilization,
        level: objective.level,
    };
    rule(&loads, count, aims).ok_or_else(|| format!("the rule has no answer for {:?}", part.id))
}

fn load<'a>(context: &'a Context, part: &Part, name: &str) -> Result<Load<'a>, String> {
    use foreshard_policy_sdk::PartExt as _;
    let of = || format!("{name} of {:?}", part.id);
    let per_replica = part
        .capacity(name)
        .ok_or_else(|| format!("no capacity is known for {}", of()))?;
    let signal = context
        .signal(name, &part.id)
        .ok_or_else(|| format!("there is no signal {}", of()))?;
    if signal.quality != Quality::Ok {
        return Err(format!("the signal {} is not good enough", of()));
    }
    let forecast = context
        .forecast(name, &part.id)
        .ok_or_else(|| format!("there is no forecast of {}", of()))?;
    if !forecast.reliable {
        let reasons = forecast.reasons.join(", ");
        return Err(format!("the forecast of {} is demoted: {reasons}", of()));
    }
    let (until, beyond) =
        peaks(forecast).ok_or_else(|| format!("the forecast of {} has no peaks", of()))?;
    Ok(Load {
        per_replica,
        levels: &forecast.levels,
        until: &until.values,
        beyond: &beyond.values,
    })
}

/// The most until the next decision takes effect, and the most over the window from its effect on.
fn peaks(forecast: &Forecast) -> Option<(&Peak, &Peak)> {
    let own = || {
        forecast
            .peaks
            .iter()
            .filter(|peak| peak.action == "replicas")
    };
    let beyond = own()
        .filter(|peak| (peak.window - rule::WINDOW_SECONDS).abs() < 1.0)
        .max_by(|one, other| one.lead.total_cmp(&other.lead))?;
    let until = own()
        .filter(|peak| peak.lead < 1.0 && !std::ptr::eq(*peak, beyond))
        .max_by(|one, other| one.window.total_cmp(&other.window))?;
    Some((until, beyond))
}
