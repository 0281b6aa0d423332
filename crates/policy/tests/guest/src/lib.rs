//! A policy that misbehaves as its config says.

use std::hint::black_box;

use foreshard_policy_sdk::{
    Action, ConfigIssue, Context, Descriptor, Measure, Needs, Policy, Proposal, Verdict, decide,
    log_info,
};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct Hostile;

foreshard_policy_sdk::export_policy!(Hostile);

/// Which misbehaviour.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    evaluate: Mode,
    #[serde(default)]
    configure: Mode,
}

/// A misbehaviour.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// None.
    #[default]
    Ok,
    /// Never ends.
    Loop,
    /// Panics.
    Trap,
    /// Calls itself for ever.
    Recurse,
    /// Takes memory for ever.
    Grow,
    /// Writes log lines for ever.
    Flood,
    /// Writes a thousand log lines and goes on.
    Chatty,
    /// Gives a measure that is not a number.
    Nan,
    /// Gives 10,000 proposals.
    Many,
    /// Names a part that is not there.
    UnknownPart,
    /// Proposes what it did not declare.
    Undeclared,
    /// Wants four thousand million replicas.
    Beyond,
    /// Answers with 32 MiB of text.
    Huge,
    /// Gives back 5 KiB to remember.
    Memory,
    /// Reports an error.
    Error,
    /// Needs the impossible.
    Needy,
}

impl Policy for Hostile {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "hostile".to_owned(),
            version: "0.0.0".to_owned(),
            summary: "misbehaves".to_owned(),
            target_kinds: Vec::new(),
            actions: vec!["replicas".to_owned()],
            config_schema: String::new(),
            memory_version: 1,
        }
    }

    fn configure(config: &Config, _target_kind: &str) -> Result<Needs, Vec<ConfigIssue>> {
        let mut needs = Needs {
            signals: Vec::new(),
            forecasts: Vec::new(),
            part_kinds: Vec::new(),
            recent_changes: 0,
        };
        misbehave(config.configure);
        if matches!(config.configure, Mode::Needy) {
            needs.forecasts.push(foreshard_policy_sdk::ForecastNeed {
                signal: "demand".to_owned(),
                horizon: f64::INFINITY,
                levels: vec![2.0],
                peaks: Vec::new(),
            });
        }
        Ok(needs)
    }

    fn evaluate(config: &Config, context: &Context) -> Result<Verdict, String> {
        misbehave(config.evaluate);
        let part = context
            .parts
            .first()
            .map(|part| part.id.clone())
            .unwrap_or_default();
        let proposal = |part: &str, action| Proposal {
            part: part.to_owned(),
            action,
            not_before: None,
            reason: "because".to_owned(),
        };
        let mut decision = decide(vec![proposal(&part, Action::Replicas(3))], "three are fine");
        match config.evaluate {
            Mode::Nan => decision.measures.push(Measure {
                name: "odd".to_owned(),
                value: f64::NAN,
            }),
            Mode::Many => decision.proposals = vec![proposal(&part, Action::Replicas(1)); 10_000],
            Mode::UnknownPart => decision
                .proposals
                .push(proposal("nowhere", Action::Replicas(1))),
            Mode::Undeclared => decision
                .proposals
                .push(proposal(&part, Action::ShardCount(2))),
            Mode::Beyond => decision.proposals = vec![proposal(&part, Action::Replicas(u32::MAX))],
            Mode::Huge => decision.reason = "x".repeat(32 << 20),
            Mode::Memory => decision.memory = Some(vec![7; 5 << 10]),
            Mode::Error => return Err("it does not feel like it".to_owned()),
            _ => {}
        }
        Ok(Verdict::Decide(decision))
    }
}

fn misbehave(mode: Mode) {
    match mode {
        Mode::Loop => loop {
            black_box(0);
        },
        #[allow(clippy::panic, reason = "that is what it is for")]
        Mode::Trap => panic!("on purpose"),
        Mode::Recurse => {
            black_box(recurse(black_box(1)));
        }
        Mode::Grow => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        Mode::Flood => loop {
            log_info("flood");
        },
        Mode::Chatty => {
            (0..1000).for_each(|line| log_info(&format!("{line} {}", "ä".repeat(1000))))
        }
        _ => {}
    }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    (recurse(depth.wrapping_add(1)) >> 1) ^ depth
}
