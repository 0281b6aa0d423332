//! The built-in policy `schedule`: at least so many replicas in weekly windows of local time.

mod window;

use foreshard_policy_sdk::{
    Action, ConfigIssue, Context, ContextExt as _, Descriptor, Needs, Part, PartExt as _, Policy,
    Proposal, Verdict, decide,
};
use serde::Deserialize;
use window::Window;

/// The policy.
#[derive(Debug)]
pub struct Schedule;

foreshard_policy_sdk::export_policy!(Schedule);

/// What the user sets.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    windows: Vec<Window>,
}

impl Policy for Schedule {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "schedule".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "keeps at least so many replicas in weekly windows of local time".to_owned(),
            target_kinds: Vec::new(),
            actions: vec!["replicas".to_owned()],
            config_schema: include_str!("../config.schema.json").to_owned(),
            memory_version: 1,
        }
    }

    fn configure(config: &Config, _target_kind: &str) -> Result<Needs, Vec<ConfigIssue>> {
        let windows = config.windows.iter().enumerate();
        let issues: Vec<ConfigIssue> = windows
            .filter_map(|(index, window)| {
                window.fault().map(|(field, message)| ConfigIssue {
                    path: format!("/windows/{index}/{field}"),
                    message: message.to_owned(),
                })
            })
            .collect();
        if !issues.is_empty() {
            return Err(issues);
        }
        Ok(Needs {
            signals: Vec::new(),
            forecasts: Vec::new(),
            part_kinds: Vec::new(),
            recent_changes: 0,
        })
    }

    fn evaluate(config: &Config, context: &Context) -> Result<Verdict, String> {
        let proposals: Vec<Proposal> = context
            .scalable_parts()
            .filter_map(|part| propose(config, context, part))
            .collect();
        if proposals.is_empty() {
            return Ok(Verdict::Abstain("no window is open".to_owned()));
        }
        Ok(Verdict::Decide(decide(
            proposals,
            "windows of the schedule are open",
        )))
    }
}

/// What the windows want that are open from now until what is ordered at the next evaluation is there.
fn propose(config: &Config, context: &Context, part: &Part) -> Option<Proposal> {
    let state = part.replicas.as_ref()?;
    let lead = part
        .offer("replicas")
        .map_or(0.0, |offer| offer.lead.p90.max(0.0));
    let until = context.next.max(context.now) + lead;
    let is_open = |window: &&Window| {
        window.is_for(&part.id)
            && window.is_open_within(context.now, until, &context.calendar.holidays, |at| {
                context.utc_offset(at)
            })
    };
    let window = config
        .windows
        .iter()
        .filter(is_open)
        .max_by_key(|window| window.replicas)?;
    let count = window.replicas.max(state.min).min(state.max.max(state.min));
    Some(Proposal {
        part: part.id.clone(),
        action: Action::Replicas(count),
        not_before: None,
        reason: format!("{window}: at least {} replicas", window.replicas),
    })
}
