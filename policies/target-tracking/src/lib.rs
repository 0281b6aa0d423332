//! The built-in policy `target-tracking`: the count that Kubernetes' HorizontalPodAutoscaler would want, on demand.

mod rule;

use foreshard_policy_sdk::{
    Action, ConfigIssue, Context, ContextExt as _, Descriptor, Needs, Part, PartExt as _, Policy,
    Proposal, Quality, SignalExt as _, SignalNeed, Verdict, decide,
};
use rule::{Inputs, wanted};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct TargetTracking;

foreshard_policy_sdk::export_policy!(TargetTracking);

/// What the user may set.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The signal that is divided by the capacity per replica.
    signal: String,
    /// Wanted utilisation, (0, 1]; the objective's when absent.
    target_utilization: Option<f64>,
    /// Relative distance from the target within which nothing changes, 0..1.
    tolerance: f64,
    /// The count only falls to the highest one of this span.
    scale_down_stabilization_seconds: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            signal: "demand".to_owned(),
            target_utilization: None,
            tolerance: 0.1,
            scale_down_stabilization_seconds: 300.0,
        }
    }
}

impl Policy for TargetTracking {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "target-tracking".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "keeps utilisation at a target, as the HorizontalPodAutoscaler does"
                .to_owned(),
            target_kinds: Vec::new(),
            actions: vec!["replicas".to_owned()],
            config_schema: include_str!("../config.schema.json").to_owned(),
            memory_version: 1,
        }
    }

    fn configure(config: &Config, _target_kind: &str) -> Result<Needs, Vec<ConfigIssue>> {
        let issues = issues(config);
        if !issues.is_empty() {
            return Err(issues);
        }
        Ok(Needs {
            signals: vec![SignalNeed {
                name: config.signal.clone(),
                unit: String::new(),
                summary: "load, summed over the replicas of a part".to_owned(),
                step: 60.0,
                lookback: config.scale_down_stabilization_seconds.max(60.0),
                per_part: true,
                required: true,
                example_promql: "sum(rate(requests_total[1m]))".to_owned(),
            }],
            forecasts: Vec::new(),
            part_kinds: Vec::new(),
            recent_changes: 0,
        })
    }

    fn evaluate(config: &Config, context: &Context) -> Result<Verdict, String> {
        let parts: Vec<&Part> = context.scalable_parts().collect();
        let proposals: Vec<Proposal> = parts
            .iter()
            .filter_map(|part| propose(config, context, part))
            .collect();
        if proposals.is_empty() {
            let reason = format!(
                "no part has the signal {:?}, good and with a capacity",
                config.signal
            );
            return Ok(Verdict::Abstain(reason));
        }
        let reason = format!("{} follows its target utilisation", config.signal);
        Ok(Verdict::Decide(decide(proposals, reason)))
    }
}

fn issues(config: &Config) -> Vec<ConfigIssue> {
    let mut issues = Vec::new();
    let mut check = |path: &str, good: bool, message: &str| {
        if !good {
            issues.push(ConfigIssue {
                path: path.to_owned(),
                message: message.to_owned(),
            });
        }
    };
    check(
        "/signal",
        !config.signal.is_empty(),
        "name a signal, for example \"demand\"",
    );
    let target = config.target_utilization.unwrap_or(0.7);
    check(
        "/targetUtilization",
        target > 0.0 && target <= 1.0,
        "must be above 0 and at most 1",
    );
    check(
        "/tolerance",
        (0.0..1.0).contains(&config.tolerance),
        "must be at least 0 and below 1",
    );
    let span = config.scale_down_stabilization_seconds;
    check(
        "/scaleDownStabilizationSeconds",
        (0.0..=86400.0).contains(&span),
        "must be between 0 and 86400",
    );
    issues
}

fn propose(config: &Config, context: &Context, part: &Part) -> Option<Proposal> {
    let replicas = part.replicas.as_ref()?;
    let capacity = part.capacity(&config.signal)?;
    let signal = context.signal(&config.signal, &part.id)?;
    let seen = signal.newest()?;
    if signal.quality != Quality::Ok {
        return None;
    }
    let history = &signal.history;
    let recent_bins = (config.scale_down_stabilization_seconds / history.step)
        .ceil()
        .max(0.0) as usize;
    let recent = &history.values[history.values.len().saturating_sub(recent_bins)..];
    let target = config
        .target_utilization
        .unwrap_or(context.objective.target_utilization);
    let count = wanted(&Inputs {
        demand: seen,
        recent_demands: recent,
        capacity_per_replica: capacity,
        target_utilization: target,
        tolerance: config.tolerance,
        wanted: replicas.wanted,
        ready: replicas.ready,
        min: replicas.min,
        max: replicas.max,
    })?;
    Some(Proposal {
        part: part.id.clone(),
        action: Action::Replicas(count),
        not_before: None,
        reason: format!(
            "{seen:.1} of {} at {capacity:.1} a replica and {:.0} % utilisation: {count} replicas",
            config.signal,
            target * 100.0
        ),
    })
}
