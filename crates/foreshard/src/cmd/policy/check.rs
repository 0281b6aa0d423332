//! `foreshard policy check`.

use std::process::ExitCode;
use std::sync::Arc;

use foreshard_decide::contract::{ConfigIssue, Descriptor, Needs};
use foreshard_policy::{Inspection, Module, Refusal, Tier, TierLimits};
use serde::Serialize;

use super::{component, plain_table};
use crate::bound::{host, load_bytes};
use crate::output::{self, Format, NOT_GOOD};

/// What to check.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A component's file, or `builtin:NAME`.
    policy: String,
    /// The config to check, and whose needs are shown (JSON) [default: none is judged; the needs of `{}` are shown].
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// The kind of target that the config is for.
    #[arg(long, default_value = "Scale")]
    target_kind: String,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    policy: &'a str,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
    #[serde(flatten)]
    found: Option<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    digest: String,
    tier: Tier,
    world: String,
    inspection: Inspection,
    descriptor: Descriptor,
    needs: Option<Needs>,
    /// Where none was given, an empty one was tried, and is not held against the policy.
    config_given: bool,
    config_issues: Vec<ConfigIssue>,
    compile_ms: Option<f64>,
    describe_fuel: u64,
    limits: TierLimits,
}

impl Found {
    /// What was not given is not judged.
    fn config_is_good(&self) -> bool {
        self.config_issues.is_empty() || !self.config_given
    }
}

pub(super) fn run(args: &Args, output: Format) -> anyhow::Result<ExitCode> {
    let component = component(&args.policy)?;
    let host = host()?;
    let report = match load_bytes(&host, &component) {
        Ok(module) => {
            let limits = host.limits().of(module.about().tier).clone();
            let found = found(&module, args, limits);
            Report {
                policy: &args.policy,
                accepted: true,
                refusal: None,
                found: Some(found),
            }
        }
        Err(refusal) if refusal.is_fault_of_the_component() => Report {
            policy: &args.policy,
            accepted: false,
            refusal: Some(refusal),
            found: None,
        },
        Err(refusal) => return Err(refusal.into()),
    };
    match output {
        Format::Json => output::json(&report)?,
        Format::Table => output::text(&table(&report))?,
    }
    let good = report.found.as_ref().is_some_and(Found::config_is_good);
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_GOOD)
    })
}

fn found(module: &Arc<Module>, args: &Args, limits: TierLimits) -> Found {
    let about = module.about();
    let config = args.config.as_deref().unwrap_or("{}");
    let (needs, config_issues) = match module.configure(config, &args.target_kind) {
        Ok(needs) => (Some(needs.as_ref().clone()), Vec::new()),
        Err(issues) => (None, issues),
    };
    Found {
        digest: about.digest.clone(),
        tier: about.tier,
        world: format!(
            "foreshard:policy/scaling-policy@{}",
            about.inspection.interface_version
        ),
        inspection: about.inspection.clone(),
        descriptor: about.descriptor.clone(),
        needs,
        config_given: args.config.is_some(),
        config_issues,
        compile_ms: about.compile_time.map(|time| time.as_secs_f64() * 1e3),
        describe_fuel: about.describe_fuel,
        limits,
    }
}

fn table(report: &Report<'_>) -> String {
    let policy = report.policy;
    let Some(found) = &report.found else {
        let refusal = report.refusal.as_ref();
        let text = refusal.map(|refusal| format!("{refusal}\n  fix: {}", refusal.fix()));
        return format!("{policy} is refused: {}\n", text.unwrap_or_default());
    };
    let mut table = plain_table();
    for (name, value) in rows(found) {
        table.add_row([name.to_owned(), value]);
    }
    let but = if found.config_is_good() {
        ""
    } else {
        ", and refuses the config"
    };
    format!("{policy} is accepted{but}\n{table}\n")
}

fn rows(found: &Found) -> Vec<(&'static str, String)> {
    let (inside, limits, said) = (&found.inspection, &found.limits, &found.descriptor);
    let imports = inside.imports.iter().map(|import| import.name.as_str());
    let mut rows = vec![
        ("name", format!("{} {}", said.name, said.version)),
        ("summary", said.summary.clone()),
        ("digest", found.digest.clone()),
        ("world", found.world.clone()),
        ("imports", list(imports, "nothing")),
        (
            "actions",
            list(said.actions.iter().map(String::as_str), "none"),
        ),
        (
            "target kinds",
            list(said.target_kinds.iter().map(String::as_str), "any"),
        ),
        ("tier", found.tier.to_string()),
        ("size", of(inside.bytes, limits.component_bytes, "bytes")),
        (
            "largest function",
            of(
                inside.largest_function_bytes,
                limits.function_body_bytes,
                "bytes",
            ),
        ),
        ("functions", of(inside.functions, limits.functions, "")),
        (
            "memory",
            format!("at most {} MiB", limits.memory_bytes >> 20),
        ),
        ("describe", format!("{} fuel", found.describe_fuel)),
    ];
    if let Some(compile_ms) = found.compile_ms {
        let limit = limits.compile_cpu_seconds;
        rows.push((
            "compiled",
            format!("in {compile_ms:.0} ms, at most {limit} s of processor time"),
        ));
    }
    if let Some(needs) = &found.needs {
        rows.extend(needed(needs));
    }
    let issues = found.config_issues.iter().map(|issue| {
        format!("{} {}", issue.path, issue.message)
            .trim()
            .to_owned()
    });
    if found.config_given {
        rows.extend(issues.map(|issue| ("config", issue)));
        return rows;
    }
    let issues: Vec<String> = issues.collect();
    let not_given = "not judged, none was given (--config)";
    let text = if issues.is_empty() {
        format!("{not_given}; the needs are those of {{}}")
    } else {
        format!("{not_given}; the policy needs one: {}", issues.join("; "))
    };
    rows.push(("config", text));
    rows
}

fn needed(needs: &Needs) -> Vec<(&'static str, String)> {
    let hours = |seconds: f64| format!("{:.1} h", seconds / 3600.0);
    let signals = needs.signals.iter().map(|signal| {
        let required = if signal.required { "" } else { ", optional" };
        (
            "needs signal",
            format!("{}, {} back{required}", signal.name, hours(signal.lookback)),
        )
    });
    let forecasts = needs.forecasts.iter().map(|forecast| {
        let levels: Vec<String> = forecast.levels.iter().map(f64::to_string).collect();
        let peaks = forecast.peaks.len();
        let text = format!(
            "{}, {} ahead, levels {}, {peaks} kinds of peak",
            forecast.signal,
            hours(forecast.horizon),
            levels.join(" ")
        );
        ("needs forecast", text)
    });
    signals.chain(forecasts).collect()
}

fn list<'a>(all: impl Iterator<Item = &'a str>, none: &str) -> String {
    let all: Vec<&str> = all.collect();
    if all.is_empty() {
        none.to_owned()
    } else {
        all.join(", ")
    }
}

fn of(value: u64, limit: u64, unit: &str) -> String {
    format!("{value} of {limit} {unit}").trim().to_owned()
}
