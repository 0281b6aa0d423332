//! `kubectl foreshard pause`.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::ArgGroup;
use foreshard_api::annotation::{self, KILL_SWITCH};
use foreshard_api::time::from_unix;
use foreshard_api::v1alpha1::{Pause, ScalingOverride, ScalingOverrideSpec, ScalingPolicy};
use foreshard_cli::time;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::kill_switch::{self, OPERATOR_NAMESPACE};
use crate::print::{self, Format};
use crate::trouble::Asked;
use crate::{MANAGER, clock, found, orders};

const EXAMPLES: &str = "\
Three ways to stop, from the mildest:
  --for SPAN  a ScalingOverride that ends by itself; forecasts and recommendations go on
  --hold      the annotation foreshard.dev/paused on the policy, without an end
  --all       the kill switch: nothing is carried out in the whole cluster, without an end
Each is honoured within 10 s, and `kubectl foreshard resume` ends it.

Examples:
  Nothing is taken away while a migration runs:
    kubectl foreshard pause web -n shop --for 2h --direction down --reason 'database migration'
  Stop everything, now:
    kubectl foreshard pause --all --reason 'incident 4711'";

/// Leave targets alone: for a while, until told otherwise, or everything at once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = ArgGroup::new("until").args(["span", "hold", "all"]).required(true))]
pub(crate) struct Args {
    /// Policies.
    #[arg(value_name = "POLICY", required_unless_present = "all")]
    policies: Vec<String>,
    /// For how long, at most 30 days; another pause of the same policy takes its place.
    #[arg(long = "for", value_name = "SPAN", value_parser = some_span)]
    span: Option<i64>,
    /// What is not done.
    #[arg(long, value_enum, default_value = "both")]
    direction: Direction,
    /// Why, for explanations.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Until `resume`, in both directions.
    #[arg(long, conflicts_with = "direction")]
    hold: bool,
    /// Everything in the cluster, until `resume --all`.
    #[arg(long, conflicts_with_all = ["policies", "direction"])]
    all: bool,
    /// Where the operator runs, for --all.
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    operator_namespace: String,
}

/// What is not done.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Direction {
    /// Nothing is added.
    Up,
    /// Nothing is taken away.
    Down,
    /// Nothing is changed.
    Both,
}

impl Direction {
    fn pause(self) -> Pause {
        match self {
            Self::Up => Pause::ScaleUp,
            Self::Down => Pause::ScaleDown,
            Self::Both => Pause::Both,
        }
    }

    fn means(self) -> &'static str {
        match self {
            Self::Up => "nothing is added",
            Self::Down => "nothing is taken away",
            Self::Both => "nothing is changed",
        }
    }
}

/// As in the HTTP API: who still wants it after so long is to say so again.
const SPAN_SECONDS_MAX: i64 = 30 * 86_400;

/// A pause of no length would be over before it is written.
fn some_span(text: &str) -> Result<i64, String> {
    match time::span(text)? {
        0 => Err("give a span that is longer than nothing".to_owned()),
        seconds if seconds > SPAN_SECONDS_MAX => {
            Err("a pause ends within 30 days: --hold has no end".to_owned())
        }
        seconds => Ok(seconds),
    }
}

/// The labels by which `resume` finds what `pause` has made.
pub(super) fn labels(policy: &str) -> BTreeMap<String, String> {
    let ours = ("app.kubernetes.io/managed-by", MANAGER);
    let labels = [ours, (annotation::POLICY, policy)];
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

pub(crate) async fn run(args: &Args, cluster: &Cluster, format: Format) -> anyhow::Result<()> {
    let user = cluster.user().await?;
    if args.all {
        return everything(args, cluster, &user, format).await;
    }
    for name in &args.policies {
        found::policy(cluster, name).await?;
    }
    for name in &args.policies {
        match args.span {
            Some(span) => for_a_while(args, cluster, &user, name, span, format).await?,
            None => hold(args, cluster, &user, name, format).await?,
        }
    }
    warn_of_idle(cluster).await;
    Ok(())
}

/// Who pauses one policy may have tried another one before, by a name that it does not have.
async fn warn_of_idle(cluster: &Cluster) {
    let all = cluster.all::<ScalingOverride>();
    let asked = Asked::all("scalingoverrides", &cluster.namespace);
    let parameters = ListParams::default();
    // Who may not look is not warned.
    let overrides = cluster.ask(asked, all.list(&parameters)).await;
    let policies = found::policies(cluster).await;
    if let (Ok(overrides), Ok(policies)) = (overrides, policies) {
        orders::warn(&overrides.items, &policies, clock::now());
    }
}

/// Whether `pause` has made it, for this policy.
fn is_ours(found: &ScalingOverride, policy: &str) -> bool {
    let found = found.metadata.labels.as_ref();
    labels(policy)
        .iter()
        .all(|(key, value)| found.and_then(|it| it.get(key)) == Some(value))
}

/// Who it was and why, on the object.
fn annotations(user: &str, reason: &str) -> serde_json::Value {
    let mut all = json!({ annotation::ORDERED_BY: user });
    if !reason.is_empty() {
        all[annotation::REASON] = reason.into();
    }
    all
}

async fn everything(
    args: &Args,
    cluster: &Cluster,
    user: &str,
    format: Format,
) -> anyhow::Result<()> {
    let namespace = &args.operator_namespace;
    let annotations = annotations(user, &args.reason);
    let written = kill_switch::set(cluster, namespace, annotations, MANAGER).await?;
    print::show(&written, format, || {
        format!(
            "configmap/{KILL_SWITCH} set in {namespace}: nothing is carried out until `kubectl foreshard resume --all`\n"
        )
    })
}

async fn for_a_while(
    args: &Args,
    cluster: &Cluster,
    user: &str,
    policy: &str,
    span: i64,
    format: Format,
) -> anyhow::Result<()> {
    let now = clock::now();
    let until = now.saturating_add(span);
    let name = format!("{policy}-pause");
    let spec = ScalingOverrideSpec {
        policy_name: policy.to_owned(),
        min_replicas: None,
        max_replicas: None,
        pause: args.direction.pause(),
        expiry_time: from_unix(until),
        reason: args.reason.clone(),
    };
    let mut object = ScalingOverride::new(&name, spec);
    object.metadata.labels = Some(labels(policy));
    object.metadata.annotations =
        Some([(annotation::ORDERED_BY.to_owned(), user.to_owned())].into());
    let overrides = cluster.all::<ScalingOverride>();
    let asked = Asked::one("get", "scalingoverrides", &name, &cluster.namespace);
    match cluster.ask(asked, overrides.get(&name)).await {
        Ok(found) if !is_ours(&found, policy) => bail!(
            "scalingoverride/{name} was not made by `pause`, and is left as it is: delete or rename it first"
        ),
        Ok(_) => {}
        Err(trouble) if trouble.is_not_found() => {}
        Err(trouble) => return Err(trouble.into()),
    }
    // A new pause takes the place of an old one.
    let parameters = PatchParams::apply(MANAGER).force();
    let patch = Patch::Apply(&object);
    let asked = Asked::one("patch", "scalingoverrides", &name, &cluster.namespace);
    let written = cluster
        .ask(asked, overrides.patch(&name, &parameters, &patch))
        .await?;
    print::show(&written, format, || {
        format!(
            "scalingoverride/{name}: {} until {}; `kubectl foreshard resume {policy}` ends it\n",
            args.direction.means(),
            clock::both(until, now)
        )
    })
}

async fn hold(
    args: &Args,
    cluster: &Cluster,
    user: &str,
    policy: &str,
    format: Format,
) -> anyhow::Result<()> {
    let mut annotations = annotations(user, &args.reason);
    annotations[annotation::PAUSED] = "true".into();
    let policies = cluster.all::<ScalingPolicy>();
    let patch = json!({ "metadata": { "annotations": annotations } });
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let asked = Asked::one("patch", "scalingpolicies", policy, &cluster.namespace);
    let patch = Patch::Merge(&patch);
    let written = cluster
        .ask(asked, policies.patch(policy, &parameters, &patch))
        .await?;
    print::show(&written, format, || {
        format!("scalingpolicy/{policy} held until `kubectl foreshard resume {policy}`\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_pause_has_made_is_replaced() {
        let spec = ScalingOverrideSpec {
            policy_name: "web".to_owned(),
            min_replicas: None,
            max_replicas: None,
            pause: Pause::Both,
            expiry_time: from_unix(0),
            reason: String::new(),
        };
        let mut found = ScalingOverride::new("web-pause", spec);
        assert!(!is_ours(&found, "web"));
        found.metadata.labels = Some(labels("web"));
        assert!(is_ours(&found, "web"));
        assert!(!is_ours(&found, "api"));
    }

    #[test]
    fn a_pause_takes_some_time() {
        assert_eq!(some_span("10m"), Ok(600));
        assert_eq!(some_span("30d"), Ok(30 * 86_400));
        assert!(some_span("0s").is_err());
        assert!(some_span("90d").unwrap_err().contains("--hold"));
    }
}
