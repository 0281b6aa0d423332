//! The command line of a backtest, from a policy. Pure.

use std::path::Path;

use anyhow::{Context as _, bail};
use foreshard_api::v1alpha1::{PolicyBinding, ScalingPolicy, Signal};
use foreshard_api::validated::{ValidatedPolicy, ValidatedSignal};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::clock;

/// Bins of the load: what the replay model lives through is minutes.
const STEP_SECONDS: i64 = 60;
/// The shortest delay that can be judged at that step.
const LAG_SECONDS_MIN: i64 = 2 * STEP_SECONDS;
/// The one signal of a backtest.
const SIGNAL: &str = "demand";
/// The one module that the default of a policy has.
const DEFAULT: &str = "builtin:forecast-headroom";
/// Before the names of modules that are built in.
const BUILTIN: &str = "builtin-";

/// What the user chose.
pub(super) struct Choices<'a> {
    /// Unix seconds.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) signal: Option<&'a str>,
    pub(super) module: Option<&'a Path>,
    pub(super) json: bool,
}

/// What is to be run.
#[derive(Debug)]
pub(super) struct BacktestCommand {
    /// Name of the signal that is the load.
    pub(super) signal: String,
    /// Options and their values, but for the server.
    options: Vec<(&'static str, String)>,
    /// What a backtest does not know of the policy.
    pub(super) notes: Vec<String>,
}

impl BacktestCommand {
    /// Arguments of `foreshard`.
    pub(super) fn args(&self, prometheus: &str) -> Vec<String> {
        let mut args = vec!["backtest".to_owned(), format!("--prometheus={prometheus}")];
        args.extend(
            self.options
                .iter()
                .map(|(option, value)| format!("{option}={value}")),
        );
        args
    }

    /// The command for a person.
    pub(super) fn shell(&self, prometheus: &str) -> String {
        let server = format!("--prometheus {}", quoted(prometheus));
        let options = self
            .options
            .iter()
            .map(|(option, value)| format!("{option} {}", quoted(value)));
        let all: Vec<String> = std::iter::once(server).chain(options).collect();
        format!("foreshard backtest {}", all.join(" \\\n  "))
    }
}

/// The command that plays a policy.
pub(super) fn of(policy: &ScalingPolicy, choices: &Choices<'_>) -> anyhow::Result<BacktestCommand> {
    let name = policy.name_any();
    if choices.from >= choices.to {
        bail!("--from is not before --to");
    }
    let checked = ValidatedPolicy::parse(&policy.spec).with_context(|| format!("policy {name}"))?;
    let mut notes = Vec::new();
    let signal = signal(
        &policy.spec.signals,
        &checked.signals,
        choices.signal,
        &mut notes,
    )?;
    let observed = policy
        .status
        .as_ref()
        .and_then(|it| it.observed_lead_time_seconds);
    let lead = observed.map_or(checked.replicas.lead_seconds, i64::from);
    let lag = (lead + STEP_SECONDS - 1) / STEP_SECONDS * STEP_SECONDS;
    if lag < LAG_SECONDS_MIN {
        notes.push(format!(
            "a replica is ready {lead} s after its order; the shortest delay that can be judged is {LAG_SECONDS_MIN} s"
        ));
    }
    notes.push(format!(
        "the bounds of {} and {} replicas, limits, windows, schedules and overrides are not played",
        checked.replicas.min, checked.replicas.max
    ));
    let mut options = vec![
        ("--query", signal.query.clone()),
        ("--from", clock::utc(choices.from)),
        ("--to", clock::utc(choices.to)),
        ("--step", format!("{STEP_SECONDS}s")),
        ("--lag", format!("{}s", lag.max(LAG_SECONDS_MIN))),
        ("--capacity", number(signal.capacity)),
        ("--budget", number(checked.violation_budget)),
        ("--timezone", checked.zone_name.clone()),
    ];
    options.extend(decider(
        &checked.bindings,
        choices.module,
        &signal.name,
        &mut notes,
    )?);
    if choices.json {
        options.push(("--output", "json".to_owned()));
    }
    Ok(BacktestCommand {
        signal: signal.name.clone(),
        options,
        notes,
    })
}

fn signal<'a>(
    specs: &[Signal],
    checked: &'a [ValidatedSignal],
    wanted: Option<&str>,
    notes: &mut Vec<String>,
) -> anyhow::Result<&'a ValidatedSignal> {
    let names: Vec<&str> = specs.iter().map(|it| it.name.as_str()).collect();
    let found = match wanted {
        Some(wanted) => checked.iter().find(|it| it.name == wanted),
        None => checked.first(),
    };
    let Some(found) = found else {
        bail!(
            "there is no signal {:?}; there are {}",
            wanted.unwrap_or_default(),
            names.join(", ")
        );
    };
    if names.len() > 1 {
        notes.push(format!(
            "a backtest plays one load: {}, of {} (--signal chooses)",
            found.name,
            names.join(", ")
        ));
    }
    Ok(found)
}

/// Who decides, and with which settings.
fn decider(
    bindings: &[PolicyBinding],
    module: Option<&Path>,
    signal: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let config = bindings.first().and_then(|it| it.config.as_ref());
    let mut options = Vec::new();
    let named = bindings.first().map(|it| it.module_ref.name.as_str());
    let policy = match (module, named) {
        (Some(file), _) => file.to_string_lossy().into_owned(),
        (None, None) => DEFAULT.to_owned(),
        (None, Some(name)) => match name.strip_prefix(BUILTIN) {
            Some(builtin) => format!("builtin:{builtin}"),
            None => bail!(
                "the module {name} is not built in: give its component's file with --module FILE.wasm"
            ),
        },
    };
    options.push(("--policy", policy));
    if let Some(config) = config {
        options.push(("--policy-config", settings(config, signal)?));
    }
    if let [first, _, ..] = bindings {
        notes.push(format!(
            "a backtest asks one module: {}, of {}",
            first.name,
            bindings.len()
        ));
    }
    Ok(options)
}

/// The settings, with the one name that a signal has in a backtest in place of `signal`. The built-in modules have the
/// names in `signals`, or in `signal`.
fn settings(config: &Value, signal: &str) -> anyhow::Result<String> {
    let mut config = config.clone();
    for (key, renamed) in [("signals", json!([SIGNAL])), ("signal", json!(SIGNAL))] {
        let Some(named) = config.get_mut(key) else {
            continue;
        };
        let names: Vec<&str> = match &*named {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        // What is no name is not ours to judge.
        let Some(first) = names.first() else {
            continue;
        };
        if !names.contains(&signal) {
            bail!(
                "the module's {key:?} needs {}, and the load that is played is {signal}: choose with --signal {first}",
                names.join(", ")
            );
        }
        *named = renamed;
    }
    Ok(config.to_string())
}

/// As short as it reads back to the same at ten digits.
fn number(value: f64) -> String {
    let text = format!("{value:.10}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// For a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(change: impl FnOnce(&mut Value)) -> ScalingPolicy {
        let mut object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": "web"},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "signals": [{"name": "requests", "query": "sum(rate(a{b='c'}[2m]))", "sourceRef": {"name": "main"}, "targetAverageValue": "70"}],
                "actions": [{"type": "Replicas", "min": 2, "max": 20, "leadTimeSeconds": 90}],
                "budget": {"underCapacitySecondsPerDay": 432}, "timeZone": "Europe/Berlin",
            }
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    const CHOICES: Choices<'_> = Choices {
        from: 1_771_236_000,
        to: 1_772_445_600,
        signal: None,
        module: None,
        json: false,
    };

    #[test]
    fn a_policy_becomes_a_command() {
        let mut all = String::new();
        let mut check = |policy: &ScalingPolicy, choices: &Choices<'_>| {
            match of(policy, choices) {
                Ok(command) => {
                    all += &command.shell("http://127.0.0.1:9090");
                    all += "\n";
                    for note in &command.notes {
                        all += &format!("note: {note}\n");
                    }
                }
                Err(error) => all += &format!("error: {error:#}\n"),
            }
            all += "\n";
        };
        check(&policy(|_| {}), &CHOICES);
        let several = policy(|it| {
            it["status"] = json!({"observedLeadTimeSeconds": 290});
            let mut second = it["spec"]["signals"][0].clone();
            second["name"] = "queue".into();
            second["targetAverageValue"] = "500m".into();
            it["spec"]["signals"].as_array_mut().unwrap().push(second);
            it["spec"]["policies"] = json!([
                {"name": "a", "moduleRef": {"name": "builtin-target-tracking"}, "config": {"signal": "queue", "tolerance": 0.2}},
                {"name": "b", "moduleRef": {"name": "builtin-schedule"}}
            ]);
        });
        check(
            &several,
            &Choices {
                signal: Some("queue"),
                json: true,
                ..CHOICES
            },
        );
        check(
            &several,
            &Choices {
                signal: Some("none"),
                ..CHOICES
            },
        );
        let uploaded = policy(|it| {
            it["spec"]["policies"] = json!([{"name": "mine", "moduleRef": {"name": "mine"}}]);
        });
        check(&uploaded, &CHOICES);
        check(
            &uploaded,
            &Choices {
                module: Some(Path::new("my file.wasm")),
                ..CHOICES
            },
        );
        check(
            &policy(|_| {}),
            &Choices {
                to: CHOICES.from,
                ..CHOICES
            },
        );
        insta::assert_snapshot!(all);
    }

    #[test]
    fn the_signal_has_its_one_name_in_the_settings() {
        let target_tracking = json!({"signal": "queue", "tolerance": 0.2});
        let headroom = json!({"signals": ["requests", "queue"]});
        for (config, signal, expected) in [
            (
                &target_tracking,
                "queue",
                Some(r#"{"signal":"demand","tolerance":0.2}"#),
            ),
            (&target_tracking, "requests", None),
            (&headroom, "queue", Some(r#"{"signals":["demand"]}"#)),
            (&headroom, "other", None),
            (
                &json!({"tolerance": 0.2}),
                "queue",
                Some(r#"{"tolerance":0.2}"#),
            ),
            (&json!({"signal": 3}), "queue", Some(r#"{"signal":3}"#)),
        ] {
            let settings = settings(config, signal).ok();
            assert_eq!(settings.as_deref(), expected, "{config} {signal}");
        }
    }

    #[test]
    fn arguments_survive_the_shell() {
        for (text, shown) in [
            ("a", "a"),
            ("", "''"),
            ("it's", "'it'\\''s'"),
            ("a b", "'a b'"),
            ("$x", "'$x'"),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }
}
